"""Reads one device over Modbus TCP and is the only one that writes to it."""
