"""Networks: stem, wired body and head; dense baselines; the registry."""

from dnw_graph.models.network import Candidates, WiredNetwork
from dnw_graph.models.registry import build_model, is_wired, network_names, register_network

__all__ = ["Candidates", "WiredNetwork", "build_model", "is_wired", "network_names", "register_network"]
