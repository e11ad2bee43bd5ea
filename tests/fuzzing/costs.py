"""What each reader takes for a file: {name: [calls, calls for 4 times as much, bytes, bytes of memory]}.

    python tests/fuzzing/costs.py SMALL LARGE

Calls of Python functions, of built-in ones too, for about SMALL and 4 · SMALL bytes; memory, which is
resident at most beyond what was before, for about LARGE bytes. Files are made to be costly: of the smallest
pieces of text or pickle that make an object each. Each is read in a process of its own.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from readers import READERS, array_of, zipped

from dnw_graph.errors import InputError


def times(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def safetensors_header(size: int) -> bytes:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    count = size // 64
    header = json.dumps({str(number): entry for number in range(count)}, separators=(",", ":")).encode()
    return len(header).to_bytes(8, "little") + header


def png(size: int) -> bytes:
    side, content = int((size / 3) ** 0.5), io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(content, format="PNG")
    return content.getvalue()


def official_file(size: int) -> bytes:
    content = io.BytesIO()
    torch.save({"model": {"module.conv1.weight": torch.zeros(size // 4)}}, content)
    return content.getvalue()


def csv_lines(seed: bytes, size: int) -> bytes:
    header, first = seed.split(b"\n")[:2]
    return header + b"\n" + times(b",".join([b"77"] * (first.count(b",") + 1)) + b"\n", size)


COSTLY: dict[str, Callable[[bytes, int], bytes]] = {
    "configuration": lambda seed, size: b"model: [" + times(b"x,", min(size, (1 << 20) - 20)) + b"x]",
    "state": lambda seed, size: b'{"a":[' + times(b"[],", size) + b"0]}",
    "tensors": lambda seed, size: safetensors_header(size),
    "records": lambda seed, size: times(b"{}\n", size),
    "stored_wiring": lambda seed, size: zipped("format_version.npy", array_of(np.arange(size // 8))),
    "array_in_a_wiring": lambda seed, size: array_of(np.arange(size // 8)),
    "graph_npz": lambda seed, size: zipped("nodes.level.npy", array_of(np.arange(size // 8))),
    "attributes_in_an_npz": lambda seed, size: b'{"a":[' + times(b"[],", size) + b"0]}",
    "graphml": lambda seed, size: (
        seed[: seed.index(b"<node")] + times(b"<edge/>", size) + b"</graph></graphml>"
    ),
    "node_link": lambda seed, size: b'{"a":[' + times(b"{},", size) + b"0]}",
    "csv_edges": csv_lines,
    "csv_nodes": csv_lines,
    "csv_attributes": lambda seed, size: b'{"a":[' + times(b"{},", size) + b"0]}",
    "official_2019": lambda seed, size: (
        seed[: seed.index(b"\x80\x02}")] + b"\x80\x02" + times(b"}", size) + b"."
    ),
    "official_today": lambda seed, size: official_file(size),
    "pickle_in_an_official_file": lambda seed, size: b"\x80\x02" + times(b"}", min(size, 900_000)) + b".",
    "idx": lambda seed, size: seed[:4] + np.array([size // 784, 28, 28], ">u4").tobytes() + bytes(size),
    "idx_gz": lambda seed, size: gzip.compress(
        bytes([0, 0, 8, 1]) + np.array([size], ">u4").tobytes() + np.random.default_rng(0).bytes(size), 1
    ),
    "cifar10": lambda seed, size: times(seed, size),
    "cifar100": lambda seed, size: times(seed, size),
    "image": lambda seed, size: png(size),
}
"""What makes of a seed and a size a costly file of about this size."""


def in_a_process(work: Callable[[], object], measure: Callable[[Callable[[], object]], int]) -> int:
    """What is measured of some work in a process of its own."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, str(measure(work)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = int(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    return found


def memory(work: Callable[[], object]) -> int:
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def calls(work: Callable[[], object]) -> int:
    count = 0

    def one_more(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(one_more)
    work()
    sys.setprofile(None)
    return count


def resident(name: str) -> int:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(name))


def told(read: Callable[[bytes], object], data: bytes) -> None:
    with suppress(InputError):
        read(data)


def main() -> None:
    torch.set_num_threads(1)
    small, large = map(int, sys.argv[1:])
    report = {}
    for name, costly in COSTLY.items():
        with tempfile.TemporaryDirectory() as folder:
            seeds, read = READERS[name](Path(folder))
            short, longer, whole = (costly(seeds[0], size) for size in (small, 4 * small, large))
            counted = [in_a_process(partial(told, read, data), calls) for data in (short, longer)]
            report[name] = [*counted, len(whole), in_a_process(partial(told, read, whole), memory)]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
