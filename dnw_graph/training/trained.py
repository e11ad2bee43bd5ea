"""Training from Python: a configuration in, a network in use out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dnw_graph.arguments import path_of, several
from dnw_graph.config.schema import Config
from dnw_graph.errors import InputError
from dnw_graph.runs.load import load_run
from dnw_graph.runs.run import Run
from dnw_graph.training import loop


def train(
    cfg: Config,
    run_dir: str | Path | None = None,
    *,
    data_dir: str | Path | None = None,
    resume: str | Path | None = None,
    plugin: str | Path | Sequence[str | Path] = (),
) -> Run:
    """Train the network of a configuration → the run, as `load_run` gives it.

    run_dir   where everything goes; None: runs/DATASET-NETWORK-seedN
    data_dir  where the images are, instead of data.directory
    resume    None: a new run; "auto": go on from the last checkpoint, if any; or a checkpoint of this run
    plugin    files with pieces of the user's own; they are executed
    Ctrl-C saves, says how to go on, and raises KeyboardInterrupt. Raises InputError for what a user can mend.
    """
    if not isinstance(cfg, Config):
        raise InputError(
            f"train takes a configuration and was given a {type(cfg).__name__}; give "
            "dnw_graph.load_config(path)"
        )
    if run_dir is None:
        run_dir = Path("runs") / f"{cfg.data.dataset}-{cfg.model.network}-seed{cfg.training.seed}"
    path_of(run_dir, "run_dir")
    if data_dir is not None:
        path_of(data_dir, "data_dir")
    if resume is not None:
        resume = str(path_of(resume, "resume"))
    given = (
        [plugin]
        if isinstance(plugin, (str, Path))
        else several(plugin, "plugin", "a path, or a list of paths")
    )
    plugin = [path_of(each, "plugin") for each in given]
    summary = loop.train(cfg, run_dir, data_dir=data_dir, resume=resume, plugin=plugin)
    if summary.interrupted:
        raise KeyboardInterrupt
    return load_run(summary.run_dir)
