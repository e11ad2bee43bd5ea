"""Configurations: what is accepted, what each mistake is told, and that nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pydantic
import pytest

from dnw_graph.errors import InputError
from dnw_graph.training.config import (
    Config,
    config_from_dict,
    dump_config,
    load_config,
    to_yaml,
)
from dnw_graph.training.yaml_text import parse_yaml

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs").rglob("*.yaml"))

TINY = """
model: {network: tiny_static, edges: 32000, image_size: 32, num_classes: 10}
data: {dataset: cifar10}
optimizer: {weight_decay: 5e-5}
schedule: {name: multistep, milestones: [80, 120]}
training: {epochs: 160, batch_size: 512}
"""

WIRED = """
model: {network: mobilenet_v1, width: 0.225, image_size: 224, num_classes: 1000}
data: {dataset: imagenet}
training: {epochs: 250, batch_size: 512}
"""

DENSE = """
model: {network: shufflenet_v2, multiplier: 0.5, image_size: 224, num_classes: 1000}
data: {dataset: imagenet}
training: {epochs: 250, batch_size: 512}
"""

ConfigFile = Callable[[str], Path]


@pytest.fixture
def config_file(tmp_path: Path) -> ConfigFile:
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def complaint(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


# What is accepted


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_configuration_survives_a_round_trip(path: Path, config_file: ConfigFile) -> None:
    cfg = load_config(path)
    assert load_config(config_file(to_yaml(cfg))) == cfg


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
def test_width_keeps_its_decimals(config_file: ConfigFile, written: str, exact: tuple[int, int]) -> None:
    cfg = load_config(config_file(WIRED.replace("0.225", written)))
    assert Fraction(str(cfg.model.width)) == Fraction(*exact)


def test_exponent_without_point_is_a_number(config_file: ConfigFile) -> None:
    assert load_config(config_file(TINY)).optimizer.weight_decay == 5e-5


def test_overrides_apply_left_to_right(config_file: ConfigFile) -> None:
    overrides = [
        "optimizer.lr=0.5",
        "optimizer.lr=5e-2",
        "training.precision=bf16",
        "logging.tensorboard=false",
    ]
    cfg = load_config(config_file(TINY), overrides)
    assert (cfg.optimizer.lr, cfg.training.precision, cfg.logging.tensorboard) == (0.05, "bf16", False)


def test_override_with_null_restores_the_default(config_file: ConfigFile) -> None:
    overrides = ["schedule.name=cosine", "schedule.milestones=null", "model.edges=null", "model.density=0.1"]
    cfg = load_config(config_file(TINY), overrides)
    assert (cfg.schedule.milestones, cfg.model.edges, cfg.model.density) == ([], None, 0.1)


def test_override_value_may_hold_an_equals_sign(config_file: ConfigFile) -> None:
    cfg = load_config(config_file(TINY), ["data.directory=/data/run=3"])
    assert cfg.data.directory == "/data/run=3"


@pytest.mark.parametrize("directory", ["1e-5", "010", "no", "null", "2019-09-01", "a: b", "größe", "~"])
def test_words_that_look_like_something_else_survive(directory: str, tmp_path: Path) -> None:
    values = parse_yaml(TINY, "test")
    values["data"]["directory"] = directory
    cfg = config_from_dict(values)
    dump_config(cfg, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == cfg


def test_plain_values_give_the_same(config_file: ConfigFile) -> None:
    cfg = load_config(config_file(DENSE))
    assert config_from_dict(cfg.model_dump()) == cfg


def test_resolved_values_leave_out_what_has_no_meaning() -> None:
    model = config_from_dict(parse_yaml(DENSE, "test")).model_dump()["model"]
    assert model.keys() == {"network", "multiplier", "image_size", "num_classes"}


def test_configuration_cannot_be_changed(config_file: ConfigFile) -> None:
    cfg = load_config(config_file(TINY))
    with pytest.raises(pydantic.ValidationError):
        cfg.optimizer.lr = 1.0


def test_merged_mapping_may_be_overridden_key_by_key(config_file: ConfigFile) -> None:
    text = TINY + "logging: &log {every_steps: 7}\ncheckpoint: {<<: *log, every_steps: 9}\n"
    assert load_config(config_file(text)).checkpoint.every_steps == 9


@pytest.mark.parametrize("section", list(Config.model_fields))
def test_every_key_is_described(section: str) -> None:
    fields = Config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    assert all(field.description for field in fields.values())


# Wrong values: the override is named, with key, value and what was expected

WRONG_VALUES = [
    ("training.epochs=ten", 'training.epochs "ten"', "an integer at least 1"),
    ("training.epochs=true", "training.epochs true", "an integer at least 1"),
    ("training.epochs=1.5", "training.epochs 1.5", "an integer at least 1"),
    ("training.epochs=010", 'training.epochs "010"', "an integer at least 1"),
    ("training.epochs=null", "training.epochs null", "an integer at least 1"),
    ("training.epochs=", "training.epochs null", "an integer at least 1"),
    ("training.batch_size=0", "training.batch_size 0", "an integer at least 1"),
    ("training.label_smoothing=1", "training.label_smoothing 1", "at least 0 and below 1"),
    ("training.ema_decay=1.0", "training.ema_decay 1.0", "a number above 0 and below 1"),
    ("training.ema_decay=0", "training.ema_decay 0", "a number above 0 and below 1"),
    ("training.precision=fp32", 'training.precision "fp32"', "one of float32, bf16, fp16"),
    ("training.seed=-1", "training.seed -1", "at least 0 and below 4294967296"),
    ("optimizer.lr=-1", "optimizer.lr -1", "a number above 0 (peak learning rate"),
    ("optimizer.lr=.nan", "optimizer.lr nan", "a number above 0"),
    ("optimizer.lr=.inf", "optimizer.lr inf", "a number above 0"),
    ("optimizer.lr=fast", 'optimizer.lr "fast"', "a number above 0"),
    ("optimizer.momentum=1", "optimizer.momentum 1", "at least 0 and below 1"),
    ("data.augment=yes", 'data.augment "yes"', "true or false"),
    ("data.augment=1", "data.augment 1", "true or false"),
    ("data.dataset=mnist", 'data.dataset "mnist"', "one of digits, fashion_mnist"),
    ("model.network=mobilenet", 'model.network "mobilenet"', "one of tiny_static, mobilenet_v1"),
    ("model.rule=3", "model.rule 3", "a word"),
    ("model.density=1.5", "model.density 1.5", "a number above 0 and at most 1"),
    ("model.edges=[3]", "model.edges [3]", "an integer at least 1"),
    ("schedule.milestones=80", "schedule.milestones 80", "a list, each an integer at least 1"),
    ("schedule.milestones=[0, 80]", "schedule.milestones 0", "a list, each an integer at least 1"),
]


@pytest.mark.parametrize(
    ("override", "found", "expected"), WRONG_VALUES, ids=[row[0] for row in WRONG_VALUES]
)
def test_wrong_value(config_file: ConfigFile, override: str, found: str, expected: str) -> None:
    message = complaint(config_file(TINY), override)
    assert message.startswith(f'override "{override}": {found} is not valid; expected ')
    assert expected in message


def test_wrong_value_in_the_file_names_the_file(config_file: ConfigFile) -> None:
    path = config_file(TINY.replace("epochs: 160", "epochs: ten"))
    assert complaint(path).startswith(f'{path}: training.epochs "ten" is not valid; expected an integer')


# Wrong combinations: refused, not ignored

WRONG_COMBINATIONS = [
    (TINY, "model.edges=null", "model.width is missing; the wired network tiny_static needs one budget"),
    (TINY, "model.width=0.3", "model.width 0.3 and model.edges 32000 are two budgets; keep one"),
    (TINY, "model.small=true", "model.small true is for mobilenet_v1 only"),
    (TINY, "model.multiplier=0.5", "model.multiplier 0.5 has no meaning for the wired network"),
    (TINY, "model.network=mobilenet_v1", "model.edges 32000 is for networks of one stage (tiny_static)"),
    (TINY, "model.num_classes=100", "model.num_classes 100 does not fit data.dataset cifar10; use 10"),
    (TINY, "data.workers=2", "data.workers 2 has no meaning for cifar10, which lives in memory"),
    (TINY, "schedule.milestones=[120, 80]", "schedule.milestones [120, 80] do not ascend; use [80, 120]"),
    (TINY, "schedule.milestones=[80, 80]", "schedule.milestones [80, 80] do not ascend; use [80]"),
    (TINY, "schedule.milestones=[]", "schedule.milestones is missing"),
    (TINY, "schedule.name=cosine", "schedule.milestones [80, 120] has no meaning for the cosine schedule"),
    (TINY, "schedule.final_lr=0.001", "schedule.final_lr 0.001 has no meaning for the multistep schedule"),
    (TINY, "training.accumulate=3", "training.batch_size 512 cannot be cut into training.accumulate 3"),
    (TINY, "schedule.warmup_epochs=160", "schedule.warmup_epochs 160 leaves nothing of training.epochs 160"),
    (WIRED, "model.num_classes=10", "model.num_classes 10 does not fit data.dataset imagenet; use 1000"),
    (WIRED, "model.density=0.1", "model.width 0.225 and model.density 0.1 are two budgets"),
    (WIRED, "data.fit=pad", "data.fit pad has no meaning for imagenet"),
    (WIRED, "schedule.final_lr=0.2", "schedule.final_lr 0.2 is above optimizer.lr 0.1"),
    (WIRED, "schedule.gamma=0.5", "schedule.gamma 0.5 has no meaning for the cosine schedule"),
    (
        DENSE,
        "model.multiplier=null",
        "model.multiplier is missing; the dense network shufflenet_v2 needs one",
    ),
    (DENSE, "model.width=0.3", "model.width 0.3 has no meaning for the dense network shufflenet_v2"),
    (DENSE, "model.rule=top_k", "model.rule top_k has no meaning for the dense network"),
    (DENSE, "model.small=true", "model.small true has no meaning for the dense network"),
    (DENSE, "model.backend=dgl", "model.backend dgl has no meaning for the dense network"),
    (DENSE, "optimizer.unselected_weight_decay=0", "optimizer.unselected_weight_decay 0 has no meaning"),
]


@pytest.mark.parametrize(
    ("text", "override", "expected"), WRONG_COMBINATIONS, ids=[row[1] for row in WRONG_COMBINATIONS]
)
def test_wrong_combination(config_file: ConfigFile, text: str, override: str, expected: str) -> None:
    path = config_file(text)
    message = complaint(path, override)
    assert message.startswith(f'{path} with override "{override}": {expected}')


def test_wired_classifier_needs_a_width(config_file: ConfigFile) -> None:
    message = complaint(config_file(WIRED.replace("width: 0.225", "density: 0.1, small: true")))
    assert "model.density 0.1 gives no budget for the wired classifier" in message


def test_nesterov_needs_momentum(config_file: ConfigFile) -> None:
    overrides = ("optimizer.nesterov=true", "optimizer.momentum=0")
    assert "optimizer.nesterov true needs momentum" in complaint(config_file(TINY), *overrides)


# Unknown keys: the nearest known one

UNKNOWN = [
    ("modle.width=1", "modle is no known key; did you mean model."),
    ("model.widht=0.3", "model.widht is no known key; did you mean model.width."),
    ("model.widht=null", "model.widht is no known key; did you mean model.width."),
    ("training.batchsize=3", "training.batchsize is no known key; did you mean training.batch_size."),
    ("model.epochs=3", "model.epochs is no known key; did you mean training.epochs."),
    ("optimizer.momentun=0.9", "optimizer.momentun is no known key; did you mean optimizer.momentum."),
    ("logging.xyzzy=1", "logging.xyzzy is no known key; known are logging.tensorboard, logging.every_steps."),
]


@pytest.mark.parametrize(("override", "expected"), UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_unknown_key(config_file: ConfigFile, override: str, expected: str) -> None:
    assert complaint(config_file(TINY), override).endswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs: 5\n", "epochs is no known key; did you mean training.epochs."),
        ("modle: {}\n", "modle is no known key; did you mean model."),
    ],
)
def test_unknown_section_in_the_file(config_file: ConfigFile, text: str, expected: str) -> None:
    path = config_file(TINY + text)
    assert complaint(path) == f"{path}: {expected}"


def test_misspelt_required_key_is_reported_as_misspelt_not_as_missing(config_file: ConfigFile) -> None:
    message = complaint(config_file(TINY.replace("epochs: 160", "epoch: 160")))
    assert message.endswith("training.epoch is no known key; did you mean training.epochs.")


# Overrides and files that are no configuration


@pytest.mark.parametrize(
    "override", ["optimizer", "optimizer.lr", "lr=1", "optimizer=3", "a.b.c=1", ".lr=1", "=", ""]
)
def test_malformed_override(config_file: ConfigFile, override: str) -> None:
    expected = f'override "{override}": expected section.key=value, for example optimizer.lr=0.05.'
    assert complaint(config_file(TINY), override) == expected


BROKEN_FILES = [
    (
        "",
        ": expected the sections model, data, optimizer, schedule, training, checkpoint, logging; found null",
    ),
    ("- 1\n", "; found [1]."),
    (TINY + "model: {}\n", ", line 7: key model was given before, in line 2; keep one of them."),
    (
        TINY.replace("edges: 32000", "edges: 1, edges: 2"),
        ", line 2: key edges was given before, in line 2; keep",
    ),
    (TINY + "3: 4\n", ", line 7: 3 is no name of a key; use a word."),
    (TINY + "? [a]\n: 2\n", ", line 7: a list or mapping is no name of a key; use a word."),
    (
        TINY.replace("160", "!!python/name:os.system x"),
        "stands for an object; use plain numbers, words and lists.",
    ),
    (TINY.replace("160", "!mine 3"), ", line 6: tag !mine stands for an object"),
    (TINY + "data:\n\tx", ", line 8: found character"),
    ("[" * 5000, ": nested too deeply"),
    ("a: &a [*a]", "a is no known key"),
    (
        TINY.replace("{weight_decay: 5e-5}", "3"),
        ": optimizer 3 is not valid; expected a section with the keys lr,",
    ),
    (TINY.replace("epochs: 160, ", ""), ": training.epochs is missing; add it, an integer at least 1"),
    (TINY.partition("data")[0], ": data is missing; add it, a section with the keys dataset, directory,"),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN_FILES, ids=range(len(BROKEN_FILES)))
def test_broken_file(config_file: ConfigFile, text: str, expected: str) -> None:
    path = config_file(text)
    message = complaint(path)
    assert message.startswith(str(path))
    assert expected in message


def test_missing_file(tmp_path: Path) -> None:
    assert complaint(tmp_path / "no.yaml").startswith(f"{tmp_path / 'no.yaml'}: no such file")


def test_directory_instead_of_file(tmp_path: Path) -> None:
    assert complaint(tmp_path).startswith(f"{tmp_path}: is a directory")


def test_binary_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\x93NUMPY\xff")
    assert "is not UTF-8 text" in complaint(tmp_path / "x.yaml")
