"""The C engine: plans of programs, and how they run. Needs NumPy only, and is part of `dnw-runtime` too."""
