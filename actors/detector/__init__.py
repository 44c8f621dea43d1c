"""Scores how unusual each sample is."""
