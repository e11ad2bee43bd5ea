"""Every kind, through the command: the right format, the same bytes each time, one sentence for mistakes."""

from __future__ import annotations

import io
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dnw_graph.commands.main import main
from dnw_graph.config import config_from_dict
from dnw_graph.figures.kinds import KINDS, draw
from dnw_graph.figures.style import DPI, WIDTH
from dnw_graph.figures.subject import Subject
from dnw_graph.interchange import save_graph
from dnw_graph.interchange.graph import Graph
from dnw_graph.models import build_model
from dnw_graph.runs.checkpoint import write_checkpoint


@pytest.fixture
def visualize(capsys: pytest.CaptureFixture[str]):
    """visualize(run, "--kind", …) → (exit code, stdout, stderr)."""

    def call(*arguments: Any) -> tuple[int, str, str]:
        code = main(["visualize", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_drawn_twice_the_same(kind: str, run: Path, tmp_path: Path, visualize: Any) -> None:
    suffix, more = (".gif", ()) if KINDS[kind].film else (".png", ("--with", run) if KINDS[kind].pair else ())
    drawn = []
    for number in (1, 2):
        file = tmp_path / f"{number}{suffix}"
        code, out, err = visualize(run, "--kind", kind, "-o", file, *more)
        assert (code, err) == (0, "")
        when = "epochs 0 to 3" if KINDS[kind].past else "untrained"
        assert out.startswith(f"{file}: {kind}, mobilenet_v1 on digits, rule top_k, {when}: 40 nodes")
        drawn.append(file.read_bytes())
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(b"GIF89a" if KINDS[kind].film else b"\x89PNG\r\n\x1a\n")


def test_png_has_the_common_width_and_no_transparency(subject: Subject, tmp_path: Path) -> None:
    draw("layered", tmp_path / "w.png", subject)
    data = (tmp_path / "w.png").read_bytes()
    assert struct.unpack(">I", data[16:20])[0] == WIDTH * DPI
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "RGB"
        assert set(picture.info) == {"dpi"}


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".PDF"])
def test_other_formats_are_the_same_each_time(suffix: str, subject: Subject, tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw("adjacency", tmp_path / f"{name}{suffix}", subject)
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert content == (tmp_path / f"b{suffix}").read_bytes()
    if suffix == ".svg":
        root = ElementTree.fromstring(content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("width") == f"{WIDTH * 72:g}pt"
    else:
        assert content.startswith(b"%PDF-")


def test_settings_of_the_user_change_nothing(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    draw("levels", tmp_path / "a.svg", subject)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30.0)
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "red")
    draw("levels", tmp_path / "b.svg", subject)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert matplotlib.rcParams["font.size"] == 30.0


@pytest.mark.parametrize("kind", ["layered", "compare"])
def test_a_wiring_file_is_drawn(kind: str, graph: Graph, tmp_path: Path, visualize: Any) -> None:
    wiring = tmp_path / "nine.npz"
    save_graph(graph, wiring)
    more = ("--with", wiring) if KINDS[kind].pair else ()
    assert visualize(wiring, "--kind", kind, "-o", tmp_path / "w.svg", *more)[0] == 0
    assert (tmp_path / "w.svg").stat().st_size > 1000


def test_a_strong_part_is_drawn_and_a_part_of_the_nodes_is_not(
    graph: Graph, tmp_path: Path, visualize: Any
) -> None:
    strong, living = tmp_path / "strong.json", tmp_path / "living.json"
    save_graph(graph, strong, threshold=1.5)
    save_graph(graph, living, without_dead=True)
    code, out, _ = visualize(strong, "--kind", "levels", "-o", tmp_path / "w.svg")
    assert code == 0
    assert "rule top_k, edges with |weight| ≥ 1.5: 9 nodes, 4 edges" in out
    code, _, err = visualize(living, "--kind", "levels", "-o", tmp_path / "w.svg")
    assert code == 2
    assert "living.json: nodes were left out when it was exported; give the whole wiring" in err


def test_a_checkpoint_and_a_stage_are_drawn(run: Path, tmp_path: Path, visualize: Any) -> None:
    checkpoint, file = run / "checkpoints" / "last", tmp_path / "w.pdf"
    code, out, _ = visualize(
        checkpoint, "--kind", "turnover", "--stage", 1, "-o", file, "--checkpoint", "last"
    )
    assert code == 0
    assert "stage 1 of 0 to 1" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "--kind", "layerd", "-o", "w.png"],
            '--kind "layerd" is no kind of figure; did you mean layered?',
        ),
        (
            ["run", "--kind", "pie", "-o", "w.png"],
            '--kind "pie" is no kind of figure; known are layered, adjacency',
        ),
        (
            ["run", "--kind", "levels", "-o", "w.jpg"],
            "w.jpg: the suffix '.jpg' names no picture; use .png or .svg",
        ),
        (["run", "--kind", "levels", "-o", "w"], "w: the suffix '' names no picture"),
        (
            ["run", "--kind", "levels", "-o", "w.gif"],
            "w.gif: --kind levels does not move; use .png or .svg or .pdf",
        ),
        (
            ["run", "--kind", "film", "-o", "w.png"],
            "w.png: a film moves and .png does not; write it to a .gif file",
        ),
        (["run", "--kind", "film", "-o", "w.mp4"], "w.mp4: the suffix '.mp4' names no film; use .gif"),
        (
            ["run", "--kind", "compare", "-o", "w.png"],
            "--kind compare draws two wirings; give the second one with",
        ),
        (["run", "--kind", "levels", "--with", "run", "-o", "w.png"], "which --kind levels has no place for"),
        (["RUN", "--kind", "levels", "--stage", "2", "-o", "w.png"], "--stage 2: run has stages 0 to 1"),
        (["RUN", "--kind", "levels", "--stage", "-1", "-o", "w.png"], "--stage -1: run has stages 0 to 1"),
        (["run", "--kind", "levels", "-o", "no/w.png"], "no/w.png: there is no directory no; make it"),
        (
            ["run", "--kind", "levels", "-o", "folder.png"],
            "folder.png: cannot be written; choose another place",
        ),
        (["nowhere", "--kind", "levels", "-o", "w.png"], "nowhere: no such run directory"),
        (["no.npz", "--kind", "levels", "-o", "w.png"], "no.npz: cannot be read"),
        (
            ["nine.npz", "--kind", "turnover", "-o", "w.png"],
            "nine.npz holds one wiring; give a run directory",
        ),
        (["nine.npz", "--kind", "film", "-o", "w.gif"], "nine.npz holds one wiring; give a run directory"),
        (["RUN", "--kind", "compare", "--with", "nine.npz", "-o", "w.png"], "--with nine.npz: its network"),
        (
            ["STILL", "--kind", "turnover", "-o", "w.png"],
            "and --kind turnover needs two or more; train for an epoch",
        ),
        (["STILL", "--kind", "film", "-o", "w.gif"], "and --kind film needs two or more; train for an epoch"),
        (["run", "--kind", "levels"], "the following arguments are required: -o/--output"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    make_run: Any,
    graph: Graph,
    visualize: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "STILL" in arguments:
        make_run(tmp_path / "STILL", epochs=0)
    elif "RUN" in arguments:
        make_run(tmp_path / "run")
    if any("nine" in each for each in arguments):
        save_graph(graph, tmp_path / "nine.npz")
    (tmp_path / "folder.png").mkdir()
    code, out, err = visualize(*("run" if each == "RUN" else each for each in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "w.png").exists()


def test_a_dense_network_has_no_wiring(tmp_path: Path, visualize: Any) -> None:
    network = {"network": "shufflenet_v2", "multiplier": 0.5, "image_size": 32, "num_classes": 10}
    training = {"epochs": 1, "batch_size": 64}
    cfg = config_from_dict({"model": network, "data": {"dataset": "digits"}, "training": training})
    state = {"config": cfg.model_dump(mode="json", exclude_none=True)}
    tensors = {"model": dict(build_model(cfg).state_dict())}
    write_checkpoint(tmp_path / "run" / "checkpoints" / "best", tensors, state)
    code, _, err = visualize(tmp_path / "run", "--kind", "layered", "-o", tmp_path / "w.png")
    assert code == 2
    assert "shufflenet_v2 is a dense network and has no wiring to draw; give a run of a wired one" in err
