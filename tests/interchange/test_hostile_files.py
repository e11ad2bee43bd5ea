"""Files of every readable format: cut off, broken, too large, or no files at all."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.interchange import file as files
from dnw_graph.interchange import graphml, npz, records
from dnw_graph.models.network import WiredNetwork

Refused = Callable[[Path, bytes, str], None]


@pytest.mark.parametrize("suffix", [".graphml", ".json"])
def test_truncated_text_is_refused(
    suffix: str, nine_nodes: WiredNetwork, refused: Refused, tmp_path: Path
) -> None:
    dg.save_graph(nine_nodes, tmp_path / f"w{suffix}")
    data = (tmp_path / f"w{suffix}").read_bytes()
    whole = len(data.rstrip())
    for length in range(0, whole, 89):
        refused(tmp_path / f"w{suffix}", data[:length], "is no readable XML|not valid JSON")


def test_file_that_is_too_large_is_not_read(
    nine_nodes: WiredNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (files, graphml):
        monkeypatch.setattr(module, "MAX_TEXT_BYTES", 60)
    for suffix in (".graphml", ".json", ".csv"):
        dg.save_graph(nine_nodes, tmp_path / f"w{suffix}")
        with pytest.raises(InputError, match="is larger than 60 bytes, the most that is read"):
            dg.load_graph(tmp_path / f"w{suffix}")


def test_too_many_nodes_or_edges_are_not_read(
    nine_nodes: WiredNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, message in (("MAX_EDGES", "has more than 6 edges"), ("MAX_NODES", "has more than 6 nodes")):
        with monkeypatch.context() as patch:
            patch.setattr(records, name, 6)
            for suffix in (".graphml", ".json", ".csv"):
                dg.save_graph(nine_nodes, tmp_path / f"w{suffix}")
                with pytest.raises(InputError, match=message):
                    dg.load_graph(tmp_path / f"w{suffix}")


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.graphml")
    for name in ("endless.json", "folder.npz", "pipe.graphml"):
        with pytest.raises(InputError, match=r"cannot be read \(.*(device|directory).*; give the path"):
            dg.load_graph(tmp_path / name)


def test_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_BYTES", 10 << 20)
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("attributes.npy", bytes(40 << 20))
    (tmp_path / "w.npz").write_bytes(content.getvalue())
    assert len(content.getvalue()) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpacks to 41943040 bytes, more than a wiring takes"):
            dg.load_graph(tmp_path / "w.npz")
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
