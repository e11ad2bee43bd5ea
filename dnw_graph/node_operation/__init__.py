"""The node operation z → h and its gradient as functions on tensors, one file per way to compute them."""

from dnw_graph.node_operation.choice import node_kernels, reasons
from dnw_graph.node_operation.kernels import NodeGradients, NodeKernels

__all__ = ["NodeGradients", "NodeKernels", "node_kernels", "reasons"]
