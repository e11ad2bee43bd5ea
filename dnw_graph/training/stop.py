"""Signals as a request that the loop reads between two steps."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Ctrl-C; kill and schedulers; a terminal that closes; Slurm's warning before its time limit (--signal)."""

_SECONDS_OF_ONE = 1.0 if "TORCHELASTIC_RUN_ID" in os.environ else 0.2


class StopRequest:
    """While entered, the first signal sets `requested`; another one stops at once.

    Those that come right after the first are taken for the same: one Ctrl-C may come from the terminal and,
    up to a second later, from torchrun. What was ignored before, as SIGHUP under nohup, stays ignored.
    """

    requested = False

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self._time = 0.0

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._receive) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and now - self._time > _SECONDS_OF_ONE:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self._time = True, now
