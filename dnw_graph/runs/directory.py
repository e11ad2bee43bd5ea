"""The directory of one run: paths, beginning, going on.

config.yaml  metrics.jsonl  tensorboard/  checkpoints/{last,best}/  wiring/epoch_0000.npz …
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dnw_graph.config import config_from_dict, dump_config
from dnw_graph.config.schema import Config
from dnw_graph.config.yaml_text import spell
from dnw_graph.errors import InputError
from dnw_graph.runs import lock
from dnw_graph.runs.checkpoint import (
    check_files,
    find_checkpoint,
    find_checkpoints,
    read_state,
    remove_leftovers,
    set_aside,
)
from dnw_graph.runs.hub import download, is_address
from dnw_graph.runs.plugins import plugin_hint, same_plugins
from dnw_graph.runs.state import DamagedError

WIRING_VERSION = 1
ON_TEST = "best_on_test"
"""Where a `best` that test images chose goes when its run goes on."""
_OWN = {"config.yaml", "metrics.jsonl", "tensorboard", "checkpoints", "wiring"}
_FREE = {"logging", "checkpoint"}
_FREE_KEYS = {
    "data.directory",
    "data.workers",
    "model.backend",
    "training.device",
    "training.epochs",
    "training.eval_batch_size",
    "training.threads",
}


class RunDirectory:
    """Paths of a run, and the checks before anything is written there."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.tensorboard = self.path / "tensorboard"

    def wiring(self, epoch: int) -> Path:
        """The wiring after `epoch` epochs; 0 is the initial one."""
        return self.path / "wiring" / f"epoch_{epoch:04d}.npz"

    def checkpoint(self, name: str) -> Path:
        """Where the checkpoint `last` or `best` belongs."""
        return self.path / "checkpoints" / name

    def check_place(self, resume: str | None) -> None:
        """Raise InputError where no run can be, or one is that was not asked for. Writes nothing."""
        try:
            files = {each.name for each in self.path.iterdir()} if self.path.exists() else set()
            str(self.path.resolve()).encode()
        except NotADirectoryError:
            raise InputError(f"{self.path}: is a file; choose another --run-dir.") from None
        except UnicodeEncodeError:
            raise InputError(
                f"{str(self.path)!a}: is no UTF-8 name, which the run's files could not hold; choose another "
                "--run-dir."
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read ({error.strerror}); choose another --run-dir."
            ) from None
        files.discard(lock.NAME)
        if resume is None and files:
            what = "holds a run already" if files & _OWN else "is not empty"
            raise InputError(
                f"{self.path}: {what}; add --resume auto to go on with it, or choose another --run-dir."
            )
        if resume == "auto" and files and not files & _OWN:
            raise InputError(f"{self.path}: holds files but no run; choose another --run-dir.")

    def check(self, cfg: Config, resume: str | None, plugins: list[dict[str, str]]) -> dict[str, Any]:
        """Which checkpoint to go on from. Call it while the directory is locked. Writes nothing.

        returns {"checkpoint": path or None, "damaged": paths passed over, "notices": what to tell the user,
                 "best_on_test": whether `best` is an earlier version's, which test images chose}
        resume  None: the directory must be new; "auto": its last whole checkpoint, if any; or a path in it
        Raises InputError instead of overwriting another run or going on with another configuration.
        """
        self.check_place(resume)
        start: dict[str, Any] = {"checkpoint": None, "damaged": [], "notices": [], "best_on_test": False}
        if resume == "auto":
            self._find_whole(start)
        elif resume is not None:
            start["checkpoint"] = str(self._find(resume))
        if start["checkpoint"] is not None:
            self._check_same(cfg, Path(start["checkpoint"]), plugins)
            self._look_at_best(start)
        return start

    def prepare(self, start: Mapping[str, Any]) -> Path | None:
        """Clear away leftovers and set damaged checkpoints aside → where the one to go on from lies now."""
        last, best = self.checkpoint("last"), self.checkpoint("best")
        found = None if start["checkpoint"] is None else Path(start["checkpoint"])
        try:
            for each in map(Path, start["damaged"]):
                set_aside(each)
            if found is not None and found != last and found in find_checkpoints(last):
                found = found.rename(last)
            if start["best_on_test"]:
                aside = best.with_name(ON_TEST)
                shutil.rmtree(aside, ignore_errors=True)
                best.rename(aside)
                found = aside if found == best else found
            for each in (last, best):
                remove_leftovers(each)
        except OSError as error:
            raise self._unwritable(error) from None
        return found

    def begin(self, cfg: Config) -> None:
        """Make the directory and write the resolved configuration."""
        temporary = self.config.with_name(f".{self.config.name}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            dump_config(cfg, temporary)
            temporary.replace(self.config)
        except OSError as error:
            raise self._unwritable(error) from None

    def save_wiring(self, epoch: int, wirings: Mapping[str, Tensor]) -> None:
        """Write the selected candidate ids of every stage (int64 [k]) and the format version."""
        path = self.wiring(epoch)
        arrays: dict[str, Any] = {name: ids.detach().cpu().numpy() for name, ids in wirings.items()}
        temporary = path.with_name(f".{path.name}")
        try:
            path.parent.mkdir(exist_ok=True)
            with temporary.open("wb") as file:
                np.savez_compressed(file, format_version=np.int64(WIRING_VERSION), **arrays)
            temporary.replace(path)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be written ({error.strerror or error}); make room, then go on with "
                "--resume auto."
            ) from None

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: the run directory cannot be written ({error.strerror or error}); make room "
            "or choose another --run-dir."
        )

    def _find(self, resume: str) -> Path:
        checkpoint = locate_checkpoint(resume, "last")
        if run_of(checkpoint).resolve() != self.path.resolve():
            raise InputError(
                f"--resume {resume} is no checkpoint of --run-dir {self.path}; give the two of one run."
            )
        check_files(checkpoint)
        return checkpoint

    def _find_whole(self, start: dict[str, Any]) -> None:
        """The newest checkpoint that is whole; those before it in the row are damaged."""
        refusals = []
        # `best` alone is left where the disk filled up before `last` was written.
        for place in (*find_checkpoints(self.checkpoint("last")), self.checkpoint("best")):
            if place.name == "best" and not place.is_dir():
                continue
            try:
                check_files(place)
            except DamagedError as error:
                refusals.append(str(error))
                start["damaged"].append(str(place))
                continue
            start["checkpoint"] = str(place)
            break
        if refusals and start["checkpoint"] is None:
            raise DamagedError(refusals[0])
        start["notices"] += [f"{each} Going on from {start['checkpoint']}." for each in refusals]

    def _look_at_best(self, start: dict[str, Any]) -> None:
        """Whether test images chose `best`: it is kept, but no longer what a run's commands use."""
        best = self.checkpoint("best")
        if best.is_dir() and chosen_on_test(read_state(Path(start["checkpoint"]))):
            start["best_on_test"] = True
            start["notices"].append(
                f"{best} was chosen by its score on the test images, by an earlier version of dnw-graph; it "
                f"is {best.with_name(ON_TEST)} now, and commands use the last checkpoint"
            )

    def _check_same(self, cfg: Config, checkpoint: Path, plugins: list[dict[str, str]]) -> None:
        state = read_state(checkpoint)
        saved = config_of(state, checkpoint)
        before, now = _flat(saved), _flat(cfg)
        for key in [*before, *(key for key in now if key not in before)]:
            if key.split(".")[0] in _FREE or key in _FREE_KEYS or before.get(key) == now.get(key):
                continue
            raise InputError(
                f"{self.path}: {key} was {spell(before.get(key))} in this run and is {spell(now.get(key))} "
                f"now; set it back (--set {key}={spell(before.get(key))}), or start another run with another "
                "--run-dir."
            )
        trained_with = state.get("plugins", [])
        if not same_plugins(trained_with, plugins):
            raise InputError(f"{self.path}: {plugin_hint(trained_with)}.")


