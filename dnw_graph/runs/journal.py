"""The record of a run: metrics.jsonl, one JSON object a line, and TensorBoard events."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

VERSION = 1


class Journal:
    """Appends records; a checkpoint keeps `position`, so that going on neither repeats nor loses a line.

    A record has "kind": "step" (sums since the last one) or "epoch" (whole epoch, with test scores),
    "version", "epoch" (counted from 1), "step" (optimiser steps done), "lr" (of that step), "train_loss"
    (nats), "train_top1" (fraction), "swaps" (edges that entered the wiring), "images_per_second"; epochs also
    "test_loss", "test_top1", "test_top5" (of more than five classes), "seconds" (training alone),
    "test_seconds".

    writer  torch's SummaryWriter; None without TensorBoard
    """

    def __init__(self, metrics: Path, tensorboard: Path | None, position: int = 0, step: int = 0) -> None:
        """Cut metrics.jsonl to `position` bytes and TensorBoard's curves to `step`."""
        self._file = metrics.open("ab")
        self._file.truncate(min(position, metrics.stat().st_size))
        self.writer: Any = None
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(tensorboard), purge_step=step + 1)

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; numbers go to TensorBoard by optimiser step as well."""
        line = json.dumps({**record, "version": VERSION}, allow_nan=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        if self.writer is not None:
            for name, value in record.items():
                if name not in ("kind", "step", "epoch"):
                    group = "epoch" if record["kind"] == "epoch" else "step"
                    self.writer.add_scalar(f"{group}/{name}", value, record["step"])

    def position(self) -> int:
        """Bytes of metrics.jsonl, all of them on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self.writer is not None:
            self.writer.flush()
        return os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self.writer is not None:
            self.writer.close()
