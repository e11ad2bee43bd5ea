"""Kernels in Triton, for GPUs: message passing and the node operation.

A module of this room that holds kernels imports triton, which is optional: import it where it is needed,
after `availability.reason()` said None.
"""
