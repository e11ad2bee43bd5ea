"""Arrays survive the way into the page and back."""

import base64
import zlib

import numpy as np
import pytest

from dnw_graph.view.arrays import packed, smallest


def unpacked(index, text):
    data = zlib.decompress(base64.b64decode(text))
    return {
        name: np.frombuffer(
            data, np.dtype(entry["dtype"]).newbyteorder("<"), int(np.prod(entry["shape"])), entry["offset"]
        ).reshape(entry["shape"])
        for name, entry in index.items()
    }


def test_arrays_come_back_bit_for_bit():
    arrays = {
        "odd": np.array([1, 2, 255], dtype=np.uint8),
        "none": np.zeros(0, dtype=np.float32),
        "matrix": np.array([[1.5, np.nan], [-0.0, np.inf]], dtype=np.float32),
        "signs": np.array([-1, 2**31 - 1], dtype=np.int32),
        "not contiguous": np.arange(12, dtype=np.uint16).reshape(3, 4)[:, ::2],
        "big-endian": np.array([1, 65536], dtype=">u4"),
    }
    found = unpacked(*packed(arrays))
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].shape == values.shape
        assert found[name].tobytes() == np.ascontiguousarray(values, found[name].dtype).tobytes()


def test_typed_arrays_can_start_where_each_array_does():
    arrays = {
        "a": np.zeros(1, dtype=np.uint8),
        "b": np.zeros(3, dtype=np.uint16),
        "c": np.zeros(2, np.float32),
    }
    index, _ = packed(arrays)
    assert [entry["offset"] for entry in index.values()] == [0, 4, 12]


def test_a_type_that_the_page_lacks_is_refused():
    with pytest.raises(ValueError, match="dtype float64"):
        packed({"a": np.zeros(2)})


@pytest.mark.parametrize(
    ("largest", "kind"), [(0, "uint8"), (255, "uint8"), (256, "uint16"), (65536, "uint32")]
)
def test_integers_take_the_narrowest_type(largest, kind):
    assert smallest(np.array([0, largest])).dtype == kind
