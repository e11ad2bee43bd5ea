"""The node operation z → h and its gradient as functions on tensors, one file per way to compute them."""

from dnw_graph.node_operation.kernels import NodeKernels, node_kernels

__all__ = ["NodeKernels", "node_kernels"]
