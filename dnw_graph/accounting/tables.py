"""Counts laid out for people: the exact and the published convention side by side, each column named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dnw_graph.accounting.micronet import Entry
from dnw_graph.accounting.paper import PaperRow
from dnw_graph.accounting.removal import Left
from dnw_graph.accounting.report import Part, Report, StageCount

UNITS = {
    "macs": "multiply-accumulates per image, exact",
    "flops": "2 x macs",
    "params": "weights without norms and biases",
    "published_params, published_macs": "convention of the 2019 program, always at 224 pixels",
    "paper": "as printed in the paper, in millions",
}
MACS_NOTE = "MACs are exact multiply-accumulates per image; 1 MAC = 2 FLOPs."
PUBLISHED_NOTE = (
    "published: the 2019 convention (edge budget, 224 pixels, with pooling); never mixed with exact."
)
BOUND_NOTE = "bound: the whole budget spent and no node left out. convs: nodes whose 3x3 convolution runs."
TINY_NOTE = (
    "published: edge budget, every node, and the norms and biases of stem and classifier; MACs were not."
)

REMOVAL_NOTE = "nodes: with stem channels. edges: of the body. params, MACs: exact, of the whole network."


@dataclass(frozen=True)
class Counted:
    """One network and its counts.

    model   the `model` section of its configuration
    counts  by what was counted: a wiring, a run
    bound   the count if every node were live; None for dense networks
    paper   its row in the paper, if it has one
    left    what each rule of removal leaves, where it was asked for
    entry   what the MicroNet challenge counts, where it was asked for
    """

    name: str
    model: Any
    counts: dict[str, Report]
    bound: Report | None
    paper: PaperRow | None
    left: dict[str, Left] = field(default_factory=dict)
    entry: Entry | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        paper = None
        if self.paper is not None:
            macs = None if self.paper.macs is None else float(self.paper.macs)
            paper = {"params_millions": float(self.paper.params), "macs_millions": macs}
        removal = {"removal": [{"removed": rule, **left.as_dict()} for rule, left in self.left.items()]}
        return {
            "name": self.name,
            "model": self.model.model_dump(mode="json", exclude_none=True),
            "counts": [{"of": name, **report.as_dict()} for name, report in self.counts.items()],
            "bound": None if self.bound is None else self.bound.as_dict(),
            "paper": paper,
            **(removal if self.left else {}),
            **({} if self.entry is None else {"micronet": self.entry.as_dict()}),
        }


@dataclass(frozen=True)
class Row:
    cells: list[str]
    is_total: bool = False


@dataclass(frozen=True)
class Table:
    """words: positions of the columns that hold words; the others hold numbers."""

    title: str
    columns: list[str]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    words: tuple[int, ...] = (0,)


def network_table(counted: Counted) -> Table:
    """Stages and totals of one network."""
    (of, report), *_ = counted.counts.items()
    columns = ["part", "nodes", "convs", "edges", "params", "MACs", "FLOPs"]
    columns += ["published params", "published MACs"]
    published = report.published_parts()
    rows = [Row([name, *_shape(part), *_cost(part, published.get(name))]) for name, part in report.parts]
    rows.append(Row(["total", *_totals(report)], is_total=True))
    if counted.bound is not None:
        rows.append(Row(["bound", *_totals(counted.bound)]))
    if counted.paper is not None:
        rows.append(Row(["paper", "", "", "", "", "", "", *_paper(counted.paper)]))
    others = f"{of}; norms and biases, in no column: {_number(report.norm_and_bias_params)} parameters."
    title = f"{counted.name}: {_describe(counted.model)}"
    return _without_empty_columns(Table(title, columns, rows, [others, *_notes(report)]))


def published_table(networks: list[Counted]) -> Table:
    """All networks of the paper, one line per thing counted."""
    columns = ["network", "counted", "params", "MACs", "FLOPs", "published params", "published MACs"]
    columns += ["paper params", "paper MACs"]
    rows = []
    for counted in networks:
        reports = {} if counted.bound is None else {"bound": counted.bound}
        name, paper = counted.name, ["", ""] if counted.paper is None else _paper(counted.paper)
        for of, report in (reports | counted.counts).items():
            rows.append(Row([name, of, *_totals(report)[3:], *paper]))
            name, paper = "", ["", ""]
    learned = "Learned wirings were published after training, which kills nodes: give a RUN to count one."
    notes = [MACS_NOTE, BOUND_NOTE.split(" convs")[0], PUBLISHED_NOTE, learned]
    return Table("Published networks, 224 pixels, 1000 classes", columns, rows, notes, words=(0, 1))


def removal_table(counted: Counted) -> Table:
    """What the 2019 program's removal of nodes and ours leave of one network."""
    columns = ["removed", "nodes", "edges", "params", "MACs", "FLOPs", "MACs left"]
    whole = next(iter(counted.left.values())).macs
    rows = []
    for rule, left in counted.left.items():
        numbers = (left.nodes, left.edges, left.params, left.macs, 2 * left.macs)
        rows.append(Row([rule, *map(_number, numbers), f"{left.macs / whole:.1%}" if whole else ""]))
    return Table(f"{counted.name}: what is left after removing nodes", columns, rows, [REMOVAL_NOTE])


