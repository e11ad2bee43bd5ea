"""What the person who waits sees: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 10.0


class Display:
    """Progress of one run; silent where `enabled` is false (all ranks but the first)."""

    def __init__(self, enabled: bool, epochs: int, steps_per_epoch: int, step: int) -> None:
        self._enabled = enabled
        self._epochs, self._steps = epochs, epochs * steps_per_epoch
        self._first_step, self._start = step, time.monotonic()
        self._last_line = 0.0
        self._bar: Progress | None = None
        self._console = Console()
        if enabled and self._console.is_terminal and not self._console.is_dumb_terminal:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
                console=self._console,
            )
            self._task = self._bar.add_task(
                "train",
                total=steps_per_epoch,
                completed=step % steps_per_epoch,
                epoch=f"{min(step // steps_per_epoch + 1, epochs)}/{epochs}",
                text="",
            )

    def step(self, epoch: int, step_in_epoch: int) -> None:
        """One optimiser step is done; cheap, shows no new numbers."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step_in_epoch, epoch=f"{epoch}/{self._epochs}")

    def record(self, record: dict[str, Any]) -> None:
        """Show a record of `log.Journal`: in the bar, or as a line now and then; epochs always as a line."""
        if not self._enabled:
            return
        if record["kind"] == "epoch":
            self.line(self._epoch_text(record))
            return
        text = self._step_text(record)
        if self._bar is not None:
            self._bar.update(self._task, text=text)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self.line(f"epoch {record['epoch']}/{self._epochs}  step {record['step']}/{self._steps}  {text}")

    def line(self, text: str) -> None:
        """One line that stays."""
        if not self._enabled:
            return
        self._last_line = time.monotonic()
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, flush=True)

    def _step_text(self, record: dict[str, Any]) -> str:
        parts = [
            f"loss {record['train_loss']:.4f}",
            f"top-1 {record['train_top1']:.1%}",
            f"{record['images_per_second']:,.0f} images/s",
        ]
        if "swaps" in record:
            parts.append(f"swaps {record['swaps']:,}")
        return "  ".join([*parts, f"{self._time_left(record['step'])} left"])

    def _epoch_text(self, record: dict[str, Any]) -> str:
        parts = [
            f"epoch {record['epoch']}/{self._epochs} done",
            f"train loss {record['train_loss']:.4f} top-1 {record['train_top1']:.2%}",
        ]
        for part in ("val", "test"):
            if f"{part}_top1" in record:
                scores = f"loss {record[f'{part}_loss']:.4f} top-1 {record[f'{part}_top1']:.2%}"
                parts.append(f"{part} {scores}")
        if "swaps" in record:
            parts.append(f"swaps {record['swaps']:,}")
        parts.append(f"{record['images_per_second']:,.0f} images/s")
        if record["step"] < self._steps:
            parts.append(f"{self._time_left(record['step'])} left")
        return "  ".join(parts)

    def _time_left(self, step: int) -> str:
        done = step - self._first_step
        if done <= 0:
            return "?"
        return duration((self._steps - step) * (time.monotonic() - self._start) / done)

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def duration(seconds: float) -> str:
    """Seconds as 45s, 3m05s or 2h07m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
