"""Answers people and monitoring systems over HTTP."""
