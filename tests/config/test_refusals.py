"""What each mistake in a configuration is told: values, combinations, keys, overrides and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dnw_graph.config import load_config
from dnw_graph.errors import InputError

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
    ("gradient.every=0", "gradient.every 0", "an integer at least 1"),
    ("gradient.every=1.5", "gradient.every 1.5", "an integer at least 1"),
    ("gradient.sample=0", "gradient.sample 0", "a number above 0 and at most 1"),
    ("gradient.sample=1.1", "gradient.sample 1.1", "a number above 0 and at most 1"),
    ("training.precision=fp32", 'training.precision "fp32"', "one of float32, bf16, fp16"),
    ("training.seed=-1", "training.seed -1", "at least 0 and below 4294967296"),
    ("optimizer.lr=-1", "optimizer.lr -1", "a number above 0 (peak learning rate"),
    ("optimizer.lr=.nan", "optimizer.lr nan", "a number above 0"),
    ("optimizer.lr=.inf", "optimizer.lr inf", "a number above 0"),
    ("optimizer.lr=fast", 'optimizer.lr "fast"', "a number above 0"),
    ("optimizer.momentum=1", "optimizer.momentum 1", "at least 0 and below 1"),
    ("data.augment=yes", 'data.augment "yes"', "true or false"),
    ("data.augment=1", "data.augment 1", "true or false"),
    ("data.dataset=[1]", "data.dataset [1]", "a word"),
    ("model.network=3", "model.network 3", "a word"),
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
    (
        TINY,
        "model.network=mobilenet_v1",
        "model.edges 32000 is for tiny_static, tiny_discrete_time, tiny_continuous_time; give mobilenet_v1",
    ),
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
    (DENSE, "gradient.every=2", "gradient.every 2 has no meaning for the dense network shufflenet_v2"),
    (DENSE, "gradient.sample=0.5", "gradient.sample 0.5 has no meaning for the dense network shufflenet_v2"),
    (
        TINY,
        "gradient.sample=0.0001",
        "gradient.sample 0.0001 of the 512 images that are seen at once is less than one; use at least 0.002",
    ),
]


@pytest.mark.parametrize(
    ("text", "override", "expected"), WRONG_COMBINATIONS, ids=[row[1] for row in WRONG_COMBINATIONS]
)
def test_wrong_combination(config_file: ConfigFile, text: str, override: str, expected: str) -> None:
    path = config_file(text)
    message = complaint(path, override)
    assert message.startswith(f'{path} with override "{override}": {expected}')


def test_only_overrides_that_matter_are_blamed(config_file: ConfigFile) -> None:
    path = config_file(TINY)
    unrelated = ("training.seed=3", "model.rule=random", "model.weight_scale=2", "model.width=null")
    message = complaint(path, *unrelated, "model.density=0.1", "optimizer.lr=1")
    assert message.startswith(
        f'{path} with override "model.density=0.1": model.edges 32000 and model.density'
    )
    two = ("model.width=0.3", "model.edges=null", "model.density=0.1")
    listed = ", ".join(f'override "{each}"' for each in two)
    assert f"{path} with {listed}: model.width 0.3 and" in complaint(path, "training.seed=3", *two)


def test_overrides_of_two_sections_that_do_not_fit_are_both_blamed(config_file: ConfigFile) -> None:
    budget = ("model.width=null", "model.density=0.1")
    message = complaint(config_file(WIRED), *budget, "optimizer.lr=0.01", "schedule.final_lr=0.05")
    assert 'mine.yaml with override "optimizer.lr=0.01", override "schedule.final_lr=0.05": ' in message


def test_a_wrong_combination_in_the_file_is_not_blamed_on_overrides(config_file: ConfigFile) -> None:
    path = config_file(TINY.replace("edges: 32000", "edges: 32000, width: 0.3"))
    assert complaint(path, "model.rule=random").startswith(f"{path}: model.width 0.3 and model.edges 32000")


def test_values_are_spelt_as_in_yaml(config_file: ConfigFile) -> None:
    message = complaint(config_file(TINY), "schedule.name=cosine", "schedule.milestones=[80]")
    assert "schedule.milestones [80] has no meaning" in message


def test_wired_classifier_needs_a_width(config_file: ConfigFile) -> None:
    message = complaint(config_file(WIRED.replace("width: 0.225", "density: 0.1, small: true")))
    assert "model.density 0.1 gives no budget for the wired classifier" in message


def test_nesterov_needs_momentum(config_file: ConfigFile) -> None:
    overrides = ("optimizer.nesterov=true", "optimizer.momentum=0")
    assert "optimizer.nesterov true needs momentum" in complaint(config_file(TINY), *overrides)


# Unknown keys: the nearest known one

UNKNOWN = [
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


def test_an_override_of_an_unknown_section_is_blamed_and_not_the_file(config_file: ConfigFile) -> None:
    path = config_file(TINY)
    expected = "modle is no known key; did you mean model."
    assert complaint(path, "modle.width=1") == f'override "modle.width=1": {expected}'
    path = config_file(TINY + "modle: {}\n")
    assert complaint(path, "modle.width=1") == f"{path}: {expected}"


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


def test_overrides_are_a_list_of_strings(config_file: ConfigFile) -> None:
    path = config_file(TINY)
    with pytest.raises(InputError, match=r'overrides "optimizer\.lr=1" are one string; give a list'):
        load_config(path, "optimizer.lr=1")
    with pytest.raises(InputError, match=r"override \('optimizer\.lr', 1\) is no string; give"):
        load_config(path, [("optimizer.lr", 1)])  # type: ignore[list-item]


def test_only_a_path_can_be_loaded() -> None:
    with pytest.raises(InputError, match="load_config reads a file and was given a dict; give its path"):
        load_config({"model": {}})  # type: ignore[arg-type]


BROKEN_FILES = [
    (
        "",
        ": expected the sections model, data, optimizer, gradient, schedule, training, checkpoint, logging; "
        "found null",
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
    ("a: &a [*a]", "a value holds itself"),
    (
        TINY.replace("{weight_decay: 5e-5}", "3"),
        ": optimizer 3 is not valid; expected a section with the keys name, lr,",
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
