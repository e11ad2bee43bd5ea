"""Fashion-MNIST: where it is found, and what is said about damaged files."""

from __future__ import annotations

import functools
import gzip
import hashlib
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from dnw_graph.data import fashion_mnist
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(path: Path, array: np.ndarray) -> None:
    """An idx file of bytes, gzipped when the name says so."""
    content = idx_bytes(array.astype(np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def fashion_files(tmp_path: Path) -> Callable[..., Path]:
    """fashion_files(folder, suffix=".gz"): 20 training and 7 test images of random pixels, labels in turn."""

    def write(folder: Path = tmp_path, suffix: str = ".gz") -> Path:
        random = np.random.default_rng(0)
        for part, count in (("train", 20), ("t10k", 7)):
            write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", random.integers(0, 256, (count, 28, 28)))
            write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)
        return folder

    return write


@pytest.fixture(autouse=True)
def no_package(tmp_path, monkeypatch):
    """These tests must not find a real Debian package."""
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "no-package")


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("layout", [".", "FashionMNIST/raw"])
def test_found_in_the_data_directory(open_split, fashion_files, tmp_path, layout, suffix):
    folder = fashion_files(tmp_path / layout, suffix)
    train, test = (open_split("fashion_mnist", tmp_path, part=part) for part in ("train", "test"))
    assert (train.num_samples, test.num_samples) == (20, 7)
    assert train.source == str(folder)
    assert train.class_names[9] == "Ankle boot"
    assert torch.cat([labels for _, labels in test.epoch(0)]).tolist() == list(range(7))


def test_found_in_the_debian_package(open_split, fashion_files, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", fashion_files(tmp_path / "package"))
    assert open_split("fashion_mnist").source == str(tmp_path / "package")
    (tmp_path / "empty").mkdir()
    assert open_split("fashion_mnist", tmp_path / "empty").source == str(tmp_path / "package")


def test_pixels_are_those_of_the_file(open_split, fashion_files, tmp_path):
    fashion_files(tmp_path)
    data = open_split("fashion_mnist", tmp_path, part="test", fit="pad")
    images, _ = next(data.epoch(0))
    stored = gzip.decompress((tmp_path / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    pixels = ((images[:, 0, 2:30, 2:30] * 0.3530 + 0.2860) * 255).round().to(torch.uint8)
    assert pixels.numpy().tobytes() == stored[: 4 * 28 * 28]


@pytest.fixture
def published(fashion_files, tmp_path, monkeypatch):
    """A local server of tiny files in place of torchvision's mirror, slow enough for two ranks to meet."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            time.sleep(0.02)
            super().do_GET()

        def log_message(self, *_):
            pass

    folder = fashion_files(tmp_path / "published")
    files = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())]
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    dataset = load_torchvision().datasets.FashionMNIST
    monkeypatch.setattr(dataset, "resources", files)
    monkeypatch.setattr(dataset, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(tmp_path):
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_downloaded_into_the_data_directory(open_split, published, target, monkeypatch):
    assert open_split("fashion_mnist", target).num_samples == 20
    # The second time it must not ask again.
    monkeypatch.setattr(load_torchvision().datasets.FashionMNIST, "mirrors", [])
    assert open_split("fashion_mnist", target, part="test").num_samples == 7


def test_interrupted_download_is_completed(open_split, published, target):
    folder = target / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    content = (published / "t10k-images-idx3-ubyte.gz").read_bytes()
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(content[:50])
    assert open_split("fashion_mnist", target, part="test").num_samples == 7


def test_ranks_download_once(open_split, published, target):
    with ThreadPoolExecutor(2) as ranks:
        opened = [ranks.submit(open_split, "fashion_mnist", target, rank=r, world_size=2) for r in (0, 1)]
        assert [data.result().num_samples for data in opened] == [20, 20]


def test_no_network_names_all_ways(open_split, tmp_path, monkeypatch):
    monkeypatch.setattr(load_torchvision().datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:1/"])
    with pytest.raises(InputError) as error:
        open_split("fashion_mnist", tmp_path)
    message = str(error.value)
    for part in (str(tmp_path), "data.directory", "dataset-fashion-mnist", "download", "refused"):
        assert part in message
    assert "\n" not in message


def test_nowhere_and_no_directory(open_split):
    with pytest.raises(InputError, match=r"no-package and no data directory given; .* three ways"):
        open_split("fashion_mnist")


def test_directory_missing(open_split, tmp_path):
    with pytest.raises(
        InputError, match=f"data.directory: {tmp_path}/typo does not exist; give an existing one"
    ):
        open_split("fashion_mnist", tmp_path / "typo")


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def cut_inside(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))


DAMAGE = {
    "truncated gzip": ("train-images-idx3-ubyte.gz", cut, "cannot be read .*; download it again"),
    "truncated data": (
        "train-images-idx3-ubyte.gz",
        cut_inside,
        "announces 15680 bytes of data but has 15580",
    ),
    "no gzip": ("train-images-idx3-ubyte.gz", lambda p: p.write_bytes(b"<html>"), "cannot be read"),
    "empty": (
        "train-labels-idx1-ubyte.gz",
        lambda p: p.write_bytes(gzip.compress(b"")),
        "not an idx file of bytes with 1 dimensions .*begins with nothing, expected 00000801",
    ),
    "wrong size": (
        "train-images-idx3-ubyte.gz",
        lambda p: write_idx(p, np.zeros((20, 14, 14))),
        "images have 14×14 pixels, Fashion-MNIST has 28×28",
    ),
    "wrong channel count": (
        "train-images-idx3-ubyte.gz",
        lambda p: write_idx(p, np.zeros((20, 28, 28, 3))),
        "not an idx file of bytes with 3 dimensions .*begins with 00000804, expected 00000803",
    ),
    "other number of labels": (
        "train-labels-idx1-ubyte.gz",
        lambda p: write_idx(p, np.zeros(19)),
        "has 19 labels",
    ),
    "label out of range": (
        "train-labels-idx1-ubyte.gz",
        lambda p: write_idx(p, np.full(20, 10)),
        "label 10 is outside 0 … 9",
    ),
    "file missing": ("train-labels-idx1-ubyte.gz", lambda p: p.unlink(), "missing .*although other files"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files(open_split, fashion_files, tmp_path, kind):
    name, damage, message = DAMAGE[kind]
    damage(fashion_files(tmp_path) / name)
    with pytest.raises(InputError, match=message) as error:
        open_split("fashion_mnist", tmp_path)
    assert str(tmp_path / name.removesuffix(".gz")) in str(error.value)


def test_no_images(open_split, fashion_files, tmp_path):
    fashion_files(tmp_path)
    for name, shape in (("train-images-idx3-ubyte.gz", (0, 28, 28)), ("train-labels-idx1-ubyte.gz", (0,))):
        (tmp_path / name).write_bytes(gzip.compress(idx_bytes(np.zeros(shape, np.uint8))))
    with pytest.raises(InputError, match="holds no image"):
        open_split("fashion_mnist", tmp_path)
