"""Compressed and pickled files from anywhere cost what their size allows, and never surprise."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnw_graph.data.idx import read_idx
from dnw_graph.errors import InputError
from dnw_graph.interchange.official_file import read_official_file
from dnw_graph.limits import most_unpacked
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.runs.history import read_wiring


def stored_wiring(folder: Path) -> bytes:
    run = RunDirectory(folder)
    run.save_wiring(0, {"stage_0": torch.tensor([0, 3, 7]), "head": torch.tensor([5])})
    return run.wiring(0).read_bytes()


def archive(arrays: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for name, data in arrays.items():
            file.writestr(f"{name}.npy", data)
    return content.getvalue()


def npy(shape: str, data: bytes, descr: str = "<i8") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


VERSION = npy("()", np.int64(1).tobytes())
HOSTILE = {
    "bomb": archive({"format_version": VERSION, "stage_0": npy(f"({6 << 20},)", bytes(48 << 20))}),
    "claims 8 TB": archive({"format_version": VERSION, "stage_0": npy("(1099511627776,)", bytes(16))}),
    "claims 2^70": archive(
        {"format_version": VERSION, "stage_0": npy("(1180591620717411303424,)", bytes(16))}
    ),
    "claims a product": archive({"stage_0": npy(f"({', '.join(['9' * 17] * 60)})", bytes(16))}),
    "deep header": archive({"stage_0": npy("(" * 5000, bytes(16))}),
    "objects": archive({"stage_0": npy("(2,)", bytes(16), "|O")}),
    "records": archive({"stage_0": npy("(2,)", bytes(16), "<i4,<i4")}),
    "bzip2": archive({"format_version": VERSION}, zipfile.ZIP_BZIP2),
    "lzma": archive({"format_version": VERSION}, zipfile.ZIP_LZMA),
    "many": archive({f"stage_{number}": b"" for number in range(5000)}),
    "no text": archive({"format_version": npy("()", b"\xff\xff\xff\x7f", "<U1")}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_wiring_is_refused_at_the_cost_of_its_size(tmp_path, name):
    path = tmp_path / "epoch_0000.npz"
    path.write_bytes(HOSTILE[name])
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"epoch_0000.npz: is no stored wiring") as caught:
            read_wiring(path)
        assert tracemalloc.get_traced_memory()[1] < (8 << 20) + 8 * len(HOSTILE[name])
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("claimed", [(2**32 - 1,) * 3, (40_000, 1024, 1024), (1, 2, 3)])
def test_an_idx_file_is_read_only_as_far_as_its_size_allows(tmp_path, claimed):
    import gzip

    path = tmp_path / "images.gz"
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", *claimed)
    path.write_bytes(gzip.compress(header + bytes(64 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="announces"):
            read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 3 * most_unpacked(path.stat().st_size)
    finally:
        tracemalloc.stop()


def official(content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        for name, text in (("data.pkl", content), ("version", b"3\n"), ("byteorder", b"little")):
            file.writestr(f"a/{name}", text)
    return data.getvalue()


def calling(module: str, name: str, *arguments: Any) -> bytes:
    inner = pickle.dumps(arguments, protocol=2)[2:-1]
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + inner + b"R."


@pytest.mark.parametrize("size", [3 << 30, 1 << 40])
@pytest.mark.parametrize("kind", ["bytearray", "bytes", "set", "range"])
def test_what_only_takes_memory_is_refused_by_name(tmp_path, kind, size):
    (tmp_path / "a.pt").write_bytes(official(calling("builtins", kind, size)))
    with pytest.raises(InputError, match=rf"a.pt: holds builtins.{kind}, which"):
        read_official_file(tmp_path / "a.pt")


def test_compressed_storages_are_refused(tmp_path):
    torch.save({"model": {"a": torch.zeros(1 << 20)}}, tmp_path / "plain.pt")
    assert read_official_file(tmp_path / "plain.pt")["a"].shape == (1 << 20,)
    content = io.BytesIO()
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as old,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    (tmp_path / "packed.pt").write_bytes(content.getvalue())
    with pytest.raises(InputError, match="is broken or of another format"):
        read_official_file(tmp_path / "packed.pt")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (torch.zeros(1).expand(1 << 40), "claims more numbers than the file holds"),
        (torch.tensor([1.0, float("nan")]), "is not finite"),
        (torch.tensor([float("-inf")], dtype=torch.float64), "is not finite"),
        (
            torch.zeros(2, dtype=torch.complex64),
            "holds torch.ComplexFloatStorage, which that program never wrote",
        ),
        (torch.zeros(2, dtype=torch.int64), "is of int64, not float32"),
        (torch.zeros(2, dtype=torch.bool), "is of bool, not float32"),
        (torch.eye(2).to_sparse(), "is broken|never wrote|is no plain tensor"),
        (torch.empty(2, device="meta"), "is broken|never wrote|is no plain tensor"),
    ],
)
def test_odd_tensors_are_refused_by_name(tmp_path, value, why, old):
    torch.save({"model": {"x": value}}, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(InputError, match=why):
        read_official_file(tmp_path / "a.pt")
