"""The `dnw-graph` command with a tiny static network of 44 nodes, to be killed at a step of one's choice.

    SIGNAL_AT=KILL:37 python small_network.py train --config …

Under torchrun, SIGNAL_RANK names the only process that gets the signal, SIGNAL_RESTART how often all were
started before.
Tests in the same process use `SMALL` alone.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from dnw_graph.config.networks import NETWORKS
from dnw_graph.models.tiny_static import tiny_static

SMALL = partial(tiny_static, groups=(8, 12, 12), readout=12, stem_channels=4)
ENTRY = replace(NETWORKS.get("tiny_static"), build=SMALL)


def send_at(name: str, step: int) -> None:
    """Let every session send this process a signal when it begins optimiser step `step`, from 0."""
    from dnw_graph.training.session import Session

    original = Session.step

    def with_signal(self, parts):
        if self.position.step == step:
            os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
        original(self, parts)

    Session.step = with_signal


if __name__ == "__main__":
    from dnw_graph.commands.main import main

    NETWORKS.entries["tiny_static"] = ENTRY
    asked = os.environ.get
    is_meant = asked("SIGNAL_RANK") in (None, asked("RANK"))
    is_meant &= asked("SIGNAL_RESTART") in (None, asked("TORCHELASTIC_RESTART_COUNT"))
    if "SIGNAL_AT" in os.environ and is_meant:
        name, _, step = os.environ["SIGNAL_AT"].partition(":")
        send_at(name, int(step))
    sys.exit(main(sys.argv[1:]))
