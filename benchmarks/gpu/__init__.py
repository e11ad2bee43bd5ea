"""What `benchmarks/gpu.py` checks and times on a GPU."""
