"""Commands that the pages tell to type are understood: options, configurations and their keys."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from dnw_graph.commands import options
from dnw_graph.commands.main import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
RUNS = re.compile(r"dnw-graph |tools/\w+\.py")


def commands(text: str) -> list[list[str]]:
    """[name, argument, …] of each line of a shell block that runs dnw-graph or one of tools/."""
    found = []
    for language, block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines() if language in ("", "sh") else ():
            if not RUNS.search(line):
                continue
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for number, word in enumerate(words):
                tool = re.fullmatch(r"tools/(\w+)\.py", word)
                if tool:
                    found.append([tool[1], *words[number + 1 :]])
                elif Path(word).name == "dnw-graph" and words[number + 1 :]:
                    found.append(words[number + 1 :])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_understood(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for name, *arguments in commands(page.read_text(encoding="utf-8")):
        assert name.replace("_", "-") in COMMANDS
        parser = argparse.ArgumentParser(exit_on_error=False)
        import_module(f"dnw_graph.commands.{name.replace('-', '_')}").add_arguments(parser)
        known = parser.parse_args(options.one_override_each(arguments))
        if name == "train" and known.config is not None:
            options.read_config(known)


def test_commands_are_found():
    text = "```sh\n.venv/bin/dnw-graph train --set a=1\ntorchrun tools/train.py x  # why\n```\n"
    assert commands(text) == [["train", "--set", "a=1"], ["train", "x"]]
