"""Every reader of files that may come from strangers, as a fuzz target: seeds, and what is done with bytes.

A target is a function of an empty folder → (seeds, read). Seeds are files as the project or its peers write
them; `read(data)` gives these bytes to the reader, as a file in the folder. DGL's own reader of .bin files is
not here: it is C++ code that believes its file, and is asked only where the caller does.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import dnw_graph as dg
from dnw_graph.config import load_config
from dnw_graph.config.packaged import folder as packaged
from dnw_graph.data.cifar10 import CIFAR10
from dnw_graph.data.cifar100 import CIFAR100
from dnw_graph.data.decode import FORMATS, Unreadable, decode
from dnw_graph.data.idx import read_idx
from dnw_graph.errors import InputError
from dnw_graph.interchange import npz
from dnw_graph.interchange.extract import graph_of
from dnw_graph.interchange.official_file import read_official_file
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.runs.checkpoint import read_state, read_tensors, write_checkpoint
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.runs.history import read_records, read_wiring

Read = Callable[[bytes], object]
Target = tuple[list[bytes], Read]


def in_file(path: Path, read: Callable[[Path], object]) -> Read:
    def given(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return given


def network() -> Any:
    return mobilenet_v1(
        rule="top_k", num_classes=2, image_size=8, density=0.5, blocks=((2, 2, 1, 2), (2, 3, 2, 1))
    ).eval()


def finite(path: Path) -> None:
    assert np.isfinite(dg.load_graph(path).edges["weight"]).all()


def graph_file(folder: Path, suffix: str, changed: str = "") -> Target:
    """Graphs of one format; of several files, `changed` is the one whose bytes are others."""
    path = folder / f"w{suffix}"
    dg.save_graph(network(), path)
    place = folder / (changed or path.name)
    return [place.read_bytes()], in_file(place, lambda _: finite(path))


def zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


def array_of(values: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    return content.getvalue()


# Configurations


def configuration(folder: Path) -> Target:
    names = ("digits/tiny_static_dnw", "imagenet/dnw_x0.225")
    seeds = [(packaged() / f"{name}.yaml").read_bytes() for name in names]
    seeds.append(b"model: &a {network: tiny_static, edges: 0x1F}\ntraining: {<<: *a, epochs: 1_0}\n")
    return seeds, in_file(folder / "c.yaml", load_config)


# Run directories


def checkpoint(folder: Path) -> Path:
    tensors = {"weight": torch.arange(6.0).view(2, 3), "selected": torch.tensor([0, 3, 7])}
    state = {"position": {"epoch": 1, "step": 22}, "wiring": {"budgets": {"stage_0": 3}, "metadata": {}}}
    place = folder / "last"
    write_checkpoint(place, {"model": tensors}, state | {"class_names": ["0", "1"], "metrics_bytes": 90})
    return place


def state(folder: Path) -> Target:
    place = checkpoint(folder)
    whole = (place / "state.json").read_bytes()

    def read(data: bytes) -> None:
        (place / "state.json").write_bytes(data)
        digest = f"{hashlib.sha256(data).hexdigest()}  state.json\n"
        (place / "state.json.sha256").write_text(digest)
        read_tensors(place, "model", read_state(place))

    return [whole], read


def tensors(folder: Path) -> Target:
    place = checkpoint(folder)
    whole = (place / "model.safetensors").read_bytes()

    def read(data: bytes) -> None:
        (place / "model.safetensors").write_bytes(data)
        entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        read_tensors(place, "model", {"files": {"model.safetensors": entry}})

    return [whole], read


def records(folder: Path) -> Target:
    epoch = {"kind": "epoch", "epoch": 1, "step": 22, "lr": 0.1, "train_loss": 1.5, "train_top1": 0.5}
    epoch |= {"swaps": 7, "test_loss": 1.25, "test_top1": 0.5, "images_per_second": 1e3, "version": 1}
    lines = [json.dumps(each) for each in ({**epoch, "kind": "step"}, epoch)]
    return ["".join(f"{line}\n" for line in lines).encode()], in_file(folder / "metrics.jsonl", read_records)


def stored_wiring(folder: Path) -> Target:
    run = RunDirectory(folder)
    run.save_wiring(0, {"stage_0": torch.tensor([0, 3, 7]), "head": torch.tensor([5])})
    return [run.wiring(0).read_bytes()], in_file(run.wiring(0), read_wiring)


def array_in_a_wiring(folder: Path) -> Target:
    """As the zip's checksums let no change of an array through."""
    path = folder / "epoch_0000.npz"

    def read(data: bytes) -> object:
        path.write_bytes(zipped("format_version.npy", data))
        return read_wiring(path)

    return [array_of(np.array(1)), array_of(np.array("text")), array_of(np.zeros((2, 3), "f4"))], read


