"""Measurements behind every figure that the documents give; `python -m benchmarks --help`."""
