"""The C kernels: how they are found and called, and what they need of the machine.

`source/` holds the C code, one library for every Python and every torch: it is called with plain
addresses, and picks the best instructions of the processor when it runs.
"""
