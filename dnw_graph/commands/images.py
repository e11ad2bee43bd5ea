"""The images that `predict` is given: files, folders, standard input."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path

from dnw_graph.data.decode import SUFFIXES, is_image
from dnw_graph.data.folder_parts import files_in
from dnw_graph.errors import InputError

STANDARD_INPUT = "-"
MOST_BYTES = 1 << 29
"""Of an image on standard input."""
LONGEST_NAME = 1 << 16

Image = tuple[str | None, str | bytes]
"""Name and source, as `predictions` takes them."""


def images_of(
    words: Sequence[str], standard_input: BufferedIOBase, complain: Callable[[str], None]
) -> Iterator[Image]:
    """The images that the words of the command line name, in order.

    A folder stands for all images in it and below. `-` is standard input: one image if it begins like one,
    else a list of files and folders, a line each, or with a zero byte behind each as `find -print0` writes.
    What cannot be looked into is told to `complain`, in a sentence, and left out.
    Raises InputError if `-` is given twice, or what comes in is neither.
    """
    if list(words).count(STANDARD_INPUT) > 1:
        raise InputError('"-" is given twice, but there is one standard input; give it once')
    for word in words:
        if word == STANDARD_INPUT:
            yield from _incoming(standard_input, complain)
        else:
            yield from _named(word, complain)


def _named(word: str, complain: Callable[[str], None]) -> Iterator[Image]:
    if not os.path.isdir(word):  # noqa: PTH112 (a name may hold what no Path can)
        yield None, word
        return
    found = 0
    try:
        for path in files_in(Path(word), {}):
            found += 1
            yield None, path
    except InputError as error:
        complain(str(error))
        return
    if not found:
        complain(f"{word}: holds no image; images end in {', '.join(SUFFIXES)}")


def _incoming(stream: BufferedIOBase, complain: Callable[[str], None]) -> Iterator[Image]:
    head = stream.read(16)
    if is_image(head):
        data = head + stream.read(MOST_BYTES)
        if len(data) > MOST_BYTES:
            raise InputError(
                f"standard input: has more than {MOST_BYTES >> 20} MiB; save the image as a file and name it"
            )
        yield "standard input", data
        return
    found = 0
    for name in _lines(stream, head):
        found += 1
        yield from _named(os.fsdecode(name), complain)
    if not found:
        complain('standard input: is empty; "-" wants an image, or names of files, a line each')


def _lines(stream: BufferedIOBase, waiting: bytes) -> Iterator[bytes]:
    """Names, as they come: up to zero bytes if the first one ends so, else lines. Empty ones are left out."""
    while b"\0" not in waiting and b"\n" not in waiting and len(waiting) <= LONGEST_NAME:
        if not (more := stream.read1(LONGEST_NAME)):
            break
        waiting += more
    end = b"\0" if b"\0" in waiting else b"\n"
    while waiting:
        *whole, rest = waiting.split(end)
        if end == b"\n":
            whole = [name.removesuffix(b"\r") for name in whole]
        yield from (name for name in whole if name)
        if len(rest) > LONGEST_NAME:
            raise InputError(
                "standard input: is neither an image nor a list of files, for one line does not end; give "
                "names of files, a line each"
            )
        if not (more := stream.read1(LONGEST_NAME)):
            if rest:
                yield rest
            return
        waiting = rest + more
