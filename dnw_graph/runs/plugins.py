"""Rules from a user's own files: loading them, and remembering which files a run needs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnw_graph.wiring.plugin import load_plugin


def load_plugins(paths: Sequence[str | Path]) -> list[dict[str, str]]:
    """Import plugins in the order given → [{"file": name, "sha256": digest}, …], for the checkpoint."""
    described = []
    for path in paths:
        load_plugin(path)
        described.append(
            {"file": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
        )
    return described


def same_plugins(saved: list[dict[str, str]], given: list[dict[str, str]]) -> bool:
    """Whether the files have the same contents; their names may differ."""
    return [each["sha256"] for each in saved] == [each["sha256"] for each in given]


def plugin_hint(saved: list[dict[str, Any]]) -> str:
    """What a run was trained with, and what to do about it."""
    if not saved:
        return "was trained without a plugin; leave out --plugin"
    files = " and ".join(f"{each['file']} (SHA-256 {each['sha256'][:12]}…)" for each in saved)
    return f"was trained with the plugin {files}; give that very file with --plugin"
