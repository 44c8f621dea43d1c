"""BESSAI Edge Gateway: the product around the actors."""
