"""What a network computes, as typed steps: the schedule of a stage, programs, passes over them, executors."""
