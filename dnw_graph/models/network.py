"""A wired network: stem, body of message passing, head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from dnw_graph.arguments import expect, whole_number
from dnw_graph.graph.channel_graph import WiringData, channel_graph, selected_ends, wiring_data
from dnw_graph.graph.layout import Ints, Layout
from dnw_graph.graph.status import Flags
from dnw_graph.models.batch import check_batch, refuse_tracers
from dnw_graph.models.body import Body
from dnw_graph.models.facts import Facts
from dnw_graph.models.heads import TinyHead, WiredClassifier
from dnw_graph.models.restore import load_into
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.synchronised_norm import synchronise
from dnw_graph.program.status import node_status

if TYPE_CHECKING:
    import dgl


@dataclass(frozen=True)
class Candidates:
    """The edges that could exist in one stage; position i of each field is candidate id i.

    source, target  [E] int64, global node numbers, on the CPU
    parameter       [E] float: the weights, the very parameter that is trained
    """

    source: Tensor
    target: Tensor
    parameter: nn.Parameter


class WiredNetwork(nn.Module):
    """Images [B, 3, S, S] → logits [B, classes].

    stem  [B, 3, S, S] → [B, C0, h, w];  head  [B, C_last, h, w] → logits
    """

    def __init__(
        self,
        *,
        network: str,
        rule_name: str,
        stem: nn.Module,
        body: Body,
        head: nn.Module,
        image_size: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.rule_name = rule_name
        self.image_size = image_size
        self.stem = stem
        self.body = body
        self.head = head
        self.facts = Facts()

    def forward(self, images: Tensor) -> Tensor:
        refuse_tracers(images)
        check_batch(images, self.body.stages[0].weight, self.only_size)  # type: ignore[arg-type]
        z = self.body(self.stem(images).transpose(0, 1).contiguous())
        return self.head(z.transpose(0, 1))

    # Structure

    @property
    def only_size(self) -> int | None:
        """Side of the images that it can read, in pixels; None: any."""
        return self.image_size if isinstance(self.head, TinyHead) else None

    @property
    def layout(self) -> Layout:
        return self.body.layout

    @property
    def num_stages(self) -> int:
        """Stages of the body; a Small head is a wiring of its own, `head.wiring`."""
        return len(self.layout.stages)

    @property
    def num_classes(self) -> int:
        return int(self.head.num_classes)  # type: ignore[arg-type]

    @property
    def stem_side(self) -> int:
        """Side of the stem's maps for the configured image size, in pixels."""
        return int(self.stem.side(self.image_size))  # type: ignore[operator]

    def body_stages(self) -> list[WiredStage]:
        """The body's stages, in order."""
        return [stage for stage in self.body.stages if isinstance(stage, WiredStage)]

    def wired_stages(self) -> Iterator[tuple[str, WiredStage]]:
        """(name, stage) of the body's stages and, in Small networks, of the head."""
        for stage in self.body_stages():
            yield stage.name, stage
        if isinstance(self.head, WiredClassifier):
            yield self.head.wiring.name, self.head.wiring

    def candidates(self, stage: int) -> Candidates:
        """All candidate edges of one stage of the body."""
        wired = self.body_stages()[whole_number(stage, "stage", 0, self.num_stages - 1)]
        source, target = wired.stage.ends(np.arange(wired.stage.num_candidates))
        return Candidates(torch.from_numpy(source), torch.from_numpy(target), wired.weight)

    # Wiring

    def rewire(self, step: int = 0) -> int | Tensor:
        """Let the rule select every stage's wiring anew; returns how many edges entered.

        On a GPU that is a tensor [] int64: the host waits for it only if it reads it, by `int` for example.
        """
        whole_number(step, "step", 0)
        return sum(stage.rewire(step) for _, stage in self.wired_stages())

    def reselect(self, step: int = 0) -> None:
        """As `rewire`, without the hook of rules that act after a step: weights stay as they are."""
        for _, stage in self.wired_stages():
            stage.reselect(step)

    def wirings(self) -> dict[str, Tensor]:
        """Selected candidate ids per stage, each [k] int64, ascending."""
        return {name: stage.ids for name, stage in self.wired_stages()}

    def budgets(self) -> dict[str, int]:
        """Edges that each stage may have."""
        return {name: stage.budget for name, stage in self.wired_stages()}

    def set_budgets(self, budgets: Mapping[str, int]) -> None:
        """Give every stage another budget: an imported network has that of its file, not of its config."""
        expect(budgets, Mapping, "budgets", "edges by stage, as model.budgets() does")
        for name, stage in self.wired_stages():
            most = stage.stage.num_candidates
            stage.budget = whole_number(budgets.get(name), f"budgets[{name!r}]", 0, most)

    def check_finite(self) -> None:
        """Raise FloatingPointError naming the parameter if a selection met NaN. Waits for the device."""
        for _, stage in self.wired_stages():
            stage.check_finite()

    def outputs_read(self) -> Flags | None:
        """Which nodes of the last level the classifier reads [C_last] bool; None: all of them."""
        return self.head.reads() if isinstance(self.head, WiredClassifier) else self.body.reads()

    def synchronise_norm(self) -> None:
        """Take the batch statistics of every batch norm over all ranks from now on."""
        synchronise(self)

    def wiring_data(self) -> WiringData:
        """The current wiring of the body as plain arrays; needs no DGL."""
        stages = self.body_stages()
        with torch.no_grad():
            weights = [stage.effective()[stage.ids] for stage in stages]
        selected = [stage.ids for stage in stages]
        return wiring_data(self.layout, selected, weights, self.stem_side, self.node_status())

    def node_status(self) -> Ints:
        """Status code of every node of the body under the current wiring, [nodes] int64."""
        source, target = selected_ends(self.layout, [stage.ids for stage in self.body_stages()])
        return node_status(self.layout, source, target, self.outputs_read())

    def graph(self) -> dgl.DGLGraph:
        """The current wiring of the body as one acyclic DGL graph; `WiringData` describes its data.

        Raises InputError where DGL is not installed; `dg.to_networkx` and `dg.to_pyg` need none.
        """
        return channel_graph(self.wiring_data())

    def load_graph(self, graph: object) -> None:
        """Take over the wiring and weights of a `dg.Graph`; see `dnw_graph.models.restore.load_into`.

        Stem and head stay.
        """
        load_into(self.body, graph, self.network)
        # It counts edges of the wiring that was imported before.
        self.facts = replace(self.facts, official={})
