"""Benchmarks, run as `python -m benchmarks.inference` in the repository, and their results in `results/`."""
