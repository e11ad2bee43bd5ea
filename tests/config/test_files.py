"""Configurations: what is accepted, and that nothing is lost on the way."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pydantic
import pytest

from dnw_graph.config import Config, config_from_dict, dump_config, load_config, to_yaml
from dnw_graph.config.yaml_text import parse_yaml

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs").rglob("*.yaml"))
TINY = ROOT / "configs/cifar10/tiny_static_dnw.yaml"
WIRED = ROOT / "configs/imagenet/dnw_x0.225.yaml"
DENSE = ROOT / "configs/imagenet/shufflenet_v2_x0.5.yaml"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_configuration_survives_a_round_trip(path: Path, tmp_path: Path) -> None:
    cfg = load_config(path)
    (tmp_path / "config.yaml").write_text(to_yaml(cfg))
    assert load_config(tmp_path / "config.yaml") == cfg


def test_all_designed_configurations_are_shipped() -> None:
    wired = {"dnw_x0.225", "dnw_x0.3", "dnw_x0.49", "dnw_small_x0.15", "dnw_small_x0.225"}
    wired |= {"random_x0.225", "random_x0.49"}
    tiny = {"tiny_static_dnw", "tiny_static_random"}
    baselines = {"mobilenet_v1_x0.25", "mobilenet_v1_x0.5", "shufflenet_v2_x0.5", "shufflenet_v2_x1"}
    names = {folder.name: {path.stem for path in folder.iterdir()} for folder in (ROOT / "configs").iterdir()}
    assert names["imagenet"] >= wired | baselines
    assert names["cifar10"] >= wired | tiny
    assert names["fashion_mnist"] >= tiny | {"dnw_x0.225", "random_x0.225"}
    assert names["digits"] >= tiny


@pytest.mark.parametrize(
    ("name", "lr", "schedule", "epochs", "batch", "decay"),
    [
        ("imagenet/dnw_x0.225", 0.1, "cosine", 250, 512, 5e-5),
        ("cifar10/dnw_x0.225", 0.1, "cosine", 160, 128, 1e-4),
        ("cifar10/tiny_static_dnw", 0.1, "multistep", 160, 512, 1e-4),
    ],
)
def test_published_recipe(name: str, lr: float, schedule: str, epochs: int, batch: int, decay: float) -> None:
    cfg = load_config(ROOT / "configs" / f"{name}.yaml")
    assert (cfg.optimizer.lr, cfg.optimizer.momentum, cfg.optimizer.weight_decay) == (lr, 0.9, decay)
    assert (cfg.schedule.name, cfg.training.epochs, cfg.training.batch_size) == (schedule, epochs, batch)
    if schedule == "multistep":
        assert (cfg.schedule.milestones, cfg.schedule.gamma) == ([80, 120], 0.1)


def test_published_random_x49_has_prune_rate_49() -> None:
    cfg = load_config(ROOT / "configs/imagenet/random_x0.49.yaml")
    assert 1 - Fraction(str(cfg.model.width)) == Fraction(49, 100)


@pytest.mark.parametrize(
    ("written", "exact"), [("0.225", (9, 40)), ("0.30", (3, 10)), ("1", (1, 1)), (".7", (7, 10))]
)
def test_width_keeps_its_decimals(tmp_path: Path, written: str, exact: tuple[int, int]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(WIRED.read_text().replace("width: 0.225", f"width: {written}"))
    cfg = load_config(path)
    assert Fraction(str(cfg.model.width)) == Fraction(*exact)


def test_exponent_without_point_is_a_number() -> None:
    assert load_config(TINY, ["optimizer.weight_decay=5e-5"]).optimizer.weight_decay == 5e-5


def test_overrides_apply_left_to_right() -> None:
    overrides = [
        "optimizer.lr=0.5",
        "optimizer.lr=5e-2",
        "training.precision=bf16",
        "logging.tensorboard=false",
    ]
    cfg = load_config(TINY, overrides)
    assert (cfg.optimizer.lr, cfg.training.precision, cfg.logging.tensorboard) == (0.05, "bf16", False)


def test_override_with_null_restores_the_default() -> None:
    overrides = ["model.edges=null", "model.density=0.1", "schedule.gamma=null", "optimizer.momentum=null"]
    cfg = load_config(TINY, overrides)
    found = (cfg.model.edges, cfg.model.density, cfg.schedule.gamma, cfg.optimizer.momentum)
    assert found == (None, 0.1, 0.1, 0.9)


def test_override_value_may_hold_an_equals_sign() -> None:
    cfg = load_config(TINY, ["data.directory=/data/run=3"])
    assert cfg.data.directory == "/data/run=3"


@pytest.mark.parametrize("directory", ["1e-5", "010", "no", "null", "2019-09-01", "a: b", "größe", "~"])
def test_words_that_look_like_something_else_survive(directory: str, tmp_path: Path) -> None:
    values = parse_yaml(TINY.read_text(), "test")
    values["data"]["directory"] = directory
    cfg = config_from_dict(values)
    dump_config(cfg, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == cfg


def test_plain_values_give_the_same() -> None:
    cfg = load_config(DENSE)
    assert config_from_dict(cfg.model_dump()) == cfg


def test_resolved_values_leave_out_what_has_no_meaning() -> None:
    model = config_from_dict(parse_yaml(DENSE.read_text(), "test")).model_dump()["model"]
    assert model.keys() == {"network", "multiplier", "image_size", "num_classes"}


def test_configuration_cannot_be_changed() -> None:
    cfg = load_config(TINY)
    with pytest.raises(pydantic.ValidationError):
        cfg.optimizer.lr = 1.0


def test_merged_mapping_may_be_overridden_key_by_key(tmp_path: Path) -> None:
    more = "logging: &log {every_steps: 7}\ncheckpoint: {<<: *log, every_steps: 9}\n"
    (tmp_path / "mine.yaml").write_text(TINY.read_text() + more)
    assert load_config(tmp_path / "mine.yaml").checkpoint.every_steps == 9


@pytest.mark.parametrize("section", list(Config.model_fields))
def test_every_key_is_described(section: str) -> None:
    fields = Config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    assert all(field.description for field in fields.values())
