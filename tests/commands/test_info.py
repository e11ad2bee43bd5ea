"""`dnw-graph info`: what is there, and how to get what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dnw_graph.commands import info
from dnw_graph.commands.main import main
from dnw_graph.message_passing import auto_on_cuda, backend

ROOT = Path(__file__).parents[2]


def report() -> dict:  # type: ignore[type-arg]
    return {
        "versions": {"python": "3.11.7", "dgl": None},
        "machine": {"platform": "Linux", "cpu": "Some CPU", "cores": 2, "threads": 4, "usable_threads": 3},
        "cuda": {"devices": [{"name": "H100", "capability": "9.0", "memory_gib": 79.2}], "reason": None},
        "backends": [
            {"name": "dgl", "available": False, "reason": "run `pip install dgl`", "devices": {}},
            {
                "name": "csr",
                "available": True,
                "reason": None,
                "devices": {"cpu": None, "cuda": "too old [1]"},
            },
        ],
        "auto": {"cpu": "native or dense", "cuda:0": "dense: measured faster"},
        "node_operations": {
            "cpu": {"native": "no compiler", "triton": None, "plain": None},
            "cuda": {"all": "torch is not installed"},
        },
        "rules": ["random", "top_k"],
        "networks": ["tiny_static"],
    }


def test_tables_say_what_is_missing_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    info.show(report())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for expected in (
        "dgl missing",
        "cpu Some CPU: 2 cores, 4 threads, 3 usable",
        "0 H100, capability 9.0, 79.2 GiB",
        "dgl missing: run `pip install dgl`",
        "csr available on cpu",
        "not on cuda: too old [1]",
        "cuda:0 dense: measured faster",
        "cpu triton",
        "not native: no compiler",
        "cuda none",
        "not all: torch is not installed",
        "rules random, top_k",
    ):
        assert expected.split() in lines


def test_json_holds_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"random", "top_k"} <= set(found["rules"])
    assert {"tiny_static", "mobilenet_v1"} <= set(found["networks"])
    assert {"dense", "csr", "dgl"} <= {backend["name"] for backend in found["backends"]}
    assert found["node_operations"]["cpu"]["plain"] is None
    assert all(backend["available"] == (backend["reason"] is None) for backend in found["backends"])


def test_it_says_why_auto_passes_a_backend_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend._BACKENDS["native"], "_reason", "no compiler")
    sentence = "csr for sparse wirings in float32, as measured on CPUs, else dense; not native: no compiler"
    assert info._auto() == {"cpu": sentence}


def test_it_says_what_auto_means_on_a_gpu_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(auto_on_cuda, "_name", lambda device: f"GPU {device.index}")
    monkeypatch.setattr(auto_on_cuda, "MEASURED", {"GPU 1": {torch.bfloat16: 0.02, torch.float32: 0.0}})
    meanings = info._auto()
    assert meanings["cuda:0"].startswith("dense: nothing was measured on GPU 0; benchmarks/gpu.py does")
    assert meanings["cuda:1"] == "triton in bfloat16 below a density of 2.0%, else dense: as measured"
    monkeypatch.setattr(auto_on_cuda, "MEASURED", {"GPU 0": {torch.float32: 0.0}})
    assert info._auto()["cuda:0"] == "dense: measured faster than triton"


def test_plugin_rule_is_listed(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from dnw_graph.wiring import Rule, register\n\n\n"
        "@register('first_k')\nclass FirstK(Rule):\n    pass\n"
    )
    argv = ["info", "--json", "--plugin", str(plugin)]
    code = f"import sys; from dnw_graph.commands.main import main; sys.exit(main({argv}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["rules"] == [
        "first_k",
        "fixed_top_k",
        "random",
        "top_k",
        "top_k_no_update",
    ]


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_works_without_torch_and_says_so(flag: list[str]) -> None:
    code = (
        "import sys; sys.modules.update(torch=None, dgl=None); "
        f"from dnw_graph.commands.main import main; sys.exit(main(['info', *{flag}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "torch is not installed; pip install torch" in done.stdout