# Wirings


def graph_npz(folder: Path) -> Target:
    return graph_file(folder, ".npz")


def attributes_in_an_npz(folder: Path) -> Target:
    """The same for graphs, with the text that comes first."""
    whole = npz.to_bytes(graph_of(network()))
    with np.load(io.BytesIO(whole)) as file:
        arrays = dict(file)
    path = folder / "w.npz"

    def read(data: bytes) -> None:
        text = np.array(data.decode("utf-8", "replace"))
        np.savez(path, **{**arrays, "attributes": text})
        finite(path)

    return [arrays["attributes"].item().encode()], read


def graphml(folder: Path) -> Target:
    return graph_file(folder, ".graphml")


def node_link(folder: Path) -> Target:
    return graph_file(folder, ".json")


def csv_edges(folder: Path) -> Target:
    return graph_file(folder, ".csv")


def csv_nodes(folder: Path) -> Target:
    return graph_file(folder, ".csv", "w.nodes.csv")


def csv_attributes(folder: Path) -> Target:
    return graph_file(folder, ".csv", "w.graph.json")


# Checkpoints of 2019


def official(folder: Path, *, new: bool) -> Target:
    weights = {"module.conv1.weight": torch.ones(2, 3), "module.bn.num_batches_tracked": torch.tensor(3)}
    content = {"epoch": 1, "best_acc1": np.float64(0.5), "model": weights}
    torch.save(content, folder / "whole.pt", _use_new_zipfile_serialization=new)
    return [(folder / "whole.pt").read_bytes()], in_file(folder / "a.pt", read_official_file)


def official_2019(folder: Path) -> Target:
    return official(folder, new=False)


def official_today(folder: Path) -> Target:
    return official(folder, new=True)


def pickle_in_an_official_file(folder: Path) -> Target:
    """The same for the pickle of a zip."""
    official(folder, new=True)
    with zipfile.ZipFile(folder / "whole.pt") as archive:
        entries = {each.filename: archive.read(each) for each in archive.infolist()}
    (name,) = (each for each in entries if each.endswith("data.pkl"))

    def read(data: bytes) -> object:
        with zipfile.ZipFile(folder / "a.pt", "w") as archive:
            for each, content in {**entries, name: data}.items():
                archive.writestr(each, content)
        return read_official_file(folder / "a.pt")

    return [entries[name]], read


# Images


def idx(folder: Path) -> Target:
    whole = bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 4, 5) + bytes(range(60))
    return [whole], in_file(folder / "images", lambda path: read_idx(path, 3))


def idx_gz(folder: Path) -> Target:
    whole = bytes([0, 0, 8, 1]) + struct.pack(">I", 60) + bytes(range(60))
    return [gzip.compress(whole, mtime=0)], in_file(folder / "labels.gz", lambda path: read_idx(path, 1))


def cifar10(folder: Path) -> Target:
    whole = bytes([7, *bytes(3072), 9, *bytes(3072)])
    return [whole], in_file(folder / "a.bin", lambda path: CIFAR10.read_binary(folder, (path.name,)))


def cifar100(folder: Path) -> Target:
    whole = bytes([1, 99, *bytes(3072)])
    return [whole], in_file(folder / "a.bin", lambda path: CIFAR100.read_binary(folder, (path.name,)))


def image(folder: Path) -> Target:
    seeds = []
    for mode, format in [("RGB", each) for each in FORMATS] + [
        ("P", "PNG"),
        ("CMYK", "JPEG"),
        ("LA", "TIFF"),
    ]:
        content = io.BytesIO()
        Image.effect_noise((9, 7), 60).convert("RGB").convert(mode).save(content, format=format)
        seeds.append(content.getvalue())

    def read(path: Path) -> None:
        found = decode(str(path))
        if isinstance(found, Unreadable):
            raise InputError(f"{found.path}: {found.reason}")
        assert found.mode == "RGB"

    return seeds, in_file(folder / "image", read)


READERS: dict[str, Callable[[Path], Target]] = {
    function.__name__: function
    for function in (
        configuration,
        state,
        tensors,
        records,
        stored_wiring,
        array_in_a_wiring,
        graph_npz,
        attributes_in_an_npz,
        graphml,
        node_link,
        csv_edges,
        csv_nodes,
        csv_attributes,
        official_2019,
        official_today,
        pickle_in_an_official_file,
        idx,
        idx_gz,
        cifar10,
        cifar100,
        image,
    )
}
