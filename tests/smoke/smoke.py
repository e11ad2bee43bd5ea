"""Try what is installed by its public commands and names alone: `python tests/smoke/smoke.py`.

For the environment that this Python belongs to; nothing of a clone is used. Trains the tiny network on
scikit-learn's digits for two epochs, in a temporary folder. Ends with exit code 1 if something failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

COMMAND = Path(sys.executable).with_name("dnw-graph")
CONFIG = "digits/tiny_static_dnw"


def dnw_graph(*arguments: str) -> str:
    """What the command prints; an error with everything that it said if it fails."""
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"dnw-graph {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def names_its_versions_and_configurations() -> None:
    versions = json.loads(dnw_graph("info", "--json"))["versions"]
    print("   ", ", ".join(f"{name} {version}" for name, version in versions.items()))
    assert CONFIG in dnw_graph("configs")


def trains() -> None:
    said = dnw_graph("train", "--config", CONFIG, "--run-dir", "run", "--set", "training.epochs=1")
    assert "epoch 1/1 done" in said, said


def resumes() -> None:
    said = dnw_graph(
        "train", "--config", CONFIG, "--run-dir", "run", "--resume", "auto", "--set", "training.epochs=2"
    )
    assert "epoch 2/2 done" in said, said
    epochs = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [each["epoch"] for each in epochs if each["kind"] == "epoch"] == [1, 2]


def evaluates() -> None:
    plain = json.loads(dnw_graph("evaluate", "run", "--json"))
    backend = "dgl" if find_spec("dgl") else "csr"
    compiled = json.loads(
        dnw_graph("evaluate", "run", "--compact", "--backend", backend, "--expect-exact", "--json")
    )
    assert plain["top1"] == compiled["top1"] > 0.2, (plain, compiled)


def counts() -> None:
    assert "MACs" in dnw_graph("count", "run")
    assert "published" in dnw_graph("count", "--published")


def exports() -> None:
    import networkx as nx

    import dnw_graph as dg

    edges = nx.read_graphml(exported("wiring.graphml")).number_of_edges()
    assert edges > 1000
    for name in ("wiring.npz", "wiring.json", "wiring.graphml"):
        assert dg.to_networkx(dg.load_graph(exported(name))).number_of_edges() == edges


def exported(name: str) -> str:
    dnw_graph("export", "run", "-o", name)
    return name


def compiles() -> None:
    import torch

    import dnw_graph as dg

    model = dg.build_model(dg.load_config("run/config.yaml"))
    model.load_graph(dg.load_graph("wiring.npz"))
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits, executed = dg.compile(model, "csr").run(images)
    with torch.no_grad():
        assert torch.allclose(logits, model.eval()(images), atol=1e-4)
    assert executed.macs == dg.count(model).macs


def says_what_dgl_is_needed_for() -> None:
    import dnw_graph as dg

    model = dg.build_model(dg.load_config(CONFIG))
    if find_spec("dgl"):
        assert model.graph().num_nodes() == 900
        return
    code = f"import dnw_graph as dg; dg.build_model(dg.load_config({CONFIG!r})).graph()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()[-1]
    assert "InputError: DGL has no wheel for Python" in said or "run `pip install dgl`" in said, done.stderr


def draws_and_analyzes() -> None:
    dnw_graph("visualize", "run", "--kind", "adjacency", "-o", "adjacency.png")
    assert Path("adjacency.png").read_bytes().startswith(b"\x89PNG")
    assert "paths" in dnw_graph("analyze", "run")


CHECKS: tuple[Callable[[], None], ...] = (
    names_its_versions_and_configurations,
    trains,
    resumes,
    evaluates,
    counts,
    exports,
    compiles,
    says_what_dgl_is_needed_for,
    draws_and_analyzes,
)


def main() -> int:
    failed = 0
    for check in CHECKS:
        print(check.__name__.replace("_", " "), flush=True)
        try:
            check()
        except Exception:
            failed += 1
            traceback.print_exc()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        import os

        os.chdir(place)
        sys.exit(main())
