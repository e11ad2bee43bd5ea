"""Training from the first step to the last, on real digits."""

from __future__ import annotations

from dnw_graph.training import train


def test_learns_and_leaves_everything_in_the_run_directory(tmp_path, recipe, records):
    summary = train(recipe("training.epochs=3", "logging.tensorboard=true"), tmp_path / "run")
    assert summary.epochs == 3
    assert summary.steps == 66
    assert summary.best_top1 > 0.4
    run = tmp_path / "run"
    assert {each.name for each in run.iterdir()} == {
        "config.yaml",
        "metrics.jsonl",
        "tensorboard",
        "checkpoints",
        "wiring",
    }
    assert {each.name for each in (run / "checkpoints").iterdir()} == {"last", "best"}
    assert sorted(each.name for each in (run / "wiring").iterdir()) == [f"epoch_000{n}.npz" for n in range(4)]
    tests = [record["test_top1"] for record in records(run, "epoch")]
    assert max(tests) == summary.best_top1
    assert summary.best_epoch == 1 + tests.index(max(tests))
