"""`dnw-graph train` and `dnw-graph evaluate`: results, and mistakes in one sentence with nothing written."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from dnw_graph.commands.evaluate import rows


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory, train_small) -> Path:
    return train_small(tmp_path_factory.mktemp("finished") / "run", "training.epochs=1")


@pytest.fixture
def run(tmp_path, finished_run) -> Path:
    """A finished run of one epoch, a copy for each test to change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def refused(outcome: tuple[int, str, str]) -> str:
    """The one line on stderr of a command that refused its input."""
    code, _, err = outcome
    assert code == 2, err
    assert err.count("\n") == 1
    assert err.startswith("dnw-graph: error: ")
    return err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer.momentm=0.1", "did you mean optimizer.momentum"),
        ("optimizer.lr=fast", "optimizer.lr"),
        ("model.rule=topk", "'top_k'"),
        ("model.backend=cuda_magic", "cuda_magic"),
        ("model.edges=1000000", "1000000"),
        ("training.precision=fp16", "fp16 needs a CUDA device"),
        ("training.batch_size=2000", "fewer than one batch of 2000"),
        ("data.dataset=fashion_mnist", "nowhere does not exist"),
        ("model.image_size=28", "model.image_size 28"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(tmp_path, config_file, command, override, words):
    outcome = command(
        *("train", "--config", config_file(), "--run-dir", tmp_path / "run"),
        *("--set", override),
        *(("--data-dir", tmp_path / "nowhere") if "fashion_mnist" in override else ()),
    )
    assert words in refused(outcome)
    assert not (tmp_path / "run").exists()


def test_another_run_is_never_overwritten(run, config_file, command):
    before = (run / "metrics.jsonl").read_bytes()
    err = refused(command("train", "--config", config_file(), "--run-dir", run))
    assert "holds a run already; add --resume auto" in err
    assert (run / "metrics.jsonl").read_bytes() == before


def test_other_files_are_never_mixed_with_a_run(tmp_path, config_file, command):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    train = ["train", "--config", config_file(), "--run-dir", tmp_path / "letters"]
    assert "is not empty" in refused(command(*train))
    assert "holds files but no run" in refused(command(*train, "--resume", "auto"))


def test_a_run_directory_cannot_be_a_file(tmp_path, config_file, command):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        refused(command("train", "--config", config_file(), "--run-dir", path))


def test_resume_by_path_needs_no_run_dir(run, config_file, command, records):
    config = config_file("training.epochs=2")
    code, out, _ = command("train", "--config", config, "--resume", run / "checkpoints" / "last")
    assert code == 0
    assert str(run) in out
    assert len(records(run, "epoch")) == 2


def test_resume_of_what_is_not_there_or_of_another_run(run, tmp_path, config_file, command):
    train = ["train", "--config", config_file("training.epochs=1")]
    assert "no such run directory" in refused(command(*train, "--resume", tmp_path / "nothing"))
    err = refused(command(*train, "--resume", run, "--run-dir", tmp_path / "other"))
    assert "is no checkpoint of --run-dir" in err
    assert not (tmp_path / "other").exists()


def test_resume_with_another_network_names_the_key(run, config_file, command):
    config = config_file("model.network=mobilenet_v1", "model.edges=null", "model.width=0.1")
    err = refused(command("train", "--config", config, "--run-dir", run, "--resume", "auto"))
    assert "model.network was tiny_static in this run and is mobilenet_v1 now" in err


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("model.safetensors", "model.safetensors: has"),
        ("optimizer.safetensors", "optimizer.safetensors: has"),
        ("state.json", "state.json: is not valid JSON"),
    ],
)
def test_a_damaged_checkpoint_is_told_and_left_alone(run, config_file, command, file, words):
    path = run / "checkpoints/last" / file
    path.write_bytes(path.read_bytes()[:-9])
    metrics = (run / "metrics.jsonl").read_bytes()
    config = config_file("training.epochs=2")
    err = refused(command("train", "--config", config, "--resume", run / "checkpoints/last"))
    assert words in err
    assert (run / "metrics.jsonl").read_bytes() == metrics
    if file != "optimizer.safetensors":
        assert words in refused(command("evaluate", run, "--checkpoint", "last"))


