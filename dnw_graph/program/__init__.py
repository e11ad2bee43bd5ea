"""What a network computes, as typed steps: programs, passes over them, and their executors."""
