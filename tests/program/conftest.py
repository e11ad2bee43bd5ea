"""Random programs, as a module."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def programs(load_module) -> ModuleType:
    return load_module(Path(__file__).with_name("programs.py"))
