"""`dnw-graph convert-official`: a checkpoint of the 2019 program becomes a run of ours."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnw_graph.commands import options
from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from dnw_graph.config import Config
    from dnw_graph.models.network import WiredNetwork

HELP = "turn a checkpoint of the 2019 program into a run directory"

EXAMPLES = """\
dnw-graph convert-official dnw_x225.pt --config imagenet/dnw_x0.225 -o runs/dnw_x225
"""

WORDS = {
    "top_k": "dnw",
    "random": "random",
    "top_k_no_update": "dnw_no_update",
    "fixed_top_k": "fine_tune",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="checkpoint of the 2019 trainer, either era of torch files"
    )
    options.add_config(parser)
    options.add_overrides(parser)
    parser.add_argument("-o", "--output", metavar="RUN", required=True, help="run directory to write")


def run(args: argparse.Namespace) -> int:
    convert(args.file, options.read_config(args), args.config, args.output)
    return 0


def convert(file: str | Path, cfg: Config, config: str, output: str) -> None:
    """Write the run directory of a file that a configuration describes, and say what is in it.

    config  what the user called the configuration. Raises InputError for a file that does not fit it.
    """
    from dnw_graph.accounting import count
    from dnw_graph.interchange.official import WrongNetworkError, from_official
    from dnw_graph.models.dynamic import DynamicBody
    from dnw_graph.training.adopt import adopt

    wanted = arguments_of(cfg, config)
    try:
        model = from_official(file, **wanted)
    except WrongNetworkError as error:
        raise InputError(f"--config {config} does not fit: {error}") from error
    # A file tells its network's sizes; and a side effect that its weights were trained with.
    told: dict[str, Any] = {} if wanted["network"] == "mobilenet_v1" else {"options": sizes_of(model)}
    if isinstance(model.body, DynamicBody) and model.body.clip:
        told["inplace_relu"] = True
    cfg = cfg.model_copy(update={"model": cfg.model.model_copy(update=told)})
    path = adopt(cfg, model, output)
    stages = model.facts.official.values()
    kept, never_read = sum(each.usable for each in stages), sum(each.never_read for each in stages)
    report = count(model)
    print(f"{path}: {wanted['network']}, {wanted['graph']} wiring of {kept:,} edges")
    print(f"dropped {never_read:,} edges that the 2019 program kept but never read")
    print(f"exact: {report.params:,} parameters, {report.macs:,} MACs per image")


def arguments_of(cfg: Config, config: str) -> dict[str, Any]:
    """What `from_official` is told for a configuration. Raises InputError if 2019 had no such network."""
    model = cfg.model
    if not model.is_wired:
        raise InputError(f"{config}: {model.network} is a dense baseline; give the config of a wired network")
    if model.rule not in WORDS:
        raise InputError(
            f"{config}: model.rule {model.rule} has no counterpart in the 2019 program; give a config with "
            f"one of {', '.join(WORDS)}"
        )
    wanted: dict[str, Any] = {
        "network": model.network,
        "graph": WORDS[model.rule],
        "prune_rate": prune_rate(cfg, config),
        "image_size": model.image_size,
        "num_classes": model.num_classes,
    }
    if blocks := (model.options or {}).get("blocks"):
        wanted["blocks"] = [tuple(row) for row in blocks]
    return wanted | ({"small": True} if model.small else {})


def sizes_of(model: WiredNetwork) -> dict[str, Any]:
    """`model.options` of a tiny network."""
    levels, hidden = model.layout.levels, model.stem.conv.out_channels  # type: ignore[union-attr]
    if model.layout.evaluations is None:
        sizes: dict[str, Any] = {"groups": [level.size for level in levels[:-1]], "readout": levels[-1].size}
    else:
        readout = model.body.readout
        sizes = {"nodes": levels[0].size, "inputs": model.layout.inputs, "readout": readout}
        sizes |= {"times": model.layout.evaluations} if model.layout.evaluations else {}
    return sizes | {"stem_channels": hidden}


def prune_rate(cfg: Config, config: str) -> float:
    """The 2019 program's prune rate for a budget of ours.

    There a tiny network's budget was a share of all 800² pairs, 0.05 of which are the 32,000 edges.
    """
    model = cfg.model
    if model.width is not None:
        return float(1 - Fraction(str(model.width)))
    if model.edges is not None:
        from dnw_graph.models.tiny_dynamic import PUBLISHED_NODES

        given = model.options or {}
        nodes = given.get("nodes", sum(given.get("groups", ())) or PUBLISHED_NODES)
        return float(1 - Fraction(model.edges, nodes**2))
    raise InputError(
        f"{config}: model.density was no budget of the 2019 program; give model.width or model.edges"
    )
