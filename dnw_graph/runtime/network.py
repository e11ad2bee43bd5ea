"""A trained network from a .dnw file, in the C engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dnw_graph.engine.engine import Engine, Plan, Size
from dnw_graph.engine.plan_steps import plan_of
from dnw_graph.errors import InputError
from dnw_graph.native.tables import Tables
from dnw_graph.program.cost import cost
from dnw_graph.program.program import IMAGES, LOGITS, Array
from dnw_graph.program.reference import states_of
from dnw_graph.runtime.check import bytes_of_maps
from dnw_graph.runtime.document import read_document, starts
from dnw_graph.runtime.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = npt.NDArray[np.float32]

# Sizes of images whose plans are kept, and what they may take together: the last ones that came.
_KEPT_SIZES, _KEPT_BYTES = 8, 256 << 20


class Network:
    """Images [B, 3, H, W] → logits [B, classes], float32.

    path     a .dnw file
    threads  that work on a call; None: as many as this process may use
    memory   bytes that maps may take: images of which one needs more are refused, and threads that would
             need more for images of their own stay idle
    Several threads of Python may call it at once, each call with a team of its own or alone; so may a child
    process after a fork.
    Raises InputError, one sentence, if the file is missing, damaged or newer.
    """

    class_names: list[str] | None
    """One per logit, where known."""
    image_size: int
    """Side of the images that it was trained on."""
    macs: int
    """Multiply-accumulates for an image of that size."""
    preprocessing: dict[str, Any] | None
    """What an image goes through before, where known."""
    provenance: dict[str, Any]
    """Where the network comes from."""

    def __init__(self, path: str | Path, threads: int | None = None, memory: int = 1 << 30) -> None:
        self._where = str(path)
        document = read_document(path)
        self._live, self._constant = document.live, document.constant
        self._memory, self._threads = memory, _checked_threads(threads)
        self._engine = Engine(self._plan, _KEPT_SIZES, _KEPT_BYTES, self._threads)
        self.class_names, self.preprocessing = document.class_names, document.preprocessing
        self.provenance = dict(document.provenance)
        self.image_size = document.live.image_size
        self.macs = cost(document.live).macs
        # What a file that was changed by hand has wrong shows now, not at the first image.
        self._engine.plan((self._live.channels[IMAGES], self.image_size, self.image_size))

    def __call__(self, images: npt.ArrayLike, threads: int | None = None) -> Floats:
        """Logits of preprocessed images. Raises InputError for another shape or dtype, and MemoryError."""
        given, channels = np.asarray(images), self._live.channels[IMAGES]
        if given.ndim != 4 or given.shape[1] != channels or given.dtype.kind != "f" or 0 in given.shape[2:]:
            raise InputError(
                f"images are {given.dtype} {list(given.shape)}; give float32 [B, {channels}, H, W]"
            )
        number = self._threads if threads is None else _checked_threads(threads)
        plan = self._engine.plan(given.shape[1:])
        # Each thread takes images of its own, with maps of its own.
        number = min(number, max(1, self._memory // plan.bytes_per_thread))
        return plan.run(np.ascontiguousarray(given, dtype=np.float32), number)[0]

    def predict(self, image: str | Path | Image, top: int = 5) -> list[tuple[str, float]]:
        """The most probable classes of an image file, or of an image of Pillow: (name, probability) each.

        Classes without names are called by their number.
        Raises InputError if the image cannot be read, or the file says nothing of preprocessing.
        """
        if self.preprocessing is None:
            raise InputError(f"{self._where}: says nothing of preprocessing; call the network with an array")
        pixels = _opened(image)
        logits = self(Preprocessing.of(self.preprocessing).network_input(pixels))[0].astype(np.float64)
        weights = np.exp(logits - logits.max())
        best = np.argsort(-logits, kind="stable")[:top]
        names = self.class_names or [str(number) for number in range(len(logits))]
        return [(names[each], float(weights[each] / weights.sum())) for each in best]

    def tables(self, height: int, width: int) -> Tables:
        """The engine's plan for images of this size. Raises InputError for one that it cannot take."""
        if not (0 < height < 1 << 20 and 0 < width < 1 << 20):
            raise InputError(f"images of {height}×{width} pixels are none; give another size")
        needed = sum(
            bytes_of_maps(part, height, width) for part in (self._live, self._constant) if part is not None
        )
        if needed > self._memory:
            raise InputError(
                f"{self._where}: images of {height}×{width} pixels take {needed >> 20:,} MB of maps, more "
                f"than the {self._memory >> 20:,} allowed; give smaller images or raise `memory`"
            )
        size = self._live.channels[IMAGES], height, width
        try:
            return plan_of(self._live, self._given(size), size)
        except InputError:
            raise
        # Sizes of maps that fit each other for images of the file's own size may not for others.
        except (ValueError, OverflowError) as error:
            raise InputError(f"{self._where}, images of {size[1]}×{size[2]} pixels: {error}") from None

    def _plan(self, size: Size) -> Plan:
        return Plan(self.tables(*size[1:]), self._live.channels[LOGITS])

    def _given(self, size: Size) -> dict[str, Array]:
        """What constant nodes send."""
        if self._constant is None:
            return {}
        zeros = np.zeros((1, *size), dtype=np.float32)
        with np.errstate(all="ignore"):
            made = states_of(self._constant, zeros)
        return {name: made[name] for name in starts(self._live) if made[name].any()}


def _checked_threads(threads: int | None) -> int:
    if threads is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if type(threads) is not int or not 1 <= threads <= 256:
        raise InputError(f"threads is {threads!r}; give a number from 1 to 256")
    return threads


def _opened(image: str | Path | Image) -> Image:
    """The image in RGB."""
    try:
        from dnw_graph.data.decode import Unreadable, decode
    except ImportError:
        raise InputError(
            f"{image}: Pillow reads image files and is not installed; pip install 'dnw-runtime[images]'"
        ) from None
    found = decode(os.fspath(image)) if isinstance(image, (str, os.PathLike)) else decode(image, "image")
    if isinstance(found, Unreadable):
        raise InputError(f"{found.path}: {found.reason}; give another image")
    return found
