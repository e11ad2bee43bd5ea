"""Files that nobody wrote so: from a good file and a source of random numbers."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from dnw_graph.runtime import container

WAYS = ("bits", "cut", "header", "document", "tensor", "noise")
_NUMBERS = (0, -1, 1, 2, 3, 1 << 20, 1 << 31, 1 << 63, 10**30)
_VALUES: tuple[Any, ...] = (None, True, 0, -1, 1.5, 1e308, "", "x", [], {}, [1])


def spoiled(data: bytes, way: str, random: random.Random) -> bytes:
    """A file that was good, spoiled in one of these ways."""
    if way == "bits":
        changed = bytearray(data)
        for _ in range(random.choice([1, 1, 3, 20])):
            changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
        return bytes(changed)
    if way == "cut":
        return data[: random.randrange(len(data))]
    if way == "noise":
        noise = random.randbytes(random.randrange(300))
        return len(noise).to_bytes(8, "little") + noise if random.random() < 0.5 else noise
    if way == "header":
        end = 8 + int.from_bytes(data[:8], "little")
        text = json.dumps(_changed(json.loads(data[8:end]), random)).encode()
        return len(text).to_bytes(8, "little") + text + data[end:]
    metadata, tensors = container.read(data)
    document = json.loads(metadata["dnw"])
    if way == "tensor":
        name = random.choice(sorted(tensors))
        tensors[name] = _other(tensors[name], random)
    else:
        document = _changed(document, random)
    return container.written({"dnw": json.dumps(document)}, tensors)


def _other(values: Any, random: random.Random) -> Any:
    values = values.copy()
    if not values.size or random.random() < 0.3:
        return values.reshape(-1)[:-1]
    for _ in range(3):
        number = random.randrange(256) if values.dtype == np.uint8 else random.choice([np.nan, np.inf, 3e38])
        values.reshape(-1)[random.randrange(values.size)] = number
    return values


def _changed(value: Any, random: random.Random) -> Any:
    """JSON with one to three of its values replaced, taken away or repeated."""
    texts = [each for _, each in _places(value) if isinstance(each, str)]
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        at, old = random.choice([place for place in _places(value) if place[0]])
        inside = value
        for key in at[:-1]:
            inside = inside[key]
        way = random.random()
        if way < 0.15:
            del inside[at[-1]]
        elif isinstance(old, list) and old and way < 0.6:
            random.choice(
                [lambda old=old: old.append(old[0]), old.pop, lambda old=old: random.shuffle(old)]
            )()
        elif type(old) is int and way < 0.8:
            inside[at[-1]] = random.choice([old + 1, old - 1, old * 2, old // 2, *_NUMBERS])
        elif isinstance(old, str) and way < 0.8:
            inside[at[-1]] = random.choice(texts)
        else:
            inside[at[-1]] = random.choice(_VALUES)
    return value


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """(where, what) of every value in JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(at, value), *(place for key, each in inner for place in _places(each, (*at, key)))]
