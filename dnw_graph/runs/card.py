"""The model card of a run: README.md of its repository on the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dnw_graph.accounting import count
from dnw_graph.config import to_yaml
from dnw_graph.config.schema import Config
from dnw_graph.config.yaml_text import write_yaml
from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork
from dnw_graph.runs.run import Run
from dnw_graph.shown import counted, listed

_SPECIAL = re.compile(r"[\\`*_\[\]<>|#~&$!]")


def card_of(run: Run, cfg: Config, records: Sequence[dict[str, Any]], repo: str, license: str | None) -> str:
    """Markdown with a YAML front matter.

    cfg      the configuration that is shown: it may leave out what says nothing elsewhere
    records  those of metrics.jsonl; empty: the card has no scores
    """
    parts = [
        _front_matter(run, license),
        f"# {repo.partition('/')[2]}\n\n{_sentence(run, cfg)}\n",
        _table(["", ""], _facts(run, cfg)),
        _scores(run, records),
        _use(run, repo),
        f"## How it was trained\n\n```yaml\n{to_yaml(cfg)}```\n",
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(run: Run, license: str | None) -> str:
    tags = ["dnw-graph", "image-classification", run.config.data.dataset.replace("_", "-")]
    if isinstance(run.model, WiredNetwork):
        tags += ["neural-wiring", "sparse", "graph"]
    values: dict[str, Any] = {} if license is None else {"license": license}
    values |= {"library_name": "dnw-graph", "pipeline_tag": "image-classification", "tags": tags}
    return f"---\n{write_yaml(values)}---\n"


def _sentence(run: Run, cfg: Config) -> str:
    wired = isinstance(run.model, WiredNetwork)
    kind = f"wired by the rule {_plain(cfg.model.rule)}" if wired else "which is dense"
    return (
        f"The network {_plain(cfg.model.network)}, {kind}, classifies images of "
        f"{_plain(cfg.data.dataset)} into {counted(cfg.model.num_classes, 'class', 'classes')}; it was made "
        "with dnw-graph."
    )


def _facts(run: Run, cfg: Config) -> list[tuple[str, ...]]:
    size, position = count(run.model), run.state.get("position") or {}
    rows: list[tuple[str, ...]] = [("network", _plain(cfg.model.network))]
    if isinstance(run.model, WiredNetwork):
        rows.append(("rule", _plain(cfg.model.rule)))
    rows += [
        ("data set", _plain(cfg.data.dataset)),
        ("image", f"{cfg.model.image_size} × {cfg.model.image_size} pixels"),
        ("classes", _plain(listed(run.class_names, 100))),
    ]
    if position.get("epoch"):
        best = run.checkpoint.name.partition(".")[0] == "best"
        chosen = {True: "chosen by validation", False: "the last"}[best]
        if best and run.state.get("best_by") is None:
            chosen = "chosen by the test images"
        rows.append(("epoch", f"{position['epoch']} ({chosen})"))
    if size.edges is not None:
        rows += [("live edges", f"{size.edges:,}"), ("live nodes", f"{size.nodes:,}")]
    evaluation = " and evaluation of the graph" if size.evaluations == 0 else ""
    rows += [
        ("multiply-accumulates", f"{size.macs:,} for an image{evaluation} (exact)"),
        ("parameters", f"{size.params:,}, besides {size.norm_and_bias_params:,} of norms and biases"),
    ]
    for each in run.state.get("plugins") or ():
        rows.append(("needs the plugin", f"{_plain(each['file'])}, SHA-256 {_plain(each['sha256'])}"))
    return rows


def _scores(run: Run, records: Sequence[dict[str, Any]]) -> str:
    """Of the epoch of the checkpoint; empty where nothing was measured."""
    epoch = (run.state.get("position") or {}).get("epoch")
    found = [each for each in records if each["kind"] == "epoch" and each["epoch"] == epoch]
    images, rows = run.state.get("data") or {}, []
    for part, key in (("validation", "val"), ("test", "test")):
        if not found or f"{key}_top1" not in found[-1]:
            continue
        of, record = images.get(part), found[-1]
        top5 = record.get(f"{key}_top5")
        row = (
            part,
            "" if of is None else f"{of['images']:,}",
            f"{record[f'{key}_top1']:.2%}",
            "" if top5 is None else f"{top5:.2%}",
            f"{record[f'{key}_loss']:.4f}",
        )
        rows.append(row)
    table = _table(["part", "images", "top-1", "top-5", "loss"], rows)
    return f"## Scores after epoch {epoch}\n\n{table}" if rows else ""


def _use(run: Run, repo: str) -> str:
    address = f"hf://{repo}"
    call, command = 'run.predict("image.png")', f"dnw-graph predict {address} image.png"
    try:
        assert run.preprocess
    except InputError:
        call, command = "run.compiled(images)  # floats [N, 3, S, S], prepared as for its training", ""
    return "\n".join(
        [
            "## How to use it",
            "",
            "```python",
            "import dnw_graph as dg  # pip install 'dnw-graph[hub]'",
            f'run = dg.load_run("{address}")',
            call,
            "```",
            *(["", "```sh", command, "```"] if command else []),
            "",
        ]
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(text: str) -> str:
    """Names are anyone's: on one line, and without a meaning in Markdown."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))
