"""The body of a dynamic network: one graph, applied to the states of all nodes again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dnw_graph.graph.layout import Layout
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.status import Flags
from dnw_graph.models.arrays import norm_arrays
from dnw_graph.models.body import MODULE_BY_MODULE, Body, operation_arrays, stage_arrays, stage_layers
from dnw_graph.models.node_operation import NodeOperation, norm_layer
from dnw_graph.models.stage import WiredStage
from dnw_graph.program.body import evaluation_steps
from dnw_graph.program.by_torch import States, run
from dnw_graph.program.part import Part
from dnw_graph.program.steps import Integrate, Repeat, Step, Sum

TOLERANCE = 1e-3


class DynamicBody(Body):
    """States of the stem's channels, the first nodes → states of the readout, the last ones; node-major.

    The states of all other nodes are 0 at first. One evaluation is node operation (without norm), messages
    along the selected edges, norm. In discrete time its result replaces the states, `layout.evaluations`
    times; in continuous time (0 evaluations) it is their derivative, and a solver takes them from 0 to 1.

    norm  after the messages
    clip  the solver's states are clipped at 0 in place, as by the 2019 code's in-place ReLU
    """

    def __init__(
        self, layout: Layout, wired: WiredStage, spec: NodeSpec, readout: int, clip: bool = False
    ) -> None:
        super().__init__()
        self.layout, self.spec, self.readout, self.clip = layout, spec, readout, clip
        nodes = layout.levels[0].size
        self.after = NodeSpec("instance")
        self.operations = nn.ModuleList([NodeOperation(nodes, spec)])
        self.norm = norm_layer(nodes, self.after)
        self.stages = nn.ModuleList([wired])
        self.input, self.output = "stem", "readout"

    @property
    def wired(self) -> WiredStage:
        """The one stage."""
        (stage,) = self.stages
        assert isinstance(stage, WiredStage)
        return stage

    def steps(self) -> tuple[Step, ...]:
        """What the body computes."""
        once = evaluation_steps(self.layout, self.spec, self.after.norm, self.after.eps)
        times, nodes = self.layout.evaluations, self.layout.levels[0].size
        applied: Step
        if times:
            applied = Repeat("evaluations", "stage_0", "z0", "y", times, once)
        else:
            applied = Integrate("evaluations", "stage_0", "z0", "y", once, TOLERANCE, self.clip)
        return (
            Sum("body.fed", "stem", self.input, ("z0",), (nodes,)),
            applied,
            Sum("body.read", "head", "z0", (self.output,), (self.readout,)),
        )

    def forward(self, z: Tensor) -> Tensor:
        """[inputs, B, h, w] contiguous → [readout, B, h, w]."""
        return run(self.steps(), States({self.input: z}), self.layers(), [self.output])[self.output]

    def reads(self) -> Flags:
        nodes = self.layout.levels[0].size
        return np.arange(nodes) >= nodes - self.readout

    def layers(self) -> Mapping[str, Callable[..., Tensor]]:
        """What the steps do to features, by step name."""
        others = self.layout.levels[0].size - self.layout.inputs
        return {
            "body.fed": lambda z, so_far: torch.cat([z, z.new_zeros(others, *z.shape[1:])]),
            "level_0": self.operations[0],
            **stage_layers(self.wired),
            "norm": self.norm,
            "body.read": lambda z, so_far: z[-self.readout :],
        }

    def training_paths(self, side: int, batch: int) -> dict[str, dict[str, str | None]]:
        why = "the operator knows a norm before the activation, and here one follows the messages"
        return {self.wired.name: {"as one operator": why, MODULE_BY_MODULE: None}}

    def lowered(self) -> Part:
        """Its part of a program."""
        nodes, fed, read = self.layout.levels[0].size, self.layout.inputs, self.readout
        channels = dict.fromkeys(("z0", "h0", "z1", "y"), nodes) | {self.output: read}
        tensors = stage_arrays(self.wired) | operation_arrays("level_0", self.operations[0])
        tensors |= norm_arrays("norm", self.norm)
        tensors |= {"body.fed.column": np.arange(fed), "body.fed.row": np.arange(fed)}
        tensors |= {"body.read.column": np.arange(nodes - read, nodes), "body.read.row": np.arange(read)}
        return Part(self.steps(), channels, tensors)
