"""Benchmarks of scripts for the GPU: `python -m benchmarks.gpu --out FILE`."""
