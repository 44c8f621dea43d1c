"""Asks for battery power that follows prices."""
