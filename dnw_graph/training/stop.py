"""Ctrl-C and SIGTERM as a request that the loop reads between two steps."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While entered, the first signal sets `requested`; another one, a second later, stops at once.

    torchrun and the terminal may both pass on one Ctrl-C, hence the second.
    """

    requested = False

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self._time = 0.0

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and now - self._time > 1.0:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self._time = True, now
