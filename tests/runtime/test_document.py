"""A program written to a file and read back is equal; the bytes depend on nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.errors import InputError
from dnw_graph.program.cost import cost
from dnw_graph.program.fold import folded
from dnw_graph.program.program import Program
from dnw_graph.program.split import split
from dnw_graph.runtime import container
from dnw_graph.runtime.document import VERSION, Document, decoded, encoded
from dnw_graph.runtime.plain import plain, program_of


def single(program: Program) -> Program:
    """With float32 numbers, which is what files have."""
    tensors = {
        name: values.astype(np.float32) if values.dtype.kind == "f" else values
        for name, values in program.tensors.items()
    }
    return replace(program, tensors=tensors)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_random_program_is_read_as_it_was_written(data, programs):
    for part in split(data.draw(programs.programs())):
        if part is None:
            continue
        for program in (single(part), single(folded(part))):
            values, arrays = plain(program, "x/")
            read = program_of(json.loads(json.dumps(values)), arrays, "x/", program.image_size)
            assert read == program


@pytest.mark.parametrize("kind", ["mobilenet", "small", "tiny", "discrete"])
def test_a_document_is_read_as_it_was_written(kind, documents):
    document = documents[kind]
    data = encoded(document)
    assert decoded(data, "net.dnw") == document
    assert encoded(decoded(data, "net.dnw")) == data
    assert document.counts["macs"] == cost(document.live).macs


def test_float16_keeps_numbers_to_a_thousandth_in_half_the_bytes(documents):
    document = documents["mobilenet"]
    data = encoded(document, "float16")
    for name, values in decoded(data, "net.dnw").live.tensors.items():
        np.testing.assert_allclose(values, document.live.tensors[name], rtol=1e-3, atol=1e-6)
    half, whole = (container.read(each)[1] for each in (data, encoded(document)))
    numbers = [name for name, values in half.items() if values.dtype == np.float16]
    assert [2 * half[name].nbytes for name in numbers] == [whole[name].nbytes for name in numbers]
    assert {values.dtype for values in half.values()} == {np.dtype("float16"), np.dtype("uint8")}


def test_numbers_beyond_float16_are_refused(documents):
    document = documents["tiny"]
    name = next(name for name in document.live.tensors if name.endswith("weight"))
    tensors = {**document.live.tensors, name: document.live.tensors[name] * 1e9}
    with pytest.raises(InputError, match=r"more than float16 holds; use float32"):
        encoded(replace(document, live=replace(document.live, tensors=tensors)), "float16")


def test_safetensors_reads_the_file(documents):
    data = encoded(documents["small"], "float16")
    found = safetensors.numpy.load(data)
    _, tensors = container.read(data)
    assert found.keys() == tensors.keys()
    for name, values in tensors.items():
        assert np.array_equal(found[name], values)


def test_a_newer_version_is_refused_in_a_sentence(documents):
    data = encoded(documents["tiny"]).replace(b'\\"version\\":1', b'\\"version\\":7')
    with pytest.raises(InputError) as caught:
        decoded(data, "net.dnw")
    assert str(caught.value) == (
        f"net.dnw: format version 7 is newer than {VERSION}, the newest that this version reads; upgrade"
    )


def test_what_the_engine_lacks_is_no_network(documents):
    document = documents["mobilenet"]
    steps = [step for step in document.live.steps if step.name != "head.pool"]
    with pytest.raises(InputError, match=r"net\.dnw: has .*; the file is damaged or no \.dnw file$"):
        decoded(encoded(replace(document, live=replace(document.live, steps=tuple(steps)))), "net.dnw")


def test_class_names_are_as_many_as_classes(documents):
    document: Document = replace(documents["tiny"], class_names=["a", "b"])
    with pytest.raises(InputError, match="has 2 class names for 3 classes"):
        decoded(encoded(document), "net.dnw")
