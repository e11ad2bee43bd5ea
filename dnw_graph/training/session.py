"""A run in progress: learner, data, records and checkpoints, and where it stands."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from dnw_graph.config.schema import Config
from dnw_graph.errors import InputError
from dnw_graph.runs.checkpoint import find_checkpoint, write_checkpoint
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.runs.history import history_of
from dnw_graph.runs.journal import Journal
from dnw_graph.runs.state import Position
from dnw_graph.runs.weights import wiring_facts
from dnw_graph.training import random_state
from dnw_graph.training.distributed import World
from dnw_graph.training.evaluate import evaluate
from dnw_graph.training.images import RunImages
from dnw_graph.training.learner import Learner
from dnw_graph.training.progress import Display
from dnw_graph.training.schedule import learning_rate
from dnw_graph.training.stop import StopRequest
from dnw_graph.training.transfer import ready_for

if TYPE_CHECKING:
    from dnw_graph.training.wiring_log import WiringLog


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    best_top1   of the best epoch, fraction of the validation images; nan where none has been chosen
    best_epoch  counted from 1; 0 where none has been chosen, so that the last checkpoint counts
    """

    run_dir: Path
    epochs: int
    steps: int
    best_top1: float
    best_epoch: int
    interrupted: bool


@dataclass
class Session:
    """What the loop in `dnw_graph.training.loop` speaks to. Its methods are collectives of all ranks."""

    cfg: Config
    world: World
    run: RunDirectory
    learner: Learner
    images: RunImages
    plugins: list[dict[str, str]]
    position: Position
    journal: Journal | None
    display: Display
    stop: StopRequest
    plugin_files: Sequence[str | Path] = ()

    def __post_init__(self) -> None:
        self._clock = time.perf_counter()
        self._wiring_log: WiringLog | None = None

    @property
    def finished(self) -> bool:
        return self.position.epoch >= self.cfg.training.epochs

    @property
    def steps_per_epoch(self) -> int:
        return self.images.train.num_batches // self.cfg.training.accumulate

    def lr(self, step: int) -> float:
        """Learning rate of optimiser step number `step`, from 0."""
        peak, epochs = self.cfg.optimizer.lr, self.cfg.training.epochs
        return learning_rate(self.cfg.schedule, peak, step, self.steps_per_epoch, epochs)

    def batches(self) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
        """The rest of this epoch: for each optimiser step its parts, which that step must read to the end."""
        accumulate, done = self.cfg.training.accumulate, self.position.step_in_epoch
        parts = self.images.train.epoch(self.position.epoch, first_batch=done * accumulate)
        parts = ready_for(self.world.device, parts)
        for _ in range(done, self.steps_per_epoch):
            yield islice(parts, accumulate)

    def step(self, parts: Iterator[tuple[Tensor, Tensor]]) -> None:
        """One optimiser step and rewiring. Raises InputError when the selection meets NaN."""
        position = self.position
        try:
            self.learner.step(position.step, parts, self.lr(position.step))
        except FloatingPointError as error:
            raise self._diverged(position.step + 1, error) from error
        position.step += 1
        position.step_in_epoch += 1
        self.display.step(position.epoch + 1, position.step_in_epoch)

    def due(self, every: int | None) -> bool:
        """Whether something that happens every so many steps happens after this one."""
        return every is not None and self.position.step % every == 0

    def stop_requested(self) -> bool:
        return self.world.any(self.stop.requested)

    def record_step(self) -> None:
        """Write what happened since the last record. Waits for the device; looks for numbers out of range."""
        self._check()
        self._lap()
        loss, top1, images = self.learner.window.read(self.world)
        self._add("step", loss, top1, images / self.position.window_seconds, int(self.learner.swaps))
        self._close_window()

    @property
    def chooses(self) -> bool:
        """Whether the score of validation images chooses the best checkpoint."""
        return self.images.validation is not None and self.cfg.data.validation != 0

    def evaluate(self) -> dict[str, float] | None:
        """Scores of the network that counts, as {"val_top1": …, "test_top1": …}, of the parts that there are.

        None on Ctrl-C (one process only). Save before it.
        """
        self.world.share_statistics(self.learner.model)
        network = self.learner.evaluated(self.position.step)
        found: dict[str, float] = {}
        for name, images in (("val", self.images.validation), ("test", self.images.test)):
            if images is None:
                continue
            scores = evaluate(
                network,
                images,
                num_classes=self.cfg.model.num_classes,
                device=self.world.device,
                precision=self.cfg.training.precision,
                stopped=lambda: self.world.size == 1 and self.stop.requested,
            )
            if scores is None:
                return None
            del scores["images_per_second"]
            found |= {f"{name}_{key}": value for key, value in scores.items()}
        self._clock = time.perf_counter()
        return found

    def finish_epoch(self, scores: dict[str, float]) -> None:
        """Write the epoch's record, wiring and checkpoints; the next epoch begins."""
        position, learner = self.position, self.learner
        for part, key in (("validation", "val_loss"), ("test", "test_loss")):
            if not isfinite(scores.get(key, 0.0)):
                raise self._diverged(position.step, FloatingPointError(f"the {part} loss is not finite"))
        self._close_window()
        loss, top1, images = learner.epoch.read(self.world)
        learner.epoch.clear()
        self._add(
            "epoch", loss, top1, images / position.seconds, position.swaps, **scores, seconds=position.seconds
        )
        position.epoch, position.step_in_epoch, position.swaps, position.seconds = (
            position.epoch + 1,
            0,
            0,
            0.0,
        )
        self.save_wiring()
        if self.chooses and scores["val_top1"] > position.best_top1:
            position.best_top1, position.best_epoch = scores["val_top1"], position.epoch
            self.save("best")
        self.save("last")

    def save_wiring(self) -> None:
        """Write wiring/epoch_NNNN.npz for the epochs finished so far, and show it to TensorBoard."""
        if not self.learner.wired or self.journal is None:
            return
        epoch = self.position.epoch
        self.run.save_wiring(epoch, self.learner.model.wirings())
        if self.journal.writer is not None:
            # From the files, since the epoch before may have been another process.
            history = history_of(self.run.path)
            before = history.wiring(epoch - 1) if epoch - 1 in history.epochs else None
            if before is not None and before.keys() != self.learner.model.wirings().keys():
                raise InputError(
                    f"{self.run.wiring(epoch - 1)}: is the wiring of another network; remove it, then go on "
                    "with --resume auto."
                )
            if self._wiring_log is None:
                # Pictures need matplotlib, of which a run without TensorBoard has no use.
                from dnw_graph.training.wiring_log import WiringLog

                self._wiring_log = WiringLog(self.journal.writer, self.learner.model.layout)
            with self.journal.telling(self.run.tensorboard):
                self._wiring_log.add(history.wiring(epoch), before, self.position.step)
        self._clock = time.perf_counter()

    def save(self, name: str = "last") -> None:
        """Write a checkpoint. Numbers out of range raise InputError and the old one stays."""
        self._check()
        self._lap()
        ranks = self.world.gather({"random": random_state.capture()} | self.learner.sums())
        self.world.decide(lambda: self._write(self.run.checkpoint(name), ranks))
        self._clock = time.perf_counter()

    def interrupt(self) -> Summary:
        """Save, and say how to go on."""
        self.save()
        command = ["dnw-graph", "train", "--config", self.run.config, "--run-dir", self.run.path]
        command += ["--resume", "auto"]
        for file in self.plugin_files:
            command += ["--plugin", file]
        again = shlex.join(str(word) for word in command)
        self.display.line(f"stopped after step {self.position.step:,}, saved; to go on: {again}")
        return self.summary(interrupted=True)

    def summary(self, *, interrupted: bool = False) -> Summary:
        position = self.position
        best = position.best_top1 if position.best_epoch else float("nan")
        return Summary(self.run.path, position.epoch, position.step, best, position.best_epoch, interrupted)

    def _check(self) -> None:
        """Numbers are in range and all ranks hold one wiring; InputError otherwise. Waits for the device."""
        try:
            self.learner.check_finite()
        except FloatingPointError as error:
            raise self._diverged(self.position.step, error) from error
        if self.learner.wired:
            self.world.check_wirings(self.learner.model.wirings(), self.position.step)

    def _diverged(self, step: int, error: FloatingPointError) -> InputError:
        """The error of a run whose numbers left the finite range."""
        # Without the network's own advice: ours knows the run's settings.
        problem = str(error).partition(";")[0]
        lr, warmup = self.cfg.optimizer.lr, self.cfg.schedule.warmup_epochs
        is_saved = find_checkpoint(self.run.checkpoint("last")) is not None
        kept = "the last checkpoint is good" if is_saved else "no checkpoint was written yet"
        if (found := self._save_diverged()) is not None:
            kept = f"{found} is what came out of it, for inspection; {kept}"
        return InputError(
            f"training stopped at step {step}: {problem}; lower optimizer.lr (now {lr:g}) or lengthen "
            f"schedule.warmup_epochs (now {warmup:g}) and start again with another --run-dir; {kept}."
        )

    def _save_diverged(self) -> Path | None:
        """Write weights and wiring as they are, without what training needs to go on from; where they are."""
        if self.journal is None:
            return None
        directory = self.run.checkpoint("diverged")
        state = checkpoint_state(self.cfg, self.learner, self.position, ranks=None)
        state |= self._described() | {"evaluated": "model"}
        try:
            write_checkpoint(directory, {"model": self.learner.model.state_dict()}, state)
        except (InputError, ValueError):
            return None  # What stopped the run is told all the same.
        return directory

    def _described(self) -> dict[str, Any]:
        """What of rules and images belongs into state.json."""
        return {
            "plugins": self.plugins,
            "best_by": "validation" if self.chooses else None,
            "class_names": self.images.train.class_names,
            "data": {part: each.described() for part, each in self.images.parts().items()},
            "preprocessing": self.images.train.preprocessing,
        }

    def _write(self, directory: Path, ranks: list[dict[str, Any]]) -> None:
        assert self.journal is not None
        state = checkpoint_state(self.cfg, self.learner, self.position, ranks)
        state |= self._described() | {"metrics_bytes": self.journal.position()}
        keep = self.cfg.checkpoint.keep if directory.name == "last" else 0
        write_checkpoint(directory, self.learner.tensors(self.position.step), state, keep)

    def _add(self, kind: str, loss: float, top1: float, speed: float, swaps: int, **more: float) -> None:
        position = self.position
        record: dict[str, Any] = {"kind": kind, "epoch": position.epoch + 1, "step": position.step}
        record |= {"lr": self.lr(position.step - 1), "train_loss": loss, "train_top1": top1}
        record |= {"swaps": swaps} if self.learner.wired else {}
        record |= {**more, "images_per_second": speed}
        if self.journal is not None:
            self.journal.add(record)
        self.display.record(record)

    def _lap(self) -> None:
        """Count the time since the last lap as training."""
        now = time.perf_counter()
        self.position.seconds += now - self._clock
        self.position.window_seconds += now - self._clock
        self._clock = now

    def _close_window(self) -> None:
        """Move sums and swaps since the last record to those of the epoch."""
        self.learner.window.empty_into(self.learner.epoch)
        self.position.swaps += int(self.learner.swaps)
        self.learner.swaps = 0
        self.position.window_seconds = 0.0


def checkpoint_state(
    cfg: Config, learner: Learner, position: Position, ranks: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """state.json of a run without plugins, data or records.

    ranks  of each process, its generators and sums; None: training cannot go on from it
    """
    return {
        "network": cfg.model.network,
        "config": cfg.model_dump(mode="json", exclude_none=True),
        "plugins": [],
        "evaluated": "model" if learner.average is None else "ema",
        "best_by": None,
        "class_names": None,
        "data": None,
        "preprocessing": None,
        "position": asdict(position),
        "metrics_bytes": 0,
        "wiring": wiring_facts(learner.model),
        "learner": learner.scalars(),
        "ranks": ranks,
    }
