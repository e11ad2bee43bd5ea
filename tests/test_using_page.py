"""docs/using.md: its Python runs, and its tables name what there is."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from PIL import Image

import dnw_graph as dg
from dnw_graph.commands import predict
from dnw_graph.data import digits
from dnw_graph.runs.run import Run

PAGE = (Path(__file__).parents[1] / "docs" / "using.md").read_text(encoding="utf-8")


@pytest.fixture
def place(tmp_path, monkeypatch, small_run, small):
    """A folder in which the page's commands make sense, with a small run instead of that of an hour."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "fashion").symlink_to(small_run)
    for name, image in zip(("shirt.png", "coat.png"), digits.read(None, False).images, strict=False):
        Image.fromarray(image[0].numpy()).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dg, "load_config", lambda _: small.small_config(), raising=False)
    return tmp_path


def test_the_python_of_the_page_runs(place):
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert (place / "kernels.png").is_file()
    assert names["run"].path == place / "runs" / "digits"


def test_the_page_names_every_option_and_attribute():
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    options = {name for action in parser._actions for name in action.option_strings} - {"-h", "--help"}
    assert options == set(re.findall(r"^\| `(--[\w-]+)", PAGE, flags=re.MULTILINE))
    told = set(re.findall(r"run\.(\w+)", PAGE))
    public = {name for name in (*dir(Run), *Run.__dataclass_fields__) if not name.startswith("_")}
    assert told == public - {"shown"}