def micronet_tables(counted: Counted) -> list[Table]:
    """What the MicroNet challenge counts, part by part, and the scores that follow."""
    entry = counted.entry
    if entry is None:
        return []
    task, parts = entry.task, entry.counted.parts
    rows = [
        Row([name, *map(_number, (tally.values, tally.multiplications, tally.additions, tally.other))])
        for name, tally in parts.items()
    ]
    total = entry.counted.total
    sums = (total.values, total.multiplications, total.additions, total.other)
    rows.append(Row(["total", *map(_number, sums)], is_total=True))
    columns = ["part", "values", "multiplications", "additions", "other operations"]
    bits = ", ".join(f"{count:,} ({mask})" for mask, count in entry.counted.bits.items())
    made = Table(f"{counted.name}: what MicroNet counts", columns, rows, [f"Bits of the mask: {bits}."])
    scores = [
        Row(
            [
                score.mask,
                "16 bits" if score.halved else "32 bits",
                f"{score.storage:,.1f}",
                f"{score.operations:,.1f}",
                f"{score.score:.4f}",
            ]
        )
        for score in entry.counted.scores(task)
    ]
    notes = [
        f"{task.name}: storage / {task.storage:,} + operations / {task.operations:,}; the lower the better.",
        f"A score wants {task.correct:,} of {task.images:,} images right: {_standing(entry)}",
    ]
    columns = ["mask", "values as", "storage", "operations", "score"]
    return [made, Table(f"{counted.name}: MicroNet score", columns, scores, notes, words=(0, 1))]


def _standing(entry: Entry) -> str:
    if entry.top1 is None:
        return "how many this network has is not known."
    right = f"{round(entry.top1 * entry.task.images):,} ({entry.top1:.2%})"
    if entry.eligible:
        return f"met with {right}."
    return f"not met with {right}; the score is for comparison only."


def markdown(table: Table) -> str:
    """A Markdown table under a bold title, notes below."""
    rule = [":--" if index in table.words else "--:" for index in range(len(table.columns))]
    lines = [_line(table.columns), _line(rule), *(_line(row.cells) for row in table.rows)]
    return "\n".join([f"**{table.title}**", "", *lines, "", *(f"{note}  " for note in table.notes)]).rstrip()


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _notes(report: Report) -> list[str]:
    if report.published is None:
        return [MACS_NOTE]
    return [MACS_NOTE, BOUND_NOTE, TINY_NOTE if report.published.macs is None else PUBLISHED_NOTE]


def _without_empty_columns(table: Table) -> Table:
    used = [index for index in range(len(table.columns)) if any(row.cells[index] for row in table.rows)]
    rows = [Row([row.cells[index] for index in used], row.is_total) for row in table.rows]
    words = tuple(number for number, index in enumerate(used) if index in table.words)
    return Table(table.title, [table.columns[index] for index in used], rows, table.notes, words)


def _describe(model: Any) -> str:
    unused = model.meaningless()
    keys = [key for key in ("rule", "width", "edges", "density", "multiplier") if key not in unused]
    said = [f"{key} {getattr(model, key)}" for key in keys if getattr(model, key) is not None]
    name = f"{model.network} small" if model.small else model.network
    return ", ".join([name, *said, f"{model.image_size} pixels", f"{model.num_classes} classes"])


def _shape(part: Part | Report) -> list[str]:
    if isinstance(part, Part) and not isinstance(part, StageCount):
        return ["", "", ""]
    return [_number(part.nodes), _number(part.convolutions), _number(part.edges)]


def _cost(part: Part, published: Part | None) -> list[str]:
    beside = ["", ""] if published is None else [_number(published.params), _number(published.macs)]
    return [_number(part.params), _number(part.macs), _number(part.flops), *beside]


def _totals(report: Report) -> list[str]:
    exact = [report.params, report.macs, report.flops]
    cost = [_number(value) for value in (*exact, report.published_params, report.published_macs)]
    return [*_shape(report), *cost]


def _paper(row: PaperRow) -> list[str]:
    return [f"{row.params} M", "" if row.macs is None else f"{row.macs} M"]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
