"""From a network to what its .dnw file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from dnw_graph.engine.plan_limits import lacks
from dnw_graph.errors import InputError
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.program.cost import cost
from dnw_graph.program.fold import folded
from dnw_graph.program.program import Program
from dnw_graph.program.reference import lacks as numpy_lacks
from dnw_graph.program.split import split
from dnw_graph.runtime.document import Document


def document_of(model: torch.nn.Module, provenance: Mapping[str, Any]) -> Document:
    """A wired network as it computes in eval mode, without what no logit needs.

    provenance  where it comes from, values of JSON
    Raises InputError for a network without a wiring, or with steps that the engine of `dnw-runtime` lacks.
    """
    live, constant = split(lower(model))
    assert isinstance(model, WiredNetwork)
    live, constant = _bare(live), None if constant is None else _bare(constant)
    reason = lacks(live) or (None if constant is None else numpy_lacks(constant))
    if reason is not None:
        raise InputError(f"dnw-runtime, which runs .dnw files, lacks {reason}; export the wiring instead")
    total = cost(live)
    counts = {"macs": total.macs, "params": total.params, "others": total.others}
    facts = model.facts
    return Document(live, constant, facts.class_names, facts.preprocessing, counts, provenance)


def _bare(program: Program) -> Program:
    """Norms folded, and without the edges' positions in the parameters that they were trained in."""
    program = folded(program)
    tensors = {name: values for name, values in program.tensors.items() if not name.endswith(".id")}
    return replace(program, tensors=tensors)
