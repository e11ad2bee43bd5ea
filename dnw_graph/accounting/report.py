"""What counting a network gives: parameters and multiply-accumulates (MACs), per part and in total.

One MAC is two FLOPs. `macs` and `params` are exact (see `dnw_graph.program.cost`); `published_*` follow the
2019 program's convention (see `published.py`). The two are shown side by side and never added to each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from dnw_graph.shown import Rows, Shown


@dataclass(frozen=True)
class Part:
    """Weights and work of one part; norms and biases are in neither number."""

    params: int
    macs: int

    @property
    def flops(self) -> int:
        """Two per MAC."""
        return 2 * self.macs


@dataclass(frozen=True)
class StageCount(Part):
    """One stage of the body: convolutions of the nodes that send in it, and its edges.

    nodes         live nodes that receive in this stage; None in a dense network
    edges         live edges of this stage; None in a dense network
    convolutions  nodes whose 3x3 convolution runs in this stage; None in a dense network
    """

    name: str
    nodes: int | None = None
    edges: int | None = None
    convolutions: int | None = None


@dataclass(frozen=True)
class Published:
    """The 2019 program's integers: budget instead of live edges, always 224 pixels, pooling included.

    macs and the parts are None where that program reported nothing (the tiny networks).
    """

    params: int
    macs: int | None
    stem: Part | None = None
    stages: tuple[Part, ...] | None = None
    head: Part | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Published:
        """What `as_dict` gave, also after a way through JSON."""
        if values["stages"] is None:
            return cls(values["params"], values["macs"])
        stem, head = (Part(**values[name]) for name in ("stem", "head"))
        stages = tuple(Part(**stage) for stage in values["stages"])
        return cls(values["params"], values["macs"], stem, stages, head)


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """The cost of one network for one image of `image_size` pixels a side.

    norm_and_bias_params  scales, shifts and biases of the same items: listed beside, never added
    published             the published convention, None for dense networks
    evaluations           how often the graph of a dynamic network is applied; 0: as often as a solver
                          chooses, and the stages' MACs are those of one evaluation; None: images go through
                          once
    """

    network: str
    image_size: int
    num_classes: int
    stem: Part
    stages: tuple[StageCount, ...]
    head: Part
    norm_and_bias_params: int
    published: Published | None = None
    evaluations: int | None = None

    @property
    def parts(self) -> tuple[tuple[str, Part], ...]:
        """(name, part) in the order of evaluation."""
        return (("stem", self.stem), *((stage.name, stage) for stage in self.stages), ("head", self.head))

    @property
    def params(self) -> int:
        """Weights of stem, live nodes, live edges and classifier."""
        return sum(part.params for _, part in self.parts)

    @property
    def macs(self) -> int:
        """Exact multiply-accumulates per image."""
        return sum(part.macs for _, part in self.parts)

    @property
    def flops(self) -> int:
        """Two per exact MAC."""
        return 2 * self.macs

    @property
    def nodes(self) -> int | None:
        """Live nodes that receive in a stage of the body (stem channels do not)."""
        return _sum(stage.nodes for stage in self.stages)

    @property
    def convolutions(self) -> int | None:
        """Node convolutions that run, those of the stem's channels included."""
        return _sum(stage.convolutions for stage in self.stages)

    @property
    def edges(self) -> int | None:
        """Live edges of the body; those of a wired classifier are in `head`."""
        return _sum(stage.edges for stage in self.stages)

    @property
    def published_params(self) -> int | None:
        """Parameters in the published convention."""
        return None if self.published is None else self.published.params

    @property
    def published_macs(self) -> int | None:
        """MACs in the published convention, at 224 pixels whatever `image_size` is."""
        return None if self.published is None else self.published.macs

    def shown(self) -> tuple[str, Rows]:
        rows = [(name, _said(part.params, part.macs)) for name, part in self.parts]
        rows.append(("total", _said(self.params, self.macs)))
        if self.published is not None:
            rows.append(("published", _said(self.published.params, self.published.macs)))
        size = f"{self.image_size}×{self.image_size} pixels, {self.num_classes:,} classes"
        times = {None: "", 0: " and evaluation"}.get(self.evaluations, f", of {self.evaluations} evaluations")
        return f"Count of {self.network}, {size}; MACs are per image{times}", rows

    def published_parts(self) -> dict[str, Part]:
        """Published numbers by the names of `parts`; empty where there are none."""
        if self.published is None or self.published.stages is None:
            return {}
        parts = (self.published.stem, *self.published.stages, self.published.head)
        return {name: part for (name, _), part in zip(self.parts, parts, strict=True) if part is not None}

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        published = self.published_parts()
        rows = []
        for name, part in self.parts:
            row: dict[str, Any] = {"name": name, **_numbers(part)}
            if isinstance(part, StageCount):
                row |= {"nodes": part.nodes, "edges": part.edges, "convolutions": part.convolutions}
            if name in published:
                row |= {
                    "published_params": published[name].params,
                    "published_macs": published[name].macs,
                }
            rows.append(row)
        return {
            "network": self.network,
            "image_size": self.image_size,
            "num_classes": self.num_classes,
            "params": self.params,
            "norm_and_bias_params": self.norm_and_bias_params,
            "macs": self.macs,
            "flops": self.flops,
            "published_params": self.published_params,
            "published_macs": self.published_macs,
            "parts": rows,
        }


def _said(params: int, macs: int | None) -> str:
    return f"{params:,} parameters" + ("" if macs is None else f", {macs:,} MACs")


def _numbers(part: Part) -> dict[str, int]:
    return {"params": part.params, "macs": part.macs, "flops": part.flops}


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
