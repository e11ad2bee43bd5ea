"""The record of a run: metrics.jsonl, one JSON object a line, and TensorBoard events."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from dnw_graph.errors import InputError
from dnw_graph.limits import open_file

VERSION = 1


def tag_of(kind: str, name: str) -> str:
    """TensorBoard's name of a number, kind `step` or `epoch`.

    Groups are shown in the order of the alphabet: accuracy and loss come first, the wiring's curves last.
    """
    group = "accuracy" if "top" in name else "loss" if name.endswith("loss") else "progress"
    return f"{group}/{kind}_{name}"


class Journal:
    """Appends records; a checkpoint keeps `position`, so that going on neither repeats nor loses a line.

    A record has "kind": "step" (sums since the last one) or "epoch" (whole epoch, with scores),
    "version", "epoch" (counted from 1), "step" (optimiser steps done), "lr" (of that step), "train_loss"
    (nats), "train_top1" (fraction), "swaps" (edges that entered the wiring), "images_per_second"; epochs also
    "seconds" (training alone) and, of validation and of test images where there are any, "val_loss",
    "val_top1", "val_top5" (of more than five classes), "val_seconds", "test_loss" and so on.

    writer  torch's SummaryWriter; None without TensorBoard
    notice  what to tell the user where records that the checkpoint knows are gone; else None
    Raises InputError when the disk refuses.
    """

    def __init__(self, metrics: Path, tensorboard: Path | None, position: int = 0, step: int = 0) -> None:
        """Cut metrics.jsonl to `position` bytes, or before that to whole lines, and TensorBoard to `step`."""
        self._path, self._tensorboard = metrics, tensorboard
        self.writer: Any = None
        self.notice: str | None = None
        with self.telling():
            if metrics.exists():
                open_file(metrics).close()  # Opened to write, a pipe would make us wait for its reader.
            self._file = metrics.open("ab", buffering=0)
            self._cut(position)
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            with self.telling(tensorboard):
                self.writer = SummaryWriter(str(tensorboard), purge_step=step + 1)

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; numbers go to TensorBoard by optimiser step as well."""
        line = json.dumps({**record, "version": VERSION}, allow_nan=False).encode() + b"\n"
        with self.telling():
            end = os.fstat(self._file.fileno()).st_size
            try:
                while line:
                    line = line[self._file.write(line) :]
            except OSError:
                self._file.truncate(end)  # No half of a line stays.
                raise
        if self.writer is None:
            return
        with self.telling(self._tensorboard):
            for name, value in record.items():
                if name not in ("kind", "step", "epoch"):
                    self.writer.add_scalar(tag_of(record["kind"], name), value, record["step"])

    def position(self) -> int:
        """Bytes of metrics.jsonl, all of them on the disk."""
        with self.telling():
            os.fsync(self._file.fileno())
            end = os.fstat(self._file.fileno()).st_size
        if self.writer is not None:
            with self.telling(self._tensorboard):
                self.writer.flush()
        return end

    def _cut(self, position: int) -> None:
        with open_file(self._path) as file:
            known = file.read(min(position, os.fstat(file.fileno()).st_size))
        whole = known.rfind(b"\n") + 1
        if whole < position:
            what = "ends inside a line" if whole < len(known) else "ends there"
            self.notice = (
                f"{self._path}: records are missing: the checkpoint knows {position:,} bytes, and the file "
                f"{what} after {len(known):,}; going on behind its last whole line"
            )
        self._file.truncate(whole)

    @contextmanager
    def telling(self, path: Path | None = None) -> Iterator[None]:
        """Turn the disk's refusals inside into InputError, naming metrics.jsonl or `path`."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{path or self._path}: cannot be written ({error.strerror or error}); make room, then go on "
                "with --resume auto."
            ) from error

    def __enter__(self) -> Journal:
        self._excepthook = threading.excepthook
        threading.excepthook = self._leave_out_disk_errors
        return self

    def _leave_out_disk_errors(self, thread: threading.ExceptHookArgs) -> None:
        """TensorBoard's thread prints what its next call raises as well."""
        if not isinstance(thread.exc_value, OSError):
            self._excepthook(thread)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self.writer is not None:
            try:
                with self.telling(self._tensorboard):
                    self.writer.close()
            except InputError:
                # TensorBoard tells again what ended the run.
                if error is None:
                    raise
            finally:
                threading.excepthook = self._excepthook
        else:
            threading.excepthook = self._excepthook
