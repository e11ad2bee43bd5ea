"""A program prints itself, knows its shapes, and is equal to another one of the same content."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.models.lower import lower


@pytest.fixture(scope="module")
def lowered(request):
    """lowered(name) → the program of a packaged configuration's network"""
    return lambda name: lower(dg.build_model(dg.load_config(f"digits/{name}")))


def test_a_network_is_read_in_twenty_lines(lowered):
    lines = str(lowered("tiny_static_dnw")).splitlines()
    assert len(lines) == 19
    assert lines[0] == "images 3×32×32"
    assert lines[3] == "stem.active → stem.narrow 16×8×8: depthwise convolution, stride 2, identity"
    assert lines[6] == "z0 → h0 32×8×8: node operation (instance, relu, 3×3)"
    assert lines[7].startswith("h0 → z1 192, z2 192, z3 192, z4 192: messages along ")
    assert lines[14] == "z4 → h4 192×8×8: node operation (instance, relu, 3×3)"
    assert lines[15] == "z4 → z5 100×8×8: 100 maps added"
    assert lines[17] == "z5 → pooled 100×1×1: mean over 2 … 3"
    assert lines[18] == "pooled → logits 10×1×1: linear"


def test_repeated_steps_stand_once_and_indented(lowered):
    lines = str(lowered("tiny_discrete_time_dnw")).splitlines()
    place = lines.index("z0 ← y, 5 times:")
    assert lines[place + 1] == "  z0 → h0 800×8×8: node operation (none, relu, 3×3)"
    assert lines[place + 2] == "  h0 → z1 800: messages along 32,000 edges"
    assert lines[place + 3] == "  z1 → y 800×8×8: norm (instance, identity)"
    assert "z0 ← y, solve from 0 to 1 to 0.001:" in str(lowered("tiny_continuous_time_dnw"))


def test_shapes_follow_the_image(lowered):
    program = lowered("tiny_static_dnw")
    assert program.shapes()["z5"] == (100, 8, 8)
    assert program.shapes(30, 17)["z5"] == (100, 8, 5)
    assert program.shapes()["logits"] == (10, 1, 1)


def test_lowering_twice_gives_equal_programs_of_their_own(networks):
    """A program keeps copies: what becomes of the network afterwards does not change it."""
    model = networks.mobilenet()
    program, again = lower(model), lower(model)
    assert program == again
    model.stem.conv.weight.data.add_(1)
    assert program == again
    assert program != lower(model)


def test_programs_differ_by_steps_tensors_and_size(networks):
    program = lower(networks.mobilenet())
    name = "head.linear.bias"
    changed = {**program.tensors, name: program.tensors[name] + 1}
    fewer = {key: value for key, value in program.tensors.items() if key != name}
    for other in (
        replace(program, tensors=changed),
        replace(program, tensors=fewer),
        replace(program, steps=program.steps[:-1]),
        replace(program, image_size=program.image_size + 1),
        replace(program, channels={**program.channels, "z0": 5}),
    ):
        assert program != other
    assert program != "a program"


def test_a_network_without_steps_is_refused(networks):
    with pytest.raises(InputError, match="Linear has no wiring, and no program"):
        lower(nn.Linear(2, 2))
    model = networks.mobilenet()
    model.head = nn.Flatten()
    with pytest.raises(InputError, match="the head Flatten says no steps; give it a method `lowered`"):
        lower(model)


def test_a_program_of_float64_is_one_of_float64(networks):
    model = networks.mobilenet()
    assert lower(model).dtype == np.float32
    assert lower(model.double()).dtype == np.float64


def test_the_page_shows_a_program_as_it_prints_itself(lowered, request):
    page = (request.config.rootpath / "docs" / "graph.md").read_text().partition("## The program")[2]
    shown = page.partition("```python")[2].partition("```")[0].strip().splitlines()
    lines = [line for line in shown if not line.startswith((">>>", "…"))]
    assert len(lines) == 8
    assert set(lines) <= set(str(lowered("tiny_static_dnw")).splitlines())
