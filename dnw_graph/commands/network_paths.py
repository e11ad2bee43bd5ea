"""How a run's or a configuration's network trains and runs on this machine, and why not faster."""

from __future__ import annotations

import argparse

from dnw_graph.commands import options
from dnw_graph.errors import InputError

Ways = dict[str, dict[str, str | None]]


def paths(args: argparse.Namespace) -> dict[str, Ways]:
    """Per kind of work and part of the network, why each way is passed over; the first None is taken.

    args  those of `info`: a run or a configuration.
    """
    from dnw_graph.inference import compile
    from dnw_graph.message_passing.choice import reasons
    from dnw_graph.models.network import WiredNetwork
    from dnw_graph.models.registry import build_model
    from dnw_graph.runs.load import load_run

    if args.run is not None:
        run = load_run(args.run, overrides=args.overrides)
        cfg, model = run.config, run.model
    else:
        cfg = options.read_config(args)
        model = build_model(cfg)
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{cfg.model.network} is a dense network, which torch runs; give a wired one")
    model.train()
    batch = cfg.training.batch_size // cfg.training.accumulate
    backends: Ways = {}
    for wired in model.body_stages():
        asked, weight = wired.backend, wired.weight
        edges, candidates = wired.selected.numel(), wired.stage.num_candidates
        auto = reasons(weight.device, weight.dtype, edges, candidates)
        backends[wired.name] = auto if asked == "auto" else {asked: None}
    training = model.body.training_paths(model.stem_side, batch)
    network = compile(model.eval(), cfg.model.backend)
    engine = None if network.backend == "native" else f"backend {network.backend}"
    engine = engine if network.engine_lacks is None else f"it lacks {network.engine_lacks}"
    ways = {"engine, whole network": engine, f"step by step, {network.backend}": None}
    return {
        "training": training,
        "backend of messages": backends,
        "compiled": {"network": ways},
    }
