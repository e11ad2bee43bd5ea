"""Inference: dead-channel removal, norm folding, the compiled network."""

from dnw_graph.inference.compiled import CompiledNetwork, compile
from dnw_graph.inference.cuda_graph import CapturedNetwork, capture

__all__ = ["CapturedNetwork", "CompiledNetwork", "capture", "compile"]
