"""Training on a CPU: a step, its parts, memory, loading, and single operations."""
