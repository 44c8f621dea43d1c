"""Supervised actors in supervised processes: knows nothing of batteries and is usable on its own."""
