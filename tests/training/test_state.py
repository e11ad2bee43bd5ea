"""state.json: whatever is written in the place of a value is either usable or refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.runs import load_run
from dnw_graph.runs.checkpoint import read_state
from dnw_graph.training import train
from dnw_graph.training.distributed import World
from dnw_graph.training.learner import Learner
from dnw_graph.training.resume import restore_session

AVERAGED = ("training.epochs=1", "training.ema_decay=0.9")
WRONG = ("x", None, -1, 10**30, [], {"x": 1})


@pytest.fixture(scope="module")
def run(tmp_path_factory, train_small) -> Path:
    return train_small(
        tmp_path_factory.mktemp("state") / "run", "training.epochs=1", "training.ema_decay=0.9"
    )


@pytest.fixture
def checkpoint(run, tmp_path) -> Path:
    return Path(shutil.copytree(run / "checkpoints/last", tmp_path / "last"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand in nested dicts and lists; of a list the first one."""
    keys = value if isinstance(value, dict) else range(min(len(value), 1)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        # Configurations have tests of their own.
        if key != "config":
            yield from places(value[key], (*path, key))


def damage(checkpoint: Path, path: tuple[Any, ...], value: Any) -> None:
    state = json.loads((checkpoint / "state.json").read_text())
    place = state
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    write(checkpoint, json.dumps(state))


def write(checkpoint: Path, text: str) -> None:
    """A state.json with its checksum, as a stranger could write it."""
    (checkpoint / "state.json").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (checkpoint / "state.json.sha256").write_text(f"{digest}  state.json\n")


@contextmanager
def collected(told: list[str]) -> Iterator[None]:
    """Append the words of an InputError to a list, and let it pass on."""
    try:
        yield
    except InputError as error:
        told.append(str(error))
        raise


def test_no_damaged_value_is_a_traceback(checkpoint, recipe):
    """Loaded for use and for going on; what is refused is refused in one line that names the checkpoint."""
    whole = (checkpoint / "state.json").read_text()
    learner = Learner(recipe(*AVERAGED), World(0, 1, torch.device("cpu")))
    refusals: dict[str, list[str]] = {}
    for path in places(json.loads(whole)):
        for value in WRONG:
            damage(checkpoint, path, value)
            for use in (load_run, lambda folder: restore_session(folder, learner)):
                with suppress(InputError), collected(refusals.setdefault(path[0], [])):
                    use(checkpoint)
            write(checkpoint, whole)
    read_state(checkpoint)
    assert not {field for field, told in refusals.items() if not told}
    assert not [line for told in refusals.values() for line in told if "\n" in line]
    assert not [line for told in refusals.values() for line in told if str(checkpoint) not in line]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("position", "epoch"), "x", 'position.epoch "x" is wrong (input should be a valid integer)'),
        (("position",), None, "position null is wrong"),
        (("position", "step"), -1, "position.step -1 is wrong (input should be greater than or equal to 0)"),
        (("ranks", 0, "window"), [1.0], "ranks.0.window [1.0] is wrong (list should have at least 3 items"),
        (("ranks", 0), {}, "lacks ranks.0.random"),
        (("wiring", "budgets", "stage_0"), 10**6, "wiring.budgets gives stage_0 1000000 of 480 edges"),
        (("evaluated",), "mine", "evaluated \"mine\" is wrong (input should be 'model' or 'ema')"),
        (("files",), [], "files [] is wrong"),
    ],
)
def test_a_damaged_value_is_named(checkpoint, path, value, words):
    damage(checkpoint, path, value)
    with pytest.raises(InputError) as caught:
        load_run(checkpoint)
    assert words in str(caught.value)
    assert str(checkpoint / "state.json") in str(caught.value)


def test_a_step_beyond_the_epoch_is_refused(run, tmp_path, recipe):
    """As after images were taken away: 22 steps fit into an epoch."""
    here = Path(shutil.copytree(run, tmp_path / "run"))
    damage(here / "checkpoints/last", ("position", "step_in_epoch"), 23)
    with pytest.raises(InputError, match="stands at step 23 of an epoch, which has 22 with these images"):
        train(recipe(*AVERAGED), here, resume="auto")
