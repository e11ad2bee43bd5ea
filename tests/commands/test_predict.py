"""`dnw-graph predict`: what it prints of good images, and says of bad ones."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import dnw_graph as dg
from dnw_graph.commands.images import LONGEST_NAME
from dnw_graph.commands.main import main
from dnw_graph.data import digits

ROOT = Path(__file__).parents[2]
LATIN = os.fsdecode(b"caf\xe9.png")


@pytest.fixture
def folder(tmp_path) -> Path:
    """a.png, b.jpg and sub/c.png, digits; with a file that is no image, which nobody looks at."""
    place = tmp_path / "images"
    (place / "sub").mkdir(parents=True)
    stored = digits.read(None, False).images
    for name, image in zip(("a.png", "b.jpg", "sub/c.png"), stored, strict=False):
        Image.fromarray(image[0].numpy()).save(place / name)
    (place / "notes.txt").write_text("digits")
    return place


@pytest.fixture
def predict(small_run, capfdbinary, monkeypatch):
    """predict("a.png", …, stdin=b"…") → (exit code, stdout, stderr)"""

    def call(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        code = main(["predict", str(small_run), *map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, os.fsdecode(out), os.fsdecode(err)

    return call


def test_each_image_is_a_line_in_order(predict, folder, small_run):
    """A folder stands for the images in it and below."""
    code, out, err = predict(folder / "sub/c.png", folder, "--top", 2)
    run = dg.load_run(small_run)
    files = [folder / name for name in ("sub/c.png", "a.png", "b.jpg", "sub/c.png")]
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{each.image}: {each}" for each in run.predict(files, top=2)]


def test_json_is_one_list(predict, folder, small_run):
    code, out, _ = predict(folder, "--json")
    assert code == 0
    files = [folder / name for name in ("a.png", "b.jpg", "sub/c.png")]
    assert json.loads(out) == [each.as_dict() for each in dg.load_run(small_run).predict(files)]
    (folder / "empty").mkdir()
    code, out, err = predict(folder / "empty", "--json")
    assert (code, json.loads(out)) == (2, [])
    assert "empty: holds no image; images end in .jpg, " in err


def test_csv_has_a_row_for_each_class(predict, folder, small_run):
    (folder / 'with "quotes", and a\nline.png').write_bytes((folder / "a.png").read_bytes())
    code, out, _ = predict(folder, "--csv", "--top", 3)
    assert code == 0
    heading, *rows = csv.reader(io.StringIO(out))
    assert heading == ["image", "rank", "class", "probability"]
    assert len(rows) == 4 * 3
    (expected,) = dg.load_run(small_run).predict([folder / "a.png"], top=3)
    assert [(rank, name) for _, rank, name, _ in rows[:3]] == [
        (str(rank), name) for rank, (name, _) in enumerate(expected.top, start=1)
    ]
    assert [float(row[3]) for row in rows[:3]] == pytest.approx([each for _, each in expected.top], rel=1e-4)
    assert {row[0] for row in rows} >= {str(folder / 'with "quotes", and a\nline.png')}


def test_what_cannot_be_read_is_a_sentence_each_and_the_rest_is_predicted(predict, folder):
    """As the data room says it: damaged, deep, missing, empty. The exit code is 2."""
    (folder / "bad.png").write_bytes(b"x")
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(folder / "deep.png")
    code, out, err = predict(folder, folder / "nope.png", folder / "a.png")
    assert code == 2
    assert [line.partition(": ")[0] for line in out.splitlines()] == [
        str(folder / name) for name in ("a.png", "b.jpg", "sub/c.png", "a.png")
    ]
    assert err.splitlines() == [
        f"dnw-graph: error: {folder}/{name}; give another file."
        for name in (
            "bad.png: cannot be decoded (not an image that Pillow knows)",
            "deep.png: has pixels of kind I;16, expected at most 8 bits per channel",
            "nope.png: cannot be decoded (No such file or directory)",
        )
    ]


def test_names_that_are_not_utf8_are_printed_as_they_came(predict, folder):
    (folder / LATIN).write_bytes((folder / "a.png").read_bytes())
    for form in ([], ["--csv"]):
        code, out, err = predict(folder / LATIN, *form)
        assert (code, err) == (0, "")
        assert LATIN in out
    _, out, _ = predict(folder / LATIN, "--json")
    assert json.loads(out)[0]["image"] == str(folder / LATIN)


def test_a_name_with_a_line_break_stays_on_a_line(predict, folder):
    (folder / "a\nb.png").write_bytes((folder / "a.png").read_bytes())
    _, out, _ = predict(folder / "a\nb.png")
    assert out.startswith(repr(str(folder / "a\nb.png")) + ": ")
    assert out.count("\n") == 1


def test_standard_input_is_one_image_if_it_begins_like_one(predict, folder):
    code, out, _ = predict("-", stdin=(folder / "b.jpg").read_bytes())
    _, named, _ = predict(folder / "b.jpg")
    assert code == 0
    assert out == named.replace(str(folder / "b.jpg"), "standard input")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_standard_input_is_else_a_list_of_files_and_folders(predict, folder, end):
    """A line each, or as `find -print0` writes them. Empty lines are left out; the last may lack its end."""
    (folder / LATIN).write_bytes((folder / "a.png").read_bytes())
    names = [folder / "a.png", "", folder / "sub", folder / LATIN]
    code, out, err = predict("-", stdin=os.fsencode(end.join(map(str, names))))
    assert (code, err) == (0, "")
    assert [line.partition(": ")[0] for line in out.splitlines()] == [
        str(folder / name) for name in ("a.png", "sub/c.png", LATIN)
    ]


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        (b"", 'standard input: is empty; "-" wants an image, or names of files, a line each'),
        (b"\n\n", "standard input: is empty"),
        (b"x" * (3 * LONGEST_NAME), "neither an image nor a list of files, for one line does not end"),
        (b"nope.png\n", "nope.png: cannot be decoded (No such file or directory)"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 20, "standard input: cannot be decoded"),
    ],
)
def test_other_input_is_refused_in_a_sentence(predict, stdin, sentence):
    code, out, err = predict("-", stdin=stdin)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a.png", "--top", "0"], "top 0 is out of range; give a whole number from 1 on."),
        (["a.png", "--top", "x"], "argument --top: invalid int value: 'x'"),
        (["a.png", "--batch-size", "0"], "batch_size 0 is out of range"),
        (["a.png", "--json", "--csv"], "not allowed with argument --json"),
        (["a.png", "--backend", "cuda"], "backend 'cuda' is not known"),
        (["-", "-"], '"-" is given twice'),
        ([], "the following arguments are required: IMAGE"),
    ],
)
def test_wrong_options_are_one_line(predict, arguments, sentence):
    code, out, err = predict(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_run_that_is_none_is_one_line(capsys):
    assert main(["predict", "runs/nope", "a.png"]) == 2
    assert capsys.readouterr().err == (
        "dnw-graph: error: runs/nope: no such run directory; give the --run-dir of a training, or a "
        "checkpoint in it.\n"
    )


def test_a_link_that_leads_back_is_told_and_the_rest_is_predicted(predict, folder):
    (folder / "sub/again").symlink_to(folder)
    code, out, err = predict(folder, folder / "a.png")
    assert code == 2
    assert "once more, by a link" in err
    assert out.startswith(f"{folder / 'a.png'}: ")


def test_a_closed_standard_input_and_letters_that_the_terminal_lacks(folder, small_run):
    """Class names may have any letter; a closed input is an empty one."""
    name = folder / "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve.png"
    name.write_bytes((folder / "a.png").read_bytes())
    words = [sys.executable, str(ROOT / "tools/predict.py"), str(small_run), str(name), "-"]
    found = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words],
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stdout.startswith(bytes(folder) + b"/na\\xefve.png: ")
    assert b"standard input: is empty" in found.stderr
    assert b"Traceback" not in found.stderr
