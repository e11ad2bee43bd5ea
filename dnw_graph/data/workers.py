"""Worker processes that end before their time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dnw_graph.errors import InputError


@contextmanager
def telling_of_dead_workers() -> Iterator[None]:
    """Turn torch's error about a dead worker into InputError.

    Torch raises it from a signal handler, so at any place of the main thread, not where images are asked for.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        what = " ".join(str(error).split()).partition(". ")[0]
        raise InputError(
            f"a process that decodes images ended ({what}), perhaps because memory ran out; use fewer "
            "data.workers or a smaller training.batch_size, then go on with --resume auto."
        ) from None
