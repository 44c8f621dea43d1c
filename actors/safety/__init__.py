"""Keeps every device within its hard limits."""
