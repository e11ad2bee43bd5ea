"""Inference on a CPU: whole networks beside other engines, and the engine stage by stage."""
