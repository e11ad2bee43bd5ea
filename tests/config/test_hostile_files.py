"""Configurations from anywhere: read, or refused in one short sentence, at a cost that follows their size."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from dnw_graph.config import config_from_dict, load_config
from dnw_graph.config.packaged import folder
from dnw_graph.config.yaml_text import parse_yaml
from dnw_graph.errors import InputError

GOOD = (folder() / "digits/tiny_static_dnw.yaml").read_text(encoding="utf-8")
KEYS = [
    "model.edges",
    "model.image_size",
    "model.num_classes",
    "model.weight_scale",
    "data.workers",
    "optimizer.lr",
    "optimizer.weight_decay",
    "optimizer.momentum",
    "optimizer.options.eps",
    "gradient.every",
    "gradient.sample",
    "schedule.warmup_epochs",
    "schedule.final_lr",
    "training.epochs",
    "training.batch_size",
    "training.eval_batch_size",
    "training.accumulate",
    "training.label_smoothing",
    "training.ema_decay",
    "training.seed",
    "training.threads",
    "checkpoint.every_steps",
    "checkpoint.keep",
    "logging.every_steps",
]


def refusal(text: str, path: Path) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    assert message.isprintable()
    return message


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1" + "0" * 400, "1e400", "1" + "0" * 30, "1e200"])
def test_every_number_has_a_bound(tmp_path, key, number):
    section, name, *inner = key.split(".")
    value = f"{{{inner[0]}: {number}}}" if inner else number
    with pytest.raises(InputError) as caught:
        load_config("digits/tiny_static_dnw", [f"{section}.{name}={value}"])
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("number", [10**400, -(10**400), 1e300])
def test_every_number_of_a_dictionary_has_a_bound(key, number):
    section, name, *inner = key.split(".")
    values = {section: {name: {inner[0]: number} if inner else number}}
    with pytest.raises(InputError) as caught:
        config_from_dict(values)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("value", ["&a [*a]", "&a {b: *a}", "&a [[*a]]"])
def test_a_value_that_holds_itself_is_refused(tmp_path, value):
    assert "a value holds itself" in refusal(GOOD.replace("threads: 1", f"threads: {value}"), tmp_path / "c")


@pytest.mark.parametrize("form", ["[{}]", "{{{}}}"])
def test_anchors_do_not_multiply_the_cost(tmp_path, form):
    """Ten times as many values per level: 10^8 of them in a kilobyte."""

    def level(name: str) -> str:
        parts = [name if form == "[{}]" else f"k{number}: {name}" for number in range(10)]
        return form.format(", ".join(parts))

    lines = [f"l0: &l0 {level('x')}", *(f"l{n}: &l{n} {level(f'*l{n - 1}')}" for n in range(1, 8))]
    tracemalloc.start()
    try:
        assert "stands for more than 10,000 values" in refusal("\n".join(lines) + "\n" + GOOD, tmp_path / "c")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("depth", [13, 150, 3000, 100_000])
@pytest.mark.parametrize("closed", [True, False])
def test_depth_is_refused(tmp_path, depth, closed):
    value = "[" * depth + "]" * depth * closed
    refusal(GOOD.replace("threads: 1", f"threads: {value}"), tmp_path / "c")


def test_a_deep_or_endless_dictionary_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(InputError, match=r"training\.threads is nested too deep"):
        config_from_dict({"training": {"threads": endless}})


@pytest.mark.parametrize(
    "text", ['"\\ud800":', '"\\udce9": 1\nmodel:', "mo\0del:", "model: !!python/none x\nb:"]
)
def test_keys_that_are_no_text_are_refused(tmp_path, text):
    refusal(GOOD.replace("model:", text, 1), tmp_path / "c")


def test_words_that_are_no_text_are_refused(tmp_path):
    text = GOOD.replace("network: tiny_static", 'network: "\\ud800"')
    assert "half of a character" in refusal(text, tmp_path / "c")


def test_a_file_without_end_is_read_only_so_far(tmp_path):
    with pytest.raises(InputError, match="larger than 1,048,576 bytes"):
        load_config("/dev/zero")
    (tmp_path / "c").write_text(GOOD + "# " + "x" * (1 << 20))
    with pytest.raises(InputError, match="larger than 1,048,576 bytes"):
        load_config(tmp_path / "c")


def test_a_path_that_is_none_is_refused():
    for path in ("a\0b", os.fsdecode(b"caf\xe9.yaml"), "x" * 5000):
        with pytest.raises(InputError):
            load_config(path)


@pytest.mark.parametrize("piece", ["x,", "'',", "k: 1,", "{},", "&a x,"])
def test_many_small_values_cost_no_more_than_the_most_that_may_be(tmp_path, piece):
    """A megabyte of them: read only as far as they can be settings."""
    start = "model: {" if ":" in piece else "model: ["
    text = start + piece * ((1 << 20) // len(piece) - 20)
    tracemalloc.start()
    try:
        refusal(text, tmp_path / "c")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", ['!!int ""', "!!bool x", "!!timestamp x", '!!float ""', "!!set x"])
def test_a_tag_that_does_not_fit_its_value_is_a_sentence(value):
    """PyYAML's constructors raise what their code happens to raise."""
    with pytest.raises(InputError, match=r"^file\.yaml: "):
        parse_yaml(f"a: {value}", "file.yaml")
