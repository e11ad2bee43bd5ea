"""What the library says of itself: that it fits this Python code, and why it cannot do what it is asked."""

from __future__ import annotations

import ctypes

import pytest

from dnw_graph.engine.engine import Plan
from dnw_graph.errors import InputError
from dnw_graph.native import library, structures
from dnw_graph.native.status import done
from dnw_graph.native.structures import Header
from dnw_graph.native.tables import Constants, joined_tables

pytestmark = pytest.mark.skipif(bool(library.reason()), reason="no C kernels here")


@pytest.fixture
def fresh():
    library.load.cache_clear()
    yield
    library.load.cache_clear()


def test_a_structure_of_another_size_is_refused_in_a_sentence(fresh, monkeypatch):
    size = structures.SIZES["stage_maps"]
    monkeypatch.setitem(structures.SIZES, "stage_maps", size + 8)
    with pytest.raises(InputError) as caught:
        library.load()
    sizes = f"(stage_maps has {size} bytes there, {size + 8} here)"
    assert str(caught.value).endswith(f"built from other sources {sizes}; install the package anew")
    assert library.reason() == str(caught.value)


def test_a_structure_that_the_library_lacks_is_refused(fresh, monkeypatch):
    monkeypatch.setitem(structures.SIZES, "other", 8)
    with pytest.raises(InputError, match="other has -1 bytes there, 8 here"):
        library.load()


def test_every_structure_of_this_file_is_compared():
    mirrored = {
        name
        for name, each in vars(structures).items()
        if isinstance(each, type)
        and issubclass(each, ctypes.Structure)
        and each.__module__ == structures.__name__
    }
    # Pieces lie within the arguments of products.
    assert len(mirrored) == 7
    assert len(structures.SIZES) == len(mirrored) - 1 + len(
        ("edge", "buffer", "operation", "group", "header")
    )


def test_no_memory_and_no_instructions_are_told_apart():
    with pytest.raises(MemoryError, match="no memory for a thing"):
        done(library.NO_MEMORY, "a thing")
    with pytest.raises(InputError, match="this processor cannot run the instruction set"):
        done(library.NO_INSTRUCTIONS, "a thing")
    done(library.DONE, "a thing")


def test_a_plan_for_instructions_that_do_not_exist_is_no_lack_of_memory(monkeypatch):
    monkeypatch.setattr(library, "instructions", lambda: "avx1024")
    tables = joined_tables(Header(*[0] * 15), [], [], [], Constants(), [])
    with pytest.raises(
        InputError, match="cannot run the instruction set 'avx1024'; set DNW_GRAPH_INSTRUCTIONS to one of"
    ):
        Plan(tables, 1)
