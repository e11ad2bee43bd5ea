"""Inference: dead-channel removal, norm folding, the compiled network."""

from dnw_graph.inference.compiled import CompiledNetwork, compile

__all__ = ["CompiledNetwork", "compile"]
