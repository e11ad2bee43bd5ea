"""What every benchmark shares: interleaved timing, what a machine is and can do."""