def locate_checkpoint(path: str | Path, name: str | None = None) -> Path:
    """RUN on the command line, a run directory or a checkpoint in it → the checkpoint's directory.

    path  hf://user/name[@revision] too, a run on the Hugging Face Hub, which is downloaded
    name  which one of a run directory: best or last; None: the best, where one was chosen, or else the last
    Raises InputError when there is none.
    """
    path = download(path) if is_address(path) else Path(path)
    if (path / "state.json").is_file():
        return path
    if path.is_file():
        inside = next((folder for folder in list(path.parents)[:3] if _is_run(folder)), None)
        instead = f"{inside}" if inside else "the --run-dir of a training, or a checkpoint in it"
        raise InputError(f"{path}: is a file, not a run directory; give {instead}.")
    if not path.is_dir():
        raise InputError(
            f"{path}: no such run directory; give the --run-dir of a training, or a checkpoint in it."
        )
    places = [path / "checkpoints" / each for each in ("best", "last")]
    for place in places if name is None else [path / "checkpoints" / name]:
        if (found := find_checkpoint(place)) is not None:
            return found
    for place in places:
        if find_checkpoint(place) is not None:
            raise InputError(f"{path}: has no {name} checkpoint; use its {place.name} one, {place}.")
    raise InputError(f"{path}: no checkpoint here; give the --run-dir of a training that saved one.")


def _is_run(folder: Path) -> bool:
    return (folder / "checkpoints").is_dir() or (folder / "state.json").is_file()


def run_of(checkpoint: Path) -> Path:
    """The run directory of a checkpoint's directory."""
    return checkpoint.resolve().parent.parent


def chosen_on_test(state: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is of a version that trained on all training images, and chose by the test's."""
    return "best_by" not in state


def config_of(state: Mapping[str, Any], checkpoint: Path, overrides: Iterable[str] = ()) -> Config:
    """The configuration that a checkpoint was trained with."""
    values = state.get("config")
    if chosen_on_test(state) and isinstance(values, dict) and isinstance(values.get("data"), dict):
        values = {**values, "data": {"validation": 0.0, **values["data"]}}
    return config_from_dict(values, overrides, where=str(checkpoint / "state.json"))


def _flat(cfg: Config) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, values in cfg.model_dump(mode="json").items()
        for key, value in values.items()
        if value is not None
    }
