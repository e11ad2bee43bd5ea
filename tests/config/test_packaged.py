"""Configurations by name."""

from __future__ import annotations

from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.commands.main import main
from dnw_graph.config import packaged
from dnw_graph.errors import InputError

CONFIGS = Path(__file__).parents[2] / "configs"


def test_a_name_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    by_path = dg.load_config(CONFIGS / "digits" / "tiny_static_dnw.yaml", ["optimizer.lr=0.5"])
    for name in ("digits/tiny_static_dnw", "digits/tiny_static_dnw.yaml", Path("digits/tiny_static_dnw")):
        assert dg.load_config(name, ["optimizer.lr=0.5"]) == by_path


def test_a_file_of_ones_own_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "digits" / "tiny_static_dnw"
    mine.parent.mkdir()
    mine.write_text((CONFIGS / "digits" / "tiny_static_random.yaml").read_text())
    assert dg.load_config("digits/tiny_static_dnw").model.rule == "random"


@pytest.mark.parametrize("name", ["digits/tiny_static", "digits/tiny_static.yaml"])
def test_an_unknown_name_gets_the_nearest_one(name: str) -> None:
    with pytest.raises(InputError) as caught:
        dg.load_config(name)
    assert str(caught.value) == (
        f"{name}: no such file and no configuration of that name; did you mean digits/tiny_static_dnw?"
    )


def test_every_configuration_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    told = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert set(told) == {
        path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.yaml")
    }
    assert told["digits/tiny_static_dnw"].strip().startswith("Tiny static network (41k parameters)")
    for name in told:
        dg.load_config(name)


def test_the_copy_inside_of_an_installed_package_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dnw_graph" / "configs" / "mine").mkdir(parents=True)
    (tmp_path / "dnw_graph" / "configs" / "mine" / "small.yaml").write_text("# A small one.\nmodel: {}\n")
    monkeypatch.setattr(packaged, "_PACKAGE", tmp_path / "dnw_graph")
    assert packaged.listed() == {"mine/small": "A small one."}
