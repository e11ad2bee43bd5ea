"""A trained network from one file, without torch: what package `dnw-runtime` is made of. Needs NumPy only."""

from dnw_graph.errors import InputError
from dnw_graph.runtime.network import Network

__all__ = ["InputError", "Network"]
