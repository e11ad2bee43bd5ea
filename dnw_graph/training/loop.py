"""Training, from the first step to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from dnw_graph.config.schema import Config
from dnw_graph.data import open_data
from dnw_graph.data.workers import telling_of_dead_workers
from dnw_graph.dependencies import missing_of
from dnw_graph.errors import InputError
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.runs.journal import Journal
from dnw_graph.runs.lock import RunLock
from dnw_graph.runs.plugins import load_plugins
from dnw_graph.runs.state import Position
from dnw_graph.training.distributed import World, join
from dnw_graph.training.images import WORDS, RunImages
from dnw_graph.training.learner import Learner
from dnw_graph.training.progress import Display
from dnw_graph.training.resume import check_data, restore_session
from dnw_graph.training.session import Session, Summary
from dnw_graph.training.stop import StopRequest


def train(
    cfg: Config,
    run_dir: str | Path,
    *,
    data_dir: str | Path | None = None,
    resume: str | None = None,
    plugin: str | Path | Sequence[str | Path] = (),
) -> Summary:
    """Train the network of a configuration and leave everything in `run_dir`.

    data_dir  where the images are, instead of data.directory
    resume    None: a new run; "auto": go on from the last checkpoint, if any; or a checkpoint of this run
    plugin    files with rules of the user's own; they are executed
    Started by torchrun, all processes call this and share each batch. Ctrl-C ends it with a checkpoint after
    the step in progress; the summary says so. Raises InputError for what a user can mend.
    """
    with telling_of_dead_workers(), open_session(cfg, Path(run_dir), data_dir, resume, plugin) as session:
        while not session.finished:
            for parts in session.batches():
                session.step(parts)
                if session.due(cfg.logging.every_steps):
                    session.record_step()
                if session.due(cfg.checkpoint.every_steps):
                    session.save()
                if session.stop_requested():
                    return session.interrupt()
            session.save()  # An image that cannot be read, or a crash, must not cost the epoch.
            scores = session.evaluate()
            if scores is None:
                return session.interrupt()
            session.finish_epoch(scores)
        return session.summary()


@contextmanager
def open_session(
    cfg: Config,
    run_dir: Path,
    data_dir: str | Path | None,
    resume: str | None,
    plugin: str | Path | Sequence[str | Path],
) -> Iterator[Session]:
    """Check everything, then begin the run or go back to where its checkpoint stands."""
    if data_dir is not None:
        cfg = cfg.model_copy(update={"data": cfg.data.model_copy(update={"directory": str(data_dir)})})
    plugin_files = [plugin] if isinstance(plugin, (str, Path)) else plugin
    plugins = load_plugins(plugin_files)
    if cfg.training.threads is not None:
        torch.set_num_threads(cfg.training.threads)
    with join(cfg.training.device) as world, ExitStack() as stack:
        run = RunDirectory(run_dir)
        start = world.decide(lambda: take(run, cfg, resume, plugins, stack))
        found = None if start["checkpoint"] is None else Path(start["checkpoint"])
        images = stack.enter_context(open_images(cfg, world))
        learner, position, journal_end = Learner(cfg, world), Position(), 0
        if found is not None:
            check_data(found, images)
            position, journal_end = restore_session(found, learner)
        steps_per_epoch = images.train.num_batches // cfg.training.accumulate
        if position.step_in_epoch > steps_per_epoch:
            raise InputError(
                f"{found}: stands at step {position.step_in_epoch} of an epoch, which has {steps_per_epoch} "
                "with these images; give the data that the run was trained on."
            )
        world.decide(lambda: run.begin(cfg))
        display = stack.enter_context(
            Display(world.is_main, cfg.training.epochs, steps_per_epoch, position.step)
        )
        missing = missing_of("tensorboard") if cfg.logging.tensorboard else None
        if missing is not None:
            display.line(f"no TensorBoard events: {missing}")
        tensorboard = run.tensorboard if cfg.logging.tensorboard and missing is None else None
        journal = (
            stack.enter_context(Journal(run.metrics, tensorboard, journal_end, position.step))
            if world.is_main
            else None
        )
        stop = stack.enter_context(StopRequest())
        session = Session(
            cfg,
            world,
            run,
            learner,
            images,
            plugins,
            position,
            journal,
            display,
            stop,
            plugin_files,
        )
        display.line(introduction(session, resume))
        for notice in (*start["notices"], journal.notice if journal else None):
            if notice is not None:
                display.line(f"note: {notice}")
        if found is None:
            session.save_wiring()
        elif found != run.checkpoint("last"):
            session.save()  # otherwise a later "auto" would go on from a branch that was left
        yield session


def take(
    run: RunDirectory, cfg: Config, resume: str | None, plugins: list[dict[str, str]], stack: ExitStack
) -> dict[str, Any]:
    """Lock the run directory while `stack` is open → what `RunDirectory.check` found, put in order."""
    run.check_place(resume)
    held = stack.enter_context(RunLock(run.path))
    start = run.check(cfg, resume, plugins)
    found = run.prepare(start)
    notices = start["notices"] + ([] if held.notice is None else [held.notice])
    return {"checkpoint": None if found is None else str(found), "notices": notices}


@contextmanager
def open_images(cfg: Config, world: World) -> Iterator[RunImages]:
    """All parts of the data set for this rank. Raises InputError when they do not fit."""
    size = images_per_part(cfg, world)
    source = open_data(
        cfg.data,
        image_size=cfg.model.image_size,
        num_classes=cfg.model.num_classes,
        seed=cfg.training.seed,
        rank=world.rank,
        world_size=world.size,
    )
    train = source.batches("train", size)
    assert train is not None
    if train.num_batches < cfg.training.accumulate:
        raise InputError(
            f"training.batch_size {cfg.training.batch_size} is more than the {train.num_samples} "
            "training images; use a smaller one."
        )
    size = cfg.training.eval_batch_size or size
    images = RunImages(train, source.batches("validation", size), source.batches("test", size))
    try:
        yield images
    finally:
        for each in images.parts().values():
            each.close()


def images_per_part(cfg: Config, world: World) -> int:
    """Images of one rank's part of a batch. Raises InputError when the parts cannot be equal."""
    parts = world.size * cfg.training.accumulate
    if cfg.training.batch_size % parts:
        raise InputError(
            f"training.batch_size {cfg.training.batch_size} cannot be shared by {world.size} processes with "
            f"training.accumulate {cfg.training.accumulate}; make it a multiple of {parts}."
        )
    return cfg.training.batch_size // parts


def introduction(session: Session, resume: str | None) -> str:
    """What runs, on what, where, and from where on."""
    cfg, position, world = session.cfg, session.position, session.world
    start = "from the beginning"
    if position.step:
        start = f"from step {position.step:,} on"
    elif resume == "auto":
        start = "from the beginning, for there is no checkpoint yet"
    places = f"{world.size} processes" if world.size > 1 else str(world.device)
    parts = session.images.parts().items()
    *counts, last = [f"{each.num_samples:,} {WORDS[part]}" for part, each in parts]
    images = f"{', '.join(counts)} and {last}" if counts else last
    return (
        f"{session.run.path}: {cfg.model.network} on {cfg.data.dataset}, {images} images, "
        f"{cfg.training.epochs} epochs of {session.steps_per_epoch:,} steps, {places}, {start}"
    )
