"""Benchmarks: what the generated scripts cost, measured beside what other people use.  `python -m benchmarks.cpu`."""