def test_a_checkpoint_without_training_state_cannot_go_on(run, config_file, command):
    path = run / "checkpoints/last/state.json"
    state = json.loads(path.read_text())
    del state["position"]
    path.write_text(json.dumps(state))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / "state.json.sha256").write_text(f"{digest}  state.json\n")
    config = config_file("training.epochs=2")
    err = refused(command("train", "--config", config, "--run-dir", run, "--resume", "auto"))
    assert "lacks position, which training needs to go on" in err


def test_the_default_run_directory_names_data_configuration_and_seed(
    config_file, command, tmp_path, monkeypatch
):
    config = config_file("training.epochs=1", "training.seed=7")
    monkeypatch.chdir(tmp_path)
    assert command("train", "--config", config)[0] == 0
    assert (tmp_path / "runs/digits-small-seed7/config.yaml").exists()


def test_evaluation_repeats_the_scores_of_training(run, command, records):
    code, out, _ = command("evaluate", run, "--json")
    report = json.loads(out)
    (record,) = records(run, "epoch")
    assert code == 0
    assert report["top1"] == record["test_top1"]
    assert report["top5"] == record["test_top5"]
    assert report["loss"] == pytest.approx(record["test_loss"], rel=1e-5)
    assert (report["epoch"], report["step"], report["images"]) == (1, 22, 360)
    assert report["params"] > 0
    assert report["macs"] > report["params"]
    assert report["images_per_second"] > 0


@pytest.mark.needs_dgl
def test_evaluation_by_every_backend_and_batch_size_agrees(run, command):
    reports = [
        json.loads(command("evaluate", run, "--json", "--backend", backend, "--batch-size", size)[1])
        for backend, size in (("dense", 64), ("csr", 50), ("dgl", 360))
    ]
    assert [report["backend"] for report in reports] == ["dense", "csr", "dgl"]
    assert [report["batch_size"] for report in reports] == [64, 50, 360]
    assert len({report["top1"] for report in reports}) == 1
    assert reports[0]["loss"] == pytest.approx(reports[2]["loss"], rel=1e-4)


def test_evaluation_as_a_table(run, command):
    code, out, _ = command("evaluate", run / "checkpoints" / "last")
    assert code == 0
    for word in ("top-1", "top-5", "nats", "parameters", "per image", "images/s", "tiny_static, rule top_k"):
        assert word in out


def test_the_table_leaves_out_what_a_network_lacks():
    report = {
        "checkpoint": "x",
        "epoch": None,
        "step": None,
        "network": "shufflenet_v2",
        "rule": None,
        "chosen_by": None,
        "part": "test",
        "dataset": "image_folder",
        "images": 3,
        "top1": 1.0,
        "top5": None,
        "loss": 0.0,
        "params": 1,
        "macs": 1,
        "published_macs": None,
        "executed_macs": None,
        "exact": None,
        "images_per_second": 1.0,
        "batch_size": 1,
        "device": "cpu",
        "backend": None,
        "precision": "float32",
    }
    assert not {"top-5", "backend", "MACs, published", "MACs, executed"} & {name for name, _ in rows(report)}
    assert ("network", "shufflenet_v2") in rows(report)


@pytest.mark.parametrize("place", ["nothing", "empty"])
def test_evaluation_of_what_is_no_run(tmp_path, command, place):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / place) in refused(command("evaluate", tmp_path / place))


@pytest.mark.parametrize(
    ("file", "instead"), [("config.yaml", ""), ("checkpoints/best/model.safetensors", "/checkpoints/best")]
)
def test_evaluation_of_a_file_names_the_run_it_lies_in(run, command, file, instead):
    expected = f"{run / file}: is a file, not a run directory; give {run}{instead}."
    assert expected in refused(command("evaluate", run / file))


def test_evaluation_of_a_file_elsewhere(tmp_path, command):
    (tmp_path / "x").write_text("")
    err = refused(command("evaluate", tmp_path / "x"))
    assert "is a file, not a run directory; give the --run-dir of a training" in err


def test_evaluation_where_no_checkpoint_was_chosen_takes_the_last(run, command):
    shutil.rmtree(run / "checkpoints/best")
    assert "has no best checkpoint; use its last one" in refused(
        command("evaluate", run, "--checkpoint", "best")
    )
    code, out, _ = command("evaluate", run)
    assert code == 0
    assert "checkpoints/last" in out


def test_evaluation_with_another_network_is_refused(run, command):
    err = refused(
        command("evaluate", run, "--set", "model.network=mobilenet_v1", "model.edges=null", "model.width=0.2")
    )
    assert "a trained network is what it is" in err
