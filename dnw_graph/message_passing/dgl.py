"""Backend `dgl`: DGL's own kernels on a DGL message-flow graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dnw_graph.dependencies import load_dgl
from dnw_graph.errors import InputError
from dnw_graph.message_passing.backend import Backend, joined, put, register_backend
from dnw_graph.message_passing.edge_index import EdgeIndex


@register_backend
class Dgl(Backend):
    """The meaning of message passing; every other backend is tested against it.

    send           update_all(u_mul_e, sum) on the message-flow graph of the selected edges
    send_back      the same on its reverse
    edge_gradient  apply_edges(v_dot_u)
    """

    name = "dgl"

    def reason(self) -> str | None:
        try:
            load_dgl()
        except InputError as error:
            return str(error)
        return None

    def refusal(self, device: torch.device, dtype: torch.dtype) -> str | None:
        if device.type == "cuda":
            return _refused_on_cuda(dtype)
        if device.type == "cpu" and dtype not in (torch.float32, torch.float64):
            return (
                "DGL's CPU kernels know float32 and float64; use training.precision float32 or backend dense"
            )
        return None

    def send(
        self,
        index: EdgeIndex,
        value: Tensor,
        h: Tensor,
        into: Sequence[Tensor] | None = None,
        *,
        add: bool = False,
    ) -> Sequence[Tensor]:
        flow, _ = _graphs(index)
        return put(_sum_of_messages(flow, h, value), into, add=add)

    def send_back(self, index: EdgeIndex, value: Tensor, g: Sequence[Tensor]) -> Tensor:
        _, reverse = _graphs(index)
        return _sum_of_messages(reverse, joined(g), value)

    def edge_gradient(self, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> Tensor:
        flow, _ = _graphs(index)
        fn = load_dgl().function
        with flow.local_scope(), torch.no_grad():
            flow.srcdata["h"], flow.dstdata["g"] = h, joined(g)
            flow.apply_edges(fn.v_dot_u("g", "h", "gradient"))
            return flow.edata["gradient"].squeeze(-1)


@cache
def _refused_on_cuda(dtype: torch.dtype) -> str | None:
    """Tried on one edge, once per number format: a build's name does not tell what its kernels know."""
    dgl: Any = load_dgl()
    try:
        one = torch.ones(1, 1, dtype=dtype, device="cuda")
        flow = dgl.create_block(([0], [0]), num_src_nodes=1, num_dst_nodes=1).to("cuda")
        works = bool(_sum_of_messages(flow, one, one[0]).item() == 1)
    except (RuntimeError, TypeError, dgl.DGLError):
        works = False
    if works:
        return None
    return (
        f"the installed DGL {dgl.__version__} passes no {dtype} messages on CUDA; use backend triton or dense"
    )


def _graphs(index: EdgeIndex) -> tuple[Any, Any]:
    """The message-flow graph of the edges and its reverse, made once per wiring."""

    def build() -> tuple[Any, Any]:
        dgl: Any = load_dgl()
        targets, sources = index.num_targets, index.num_sources
        # DGL keeps the tensors it is given.
        row, column = index.targets(), index.source.clone()
        flow = dgl.create_block((column, row), num_src_nodes=sources, num_dst_nodes=targets)
        reverse = dgl.create_block((row, column), num_src_nodes=targets, num_dst_nodes=sources)
        return flow, reverse

    return index.derived("flow", build)


def _sum_of_messages(flow: Any, h: Tensor, value: Tensor) -> Tensor:
    fn = load_dgl().function
    with flow.local_scope(), torch.no_grad():
        flow.srcdata["h"], flow.edata["value"] = h, value.unsqueeze(-1)
        flow.update_all(fn.u_mul_e("h", "value", "message"), fn.sum("message", "z"))
        return flow.dstdata["z"]
