"""What the machine, the disk or the settings do to a run is one sentence and exit code 2."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dnw_graph.errors import InputError
from dnw_graph.runs import load_run
from dnw_graph.runs.journal import Journal
from dnw_graph.training import train

SCRIPT = Path(__file__).with_name("small_network.py")
WRITE_ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS, errno.ESTALE, errno.ENOMEM]


def refusing(number: int):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", WRITE_ERRORS)
@pytest.mark.parametrize(
    "place",
    [
        "dnw_graph.runs.directory.dump_config",
        "dnw_graph.runs.directory.np.savez_compressed",
        "dnw_graph.runs.checkpoint.os.fsync",
        "dnw_graph.runs.journal.os.fsync",
        "pathlib.Path.rename",
        "pathlib.Path.replace",
        "pathlib.Path.mkdir",
    ],
)
def test_every_refusal_of_the_disk_is_one_sentence(tmp_path, recipe, monkeypatch, number, place):
    monkeypatch.setattr(place, refusing(number))
    with pytest.raises(InputError) as caught:
        train(recipe("training.epochs=1"), tmp_path / "run")
    assert os.strerror(number) in str(caught.value)
    assert str(tmp_path / "run") in str(caught.value)


def test_a_record_that_does_not_fit_leaves_no_half_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with Journal(path, None) as journal:
        journal.add({"kind": "step", "step": 1})
        before = path.read_bytes()
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
        try:
            with pytest.raises(InputError, match=r"metrics.jsonl: cannot be written .File too large"):
                journal.add({"kind": "step", "step": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before


def run_small(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("tensorboard", ["true", "false"])
@pytest.mark.parametrize("limit", [300, 4_000])
def test_a_limit_on_files_is_one_line_whatever_meets_it(tmp_path, config_file, tensorboard, limit):
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    config = config_file("training.epochs=3", f"logging.tensorboard={tensorboard}", "logging.every_steps=1")
    done = run_small("train", "--config", config, "--run-dir", tmp_path / "run", preexec_fn=limited)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr


@pytest.mark.parametrize("lr", ["1e3", "1e10", "1e30"])
def test_divergence_in_whatever_form_is_one_sentence_and_its_state_is_kept(tmp_path, recipe, lr):
    with pytest.raises(InputError, match=r"(is not finite|holds NaN); lower optimizer\.lr") as caught:
        train(recipe(f"optimizer.lr={lr}", "training.epochs=30", "training.ema_decay=0.9"), tmp_path / "run")
    inspected = tmp_path / "run/checkpoints/diverged"
    assert f"{inspected} is what came out of it" in str(caught.value)
    state = json.loads((inspected / "state.json").read_text())
    assert state["ranks"] is None
    assert state["position"]["step"] > 0


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_loss_that_is_not_finite_in_evaluation_alone_stops_the_run(
    tmp_path, recipe, monkeypatch, command, part
):
    from dnw_graph.training import session

    evaluate = session.evaluate
    with monkeypatch.context() as patch:
        images = 360 if part == "test" else 20
        patch.setattr(
            session,
            "evaluate",
            lambda model, data, **k: (
                evaluate(model, data, **k) | ({"loss": float("inf")} if data.num_samples == images else {})
            ),
        )
        with pytest.raises(
            InputError, match=rf"step 22: the {part} loss is not finite; .*checkpoint is good\."
        ):
            train(recipe("training.epochs=1"), tmp_path / "run")
    run = tmp_path / "run/checkpoints"
    assert (
        load_run(run / "diverged").model.state_dict().keys()
        == load_run(run / "last").model.state_dict().keys()
    )
    with pytest.raises(InputError, match="lacks ranks, which training needs to go on"):
        train(recipe("training.epochs=1"), tmp_path / "run", resume=str(run / "diverged"))
    assert train(recipe("training.epochs=1"), tmp_path / "run", resume="auto").epochs == 1


@pytest.mark.slow
def test_a_rank_that_died_is_told_in_a_line_by_the_others(tmp_path, config_file):
    config = config_file("training.epochs=1000", "checkpoint.every_steps=1")
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", SCRIPT]
    words += ["train", "--config", config, "--run-dir", tmp_path / "run"]
    launched = subprocess.Popen(
        list(map(str, words)),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (tmp_path / "run/checkpoints/last/state.json").exists():
        assert launched.poll() is None
        time.sleep(0.1)
    children = Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    out, _ = launched.communicate(timeout=120)
    assert "another process of this run ended, so this one" in out
    assert "[rank0]: Traceback" not in out
