"""Message passing as one torch operator, with its gradients and its cost.

    z_v = base_v + Σ_{(u,v) selected} w_uv · h_u

With g = ∂L/∂z:

    ∂L/∂h_u    = Σ_{(u,v) selected} w_uv · g_v
    ∂L/∂w_uv   = Σ_{b,y,x} g_v · h_u     for every candidate edge (reach "candidates", the
                 straight-through gradient), or for the selected ones only (reach "selected")
    ∂L/∂base_v = g_v

Source: Wortsman, Farhadi, Rastegari 2019, section 3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from dnw_graph.graph.schedule import Schedule
from dnw_graph.message_passing.backend import find_backend, usable_backend
from dnw_graph.message_passing.edge_gradient import EdgeGradient
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.message_passing.executed import record


@torch.library.custom_op("dnw_graph::message_passing", mutates_args=())
def message_passing(
    h: Tensor,
    weight: Tensor,
    pointer: Tensor,
    source: Tensor,
    position: Tensor,
    base: Tensor | None,
    reach: str,
    backend: str,
    images: int = -1,
    factor: float = 1.0,
) -> Tensor:
    """z_v = base_v + Σ_{(u,v) selected} w_uv · h_u.

    h         [S, B, H, W] float, contiguous: what the source nodes send
    weight    [n] float, same dtype; with reach "candidates" n = T·S, one per candidate edge
    pointer, source, position  the selected edges, see `EdgeIndex`; an edge's weight is
              weight[position]
    base      [T, B, H, W] or None: what the targets already hold
    reach     "candidates" or "selected": which weights receive gradient
    backend   a backend's name
    images, factor  with reach "candidates": edges that are not selected get their gradient from the first
              `images` of the batch (-1: all), times `factor`
    returns   [T, B, H, W], contiguous; targets without an edge hold their base, or 0
    Raises ValueError if shapes or dtypes do not fit, InputError if the backend cannot be used.
    """
    _check(h, weight, pointer, source, position, base, reach)
    products = usable_backend(backend, h.device, h.dtype)
    index = _index(pointer, source, position, h.shape[0])
    features = _rows(h)
    record(products.executed_macs(index.num_edges, index.blocks, features.shape[1]))
    if index.num_edges and features.numel():
        (sent,) = products.send(index, weight[position], features)
        z = sent.reshape(index.num_targets, *h.shape[1:])
        return z if base is None else z.add_(base)
    z = h.new_zeros(index.num_targets, *h.shape[1:])
    return z if base is None else z.copy_(base)


@torch.library.custom_op("dnw_graph::send_back", mutates_args=())
def send_back(
    g: Tensor,
    weight: Tensor,
    pointer: Tensor,
    source: Tensor,
    position: Tensor,
    num_sources: int,
    backend: str,
) -> Tensor:
    """d_u = Σ_{(u,v) selected} w_uv · g_v.  g [T, B, H, W] → [num_sources, B, H, W]."""
    if not source.numel() or not g.numel():
        return g.new_zeros(num_sources, *g.shape[1:])
    products = usable_backend(backend, g.device, g.dtype)
    index = _index(pointer, source, position, num_sources)
    d = products.send_back(index, weight[position], [_rows(g)])
    return d.reshape(num_sources, *g.shape[1:])


@torch.library.custom_op("dnw_graph::edge_gradient", mutates_args=())
def edge_gradient(
    g: Tensor,
    h: Tensor,
    pointer: Tensor,
    source: Tensor,
    position: Tensor,
    num_weights: int,
    reach: str,
    backend: str,
    images: int,
    factor: float,
) -> Tensor:
    """∂L/∂w_uv = Σ_{b,y,x} g_v · h_u, for all candidates or the selected edges.  → [num_weights]."""
    gradient = g.new_empty(num_weights)
    products = usable_backend(backend, g.device, g.dtype)
    reached = 0 if reach == "selected" else h.shape[1] if images < 0 else images
    edges = EdgeGradient(gradient, products, h.shape[2] * h.shape[3], reached, factor)
    (turn,) = Schedule((h.shape[0], g.shape[0]), (g.shape[0],)).turns
    edges.add(turn, _index(pointer, source, position, h.shape[0]), [_rows(g)], _rows(h))
    edges.finish()
    return gradient


@message_passing.register_fake
def _(h, weight, pointer, source, position, base, reach, backend, images=-1, factor=1.0):  # type: ignore[no-untyped-def]
    return h.new_empty(pointer.shape[0] - 1, *h.shape[1:])


@send_back.register_fake
def _(g, weight, pointer, source, position, num_sources, backend):  # type: ignore[no-untyped-def]
    return g.new_empty(num_sources, *g.shape[1:])


@edge_gradient.register_fake
def _(g, h, pointer, source, position, num_weights, reach, backend, images, factor):  # type: ignore[no-untyped-def]
    return g.new_empty(num_weights)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    h, weight, pointer, source, position, base, reach, backend, images, factor = inputs
    ctx.save_for_backward(h, weight, pointer, source, position)
    ctx.has_base, ctx.reach, ctx.backend = base is not None, reach, backend
    ctx.portion = images, factor


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    h, weight, pointer, source, position = ctx.saved_tensors
    wants_h, wants_weight = ctx.needs_input_grad[:2]
    g = g.contiguous()
    grad_h = grad_weight = None
    if wants_h:
        grad_h = send_back(g, weight, pointer, source, position, h.shape[0], ctx.backend)
    if wants_weight:
        how = (weight.shape[0], ctx.reach, ctx.backend, *ctx.portion)
        grad_weight = edge_gradient(g, h, pointer, source, position, *how)
    return grad_h, grad_weight, None, None, None, g if ctx.has_base else None, None, None, None, None


message_passing.register_autograd(_backward, setup_context=_setup_context)


@register_flop_formula(torch.ops.dnw_graph.message_passing)
def _forward_flops(  # type: ignore[no-untyped-def]
    h_shape, weight_shape, pointer_shape, source_shape, position_shape, base_shape, reach, backend, *args,
    **kwargs
) -> int:  # fmt: skip
    return 2 * _macs(backend, source_shape[0], pointer_shape[0] - 1, h_shape[0], _columns(h_shape))


@register_flop_formula(torch.ops.dnw_graph.send_back)
def _back_flops(  # type: ignore[no-untyped-def]
    g_shape, weight_shape, pointer_shape, source_shape, position_shape, num_sources, backend, **kwargs
) -> int:
    return 2 * _macs(backend, source_shape[0], g_shape[0], num_sources, _columns(g_shape))


@register_flop_formula(torch.ops.dnw_graph.edge_gradient)
def _gradient_flops(  # type: ignore[no-untyped-def]
    g_shape, h_shape, pointer_shape, source_shape, position_shape, num_weights, reach, backend, images,
    factor, **kwargs
) -> int:  # fmt: skip
    columns = _columns(h_shape)
    reached = 0 if reach == "selected" else int(h_shape[1]) if images < 0 else images
    share = columns * reached // max(1, int(h_shape[1]))
    selected = _macs(backend, source_shape[0], g_shape[0], h_shape[0], columns - share)
    return 2 * (g_shape[0] * h_shape[0] * share + selected)


def _macs(backend: str, edges: int, targets: int, sources: int, columns: int) -> int:
    return find_backend(backend).executed_macs(edges, [(targets, sources)], columns)


def _index(pointer: Tensor, source: Tensor, position: Tensor, num_sources: int) -> EdgeIndex:
    return EdgeIndex(pointer, source, position, ((pointer.numel() - 1, num_sources),))


def _rows(features: Tensor) -> Tensor:
    """[nodes, B, H, W] → [nodes, B·H·W] contiguous; B may be 0."""
    return features.reshape(features.shape[0], features.shape[1:].numel()).contiguous()


def _columns(shape: Any) -> int:
    return int(shape[1]) * int(shape[2]) * int(shape[3])


def _check(
    h: Tensor,
    weight: Tensor,
    pointer: Tensor,
    source: Tensor,
    position: Tensor,
    base: Tensor | None,
    reach: str,
) -> None:
    targets = pointer.numel() - 1
    if h.dim() != 4 or not h.is_contiguous():
        raise ValueError(f"h must be contiguous [nodes, batch, height, width], not {tuple(h.shape)}")
    if reach not in ("candidates", "selected"):
        raise ValueError(f"reach must be 'candidates' or 'selected', not {reach!r}")
    if reach == "candidates" and weight.numel() != targets * h.shape[0]:
        raise ValueError(
            f"{weight.numel()} weights do not fit {targets} targets × {h.shape[0]} sources; "
            "h must have one row per source node of the wiring"
        )
    if weight.dtype != h.dtype:
        raise ValueError(f"weight is {weight.dtype} but h is {h.dtype}; convert one of them")
    if source.shape != position.shape:
        raise ValueError(f"{source.numel()} sources but {position.numel()} positions; one of each per edge")
    if base is not None and base.shape != (targets, *h.shape[1:]):
        raise ValueError(f"base is {tuple(base.shape)}, but the targets are {(targets, *h.shape[1:])}")
