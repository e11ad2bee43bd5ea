"""Files that are damaged or made up: one sentence, in bounded memory; never a crash, never a traceback."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dnw_graph.errors import InputError
from dnw_graph.native import library
from dnw_graph.runtime import container
from dnw_graph.runtime.document import decoded, encoded
from dnw_graph.runtime.network import Network

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)
WAYS = ("bits", "cut", "header", "document", "tensor", "noise")


@pytest.fixture(scope="module")
def hostile(load_module):
    return load_module(Path(__file__).with_name("hostile.py"))


def is_sentence(text: str, path: Path) -> bool:
    return text.startswith(str(path)) and "\n" not in text and len(text) < 600


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["mobilenet", "small", "tiny", "discrete"])
def test_a_spoiled_file_is_refused_in_a_sentence_or_runs(way, kind, documents, hostile, tmp_path):
    """What runs stays within its memory: the kernels of the sanitizers' build say so, see tests/native."""
    good, path, numbers = encoded(documents[kind]), tmp_path / "net.dnw", random.Random(f"{way} {kind}")
    said = []
    for _ in range(25):
        path.write_bytes(hostile.spoiled(good, way, numbers))
        try:
            network = Network(path, threads=1, memory=1 << 26)
            side = network.image_size
            for height, width in ((side, side), (side + 3, side), (5, 9)):
                network(np.ones((2, 3, height, width), dtype=np.float32))
        except InputError as error:
            said.append(str(error))
    assert said or way == "tensor"
    assert [text for text in said if not is_sentence(text, path)] == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no safetensors file, or its end is missing"),
        (b"\xff" * 9, "is no safetensors file, or its end is missing"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "is no safetensors file, or its end is missing"),
        ((4).to_bytes(8, "little") + b"[[[[", "has a header that is not valid JSON"),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, "has a header that is not valid JSON"),
        ((2).to_bytes(8, "little") + b"[]", "has a header that is no JSON object"),
        ((2).to_bytes(8, "little") + b"{}", 'has no metadata "dnw"'),
        (container.written({"dnw": "{"}, {}), 'has metadata "dnw" that are no object of JSON'),
        (container.written({"dnw": "{}"}, {}), "lacks 'version' in its header"),
        (container.written({"dnw": '{"version": 1}'}, {}), "lacks 'image_size' in its header"),
        (container.written({"dnw": '{"version": 2}'}, {}), "format version 2 is newer than 1"),
    ],
)
def test_what_is_no_network(data, said):
    with pytest.raises(InputError) as caught:
        decoded(data, "net.dnw")
    assert str(caught.value).startswith(f"net.dnw: {said}")


def test_a_small_file_that_asks_for_much_gets_nothing(documents, tmp_path):
    """Of images of 16,384 pixels a side."""
    metadata, tensors = container.read(encoded(documents["mobilenet"]))
    document = json.loads(metadata["dnw"])
    document["image_size"] = 1 << 14
    path = tmp_path / "net.dnw"
    path.write_bytes(container.written({"dnw": json.dumps(document)}, tensors))
    tracemalloc.start()
    with pytest.raises(InputError, match="images of 16384×16384 pixels take"):
        Network(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("what", "said"), [("missing", "cannot be read (No such file or directory)"), ("folder", "is no file")]
)
def test_a_path_without_a_file(what, said, tmp_path):
    path = tmp_path if what == "folder" else tmp_path / "net.dnw"
    with pytest.raises(InputError) as caught:
        Network(path)
    assert str(caught.value) == f"{path}: {said}; give the path of a .dnw file"
