"""Message passing: one operator, one file per backend."""

from dnw_graph.message_passing import csr, dense, dgl, native, triton
from dnw_graph.message_passing.backend import (
    Backend,
    backends,
    find_backend,
    register_backend,
    usable_backend,
)
from dnw_graph.message_passing.choice import choose_backend
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.message_passing.executed import Executed, recording
from dnw_graph.message_passing.operator import message_passing

__all__ = [
    "Backend",
    "EdgeIndex",
    "Executed",
    "backends",
    "choose_backend",
    "csr",
    "dense",
    "dgl",
    "find_backend",
    "message_passing",
    "native",
    "recording",
    "register_backend",
    "triton",
    "usable_backend",
]
