"""BESSAI Edge Gateway: the product around the actors."""

__version__ = "0.1.0"
