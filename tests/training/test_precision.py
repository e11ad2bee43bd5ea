"""Mixed precision on a CPU: what trains in bfloat16, and what is refused before a run begins."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from dnw_graph.config.networks import NETWORKS
from dnw_graph.errors import InputError
from dnw_graph.message_passing import backends
from dnw_graph.models import registry
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.training import train
from dnw_graph.training.learner import check_backend
from dnw_graph.training.session import Session

BF16 = (
    "training.precision=bf16",
    "training.epochs=1",
    "optimizer.lr=0.05",
    "checkpoint.every_steps=10",
    "logging.every_steps=5",
)
OVERRIDES = {
    "tiny_static": (),
    "mobilenet_v1": (
        "model.network=mobilenet_v1",
        "model.edges=null",
        "model.density=0.4",
        "optimizer.lr=0.3",
    ),
}


@pytest.fixture(autouse=True)
def _small_mobilenet(monkeypatch):
    blocks = ((8, 24, 2, 1), (24, 32, 2, 1))
    small = replace(NETWORKS.get("mobilenet_v1"), build=partial(mobilenet_v1, blocks=blocks))
    monkeypatch.setitem(NETWORKS.entries, "mobilenet_v1", small)


def losses(records, run):
    return [record["train_loss"] for record in records(run, "step")]


@pytest.mark.parametrize("network", OVERRIDES)
def test_maps_between_stem_and_logits_are_bf16(recipe, network):
    model = registry.build_model(recipe(*OVERRIDES[network]))
    with torch.autocast("cpu", torch.bfloat16):
        z = model.stem(torch.randn(2, 3, 32, 32)).transpose(0, 1).contiguous()
        states = model.body(z)
        logits = model.head(states.transpose(0, 1))
    assert (z.dtype, states.dtype, logits.dtype) == (torch.bfloat16,) * 3
    logits.float().sum().backward()
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}


def test_bf16_is_near_float32(recipe):
    """Numbers of 8 bits: the gradient to candidate edges points where that of float32 does."""
    gradients = []
    for precision in (None, torch.bfloat16):
        model = registry.build_model(recipe())
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(16, 3, 32, 32, generator=generator)
        with torch.autocast("cpu", precision, enabled=precision is not None):
            logits = model(images)
        torch.nn.functional.cross_entropy(logits.float(), torch.arange(16) % 10).backward()
        gradients.append(model.body.stages[0].weight.grad)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


@pytest.mark.parametrize("network", OVERRIDES)
def test_bf16_trains_on_a_cpu_and_goes_on_bit_for_bit(tmp_path, recipe, records, monkeypatch, network):
    """The loss falls; what is kept between steps stays float32."""
    cfg = recipe(*BF16, *OVERRIDES[network])
    train(cfg, tmp_path / "whole")
    first, *_, last = losses(records, tmp_path / "whole")
    assert last < first < 3
    original = Session.step

    def stopped(self, parts):
        if self.position.step == 15:
            raise KeyboardInterrupt
        original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(cfg, tmp_path / "stopped")
    train(cfg, tmp_path / "stopped", resume="auto")
    for file in ("model", "optimizer"):
        one, other = (
            load_file(tmp_path / name / f"checkpoints/last/{file}.safetensors")
            for name in ("whole", "stopped")
        )
        assert {t.dtype for t in one.values() if t.is_floating_point()} == {torch.float32}
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert losses(records, tmp_path / "whole") == losses(records, tmp_path / "stopped")


@pytest.mark.parametrize("network", OVERRIDES)
@pytest.mark.parametrize("backend", ["native", "csr", "dgl"])
def test_backends_without_bf16_are_refused_before_the_run_begins(
    tmp_path, config_file, command, network, backend
):
    if not next(each for each in backends() if each.name == backend).available():
        pytest.skip(f"{backend} cannot be used here")
    config = config_file(*BF16, *OVERRIDES[network], f"model.backend={backend}")
    code, _, err = command("train", "--config", config, "--run-dir", tmp_path / "run")
    assert code == 2
    assert err.count("\n") == 1
    assert f"model.backend {backend} cannot train on cpu with training.precision bf16: " in err
    assert err.endswith("backend dense.\n")
    assert not (tmp_path / "run").exists()


def test_a_backend_is_checked_for_its_number_format():
    cpu = torch.device("cpu")
    with pytest.raises(InputError, match=r"model\.backend csr cannot train on cpu"):
        check_backend("csr", "bf16", cpu)
    check_backend("csr", "float32", cpu)
    check_backend("auto", "bf16", cpu)
