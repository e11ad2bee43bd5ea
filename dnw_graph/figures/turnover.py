"""Turnover: how fast edges enter, how old they get, and when the wiring settles."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dnw_graph.errors import InputError
from dnw_graph.figures import style
from dnw_graph.figures.cohorts import Cohorts, changes_of
from dnw_graph.figures.subject import Subject
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.runs.history import read_records

HEIGHT = 8.6
MAX_COHORTS = 6
_TONES = ("#08306B", "#2171B5", "#6BAED6", "#C6DBEF", "#FDD0A2", "#F16913")
_HATCHES = ("", "", "", "", "....", "")

Record = dict[str, Any]


def turnover_figure(subject: Subject) -> Figure:
    """Entries per step; new edges per epoch; age of the edges; agreement with the first and the last wiring.

    Raises InputError for a run without stored wirings or records, and for a wiring that never changed.
    """
    _, cohorts = changes_of(subject, "turnover")
    assert subject.run is not None
    records = read_records(RunDirectory(subject.run).metrics)
    if not any(record.get("kind") == "epoch" for record in records):
        raise InputError(f"{subject.run}: metrics.jsonl has no record of an epoch; train for an epoch")
    if any("swaps" not in record for record in records):
        raise InputError(
            f"{subject.run}: metrics.jsonl has a record without swaps; give a run with whole records"
        )
    figure = style.new_figure(
        HEIGHT, "Turnover: how the wiring changed over training", subject.titled(subject.span)
    )
    axes = figure.subplots(2, 2)
    _draw_entries(axes[0, 0], records, whole=subject.is_whole)
    _draw_new(axes[0, 1], cohorts)
    _draw_ages(axes[1, 0], cohorts)
    _draw_settling(axes[1, 1], cohorts, records)
    for each in axes.flat:
        each.set_xlim(0, cohorts.epochs[-1])
        each.xaxis.set_major_locator(MaxNLocator(integer=True))
        each.set_xlabel("epoch")
    return figure


def entries_per_step(records: list[Record]) -> tuple[list[float], list[float]]:
    """(epochs passed, edges that entered per step up to there since the point before).

    A record of kind `step` counts since the record before it, one of kind `epoch` over its whole epoch: what
    the steps of an epoch did not say happened after the last of them.
    """
    steps_per_epoch = next(each["step"] / each["epoch"] for each in records if each["kind"] == "epoch")
    epochs, rates, done, counted = [], [], 0, 0
    for record in records:
        swaps, steps = record["swaps"], record["step"] - done
        if record["kind"] == "epoch":
            swaps, counted = swaps - counted, 0
        else:
            counted += swaps
        if steps > 0:
            epochs.append(record["step"] / steps_per_epoch)
            rates.append(swaps / steps)
        done = record["step"]
    return epochs, rates


def _draw_entries(axes: Axes, records: list[Record], *, whole: bool) -> None:
    epochs, rates = entries_per_step(records)
    axes.step([0, *epochs], [rates[0], *rates], where="pre", color=style.BLUE, linewidth=1.6)
    axes.set_yscale("symlog", linthresh=1, linscale=0.5)
    axes.set_ylim(0, max(*rates, 1) * 2)
    axes.set_ylabel("edges that enter, per step")
    axes.set_title("entries at each step, returns included" + ("" if whole else " (all stages)"))
    _plain_numbers(axes)
    style.ruled(axes)


def _draw_new(axes: Axes, cohorts: Cohorts) -> None:
    epochs, widths = cohorts.epochs[1:], np.diff(cohorts.epochs)
    axes.bar(epochs - widths, cohorts.entered[1:], widths * 0.92, align="edge", color=style.BLUE, linewidth=0)
    if len(epochs) <= 12:
        for left, width, count in zip(epochs - widths, widths, cohorts.entered[1:], strict=True):
            axes.text(
                left + width * 0.46, count, f"{count:,}", ha="center", va="bottom", fontsize=style.SMALL
            )
    axes.set_ylim(0, cohorts.entered.max() * 1.12)
    axes.set_ylabel("edges")
    axes.set_title("new at the end of each epoch, net of returns")
    _plain_numbers(axes)
    style.ruled(axes)


def _draw_ages(axes: Axes, cohorts: Cohorts) -> None:
    """Stacked: which part of each wiring has been in it since when."""
    # The first wiring is a class of its own: it was drawn, not learned.
    bounds = np.unique([0, *np.linspace(1, len(cohorts.epochs), MAX_COHORTS).astype(int)])
    layers, labels = [], []
    for start, end in pairwise(bounds.tolist()):
        layers.append(100 * cohorts.since[:, start:end].sum(axis=1) / np.maximum(cohorts.edges, 1))
        first, last = cohorts.epochs[start], cohorts.epochs[end - 1]
        span = f"epoch {first}" if first == last else f"epochs {first} to {last}"
        labels.append(span if start else "the start")
    polygons = axes.stackplot(
        cohorts.epochs, layers, colors=_TONES[: len(layers)], edgecolor="white", linewidth=0.7
    )
    for polygon, hatch in zip(polygons, _HATCHES, strict=False):
        polygon.set_hatch(hatch)
    axes.set_ylim(0, 100)
    axes.set_ylabel("% of the wiring")
    axes.set_title("age of the edges")
    handles, names = polygons, labels
    axes.legend(
        handles,
        names,
        title="in the wiring since",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=3,
        alignment="center",
    )
    style.ruled(axes)


def _draw_settling(axes: Axes, cohorts: Cohorts, records: list[Record]) -> None:
    of_last = 100 * cohorts.in_last / max(int(cohorts.edges[-1]), 1)
    of_first = 100 * cohorts.since[:, 0] / max(int(cohorts.edges[0]), 1)
    axes.plot(
        cohorts.epochs,
        of_last,
        color=style.BLUE,
        linewidth=2,
        label="edges of the last wiring that are in it",
    )
    axes.plot(
        cohorts.epochs,
        of_first,
        color=style.VERMILLION,
        linewidth=2,
        linestyle=style.DASHED,
        label="edges of the first wiring that never left",
    )
    epochs = [record for record in records if record["kind"] == "epoch"]
    # Folders without test images have validation scores alone.
    part = "test" if any("test_top1" in record for record in epochs) else "val"
    tests = [record for record in epochs if f"{part}_top1" in record]
    axes.plot(
        [record["epoch"] for record in tests],
        [100 * record[f"{part}_top1"] for record in tests],
        color=style.INK,
        linewidth=1.4,
        linestyle=style.DOTTED,
        marker="o" if len(tests) <= 30 else "",
        markersize=4,
        clip_on=False,
        label="test accuracy (top-1)" if part == "test" else "validation accuracy (top-1)",
    )
    axes.set_ylim(0, 102)
    axes.set_ylabel("%")
    axes.set_title("when the wiring settles")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))
    style.ruled(axes)


def _plain_numbers(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
