"""Stores telemetry durably and forwards it."""
