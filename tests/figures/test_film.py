"""The film: a frame per stored wiring, which shows that wiring."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dnw_graph.errors import InputError
from dnw_graph.figures import film, style
from dnw_graph.figures.cohorts import Cohorts
from dnw_graph.figures.style import drawing
from dnw_graph.figures.subject import Subject, read_subject


def test_a_frame_per_stored_wiring(run_subject: Subject) -> None:
    with drawing():
        content = film.film_bytes(run_subject)
    assert content.startswith(b"GIF89a")
    with Image.open(io.BytesIO(content)) as frames:
        assert frames.n_frames == 4
        assert frames.info["loop"] == 0
        assert frames.size == (int(film.WIDTH * film.DPI), int(film.HEIGHT * film.DPI))


def test_frames_differ_where_the_wiring_does(run_subject: Subject) -> None:
    with drawing():
        frames = [frame.copy() for frame in film.film_frames(run_subject)]
    # The middle of the picture, without the title and the course below.
    panels = [frame[100:500] for frame in frames]
    assert all((one != other).any() for one, other in pairwise(panels))


def test_long_trainings_have_few_frames(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "MAX_FRAMES", 3)
    subject = read_subject(make_run(tmp_path / "long", epochs=7))
    seen = []
    monkeypatch.setattr(film, "_moment", lambda cohorts, row: seen.append(row) or str(row))
    with drawing():
        assert len(list(film.film_frames(subject))) == 3
    assert sorted(set(seen)) == [0, 4, 7]


def test_it_ends_when_nothing_moves_any_more(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", epochs=5)
    for epoch in (3, 4, 5):
        (run / "wiring" / f"epoch_{epoch:04d}.npz").write_bytes(
            (run / "wiring" / "epoch_0002.npz").read_bytes()
        )
    seen = []
    with drawing():
        frames = list(film.film_frames(read_subject(run), lambda *numbers: seen.append(numbers)))
    assert len(frames) == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_last_moment_says_that_it_is_the_last() -> None:
    """1,000 edges: 500, 2 and then 1 of them are new; the last is a tenth of a per cent."""
    since = np.diag([1000, 500, 2, 1])
    since[1:, 0] = 1000 - np.diagonal(since)[1:]
    cohorts = Cohorts(np.arange(4), since, np.zeros(4, dtype=int))
    assert film.last_moving(cohorts) == 2
    assert film._moment(cohorts, 0) == "Before the first step: untrained"
    assert film._moment(cohorts, 1) == "After epoch 1 of 3: 50.0% of the edges are new since epoch 0"
    assert film._moment(cohorts, 2).endswith("0.2% of the edges are new since epoch 1, then at most 0.1%")


def test_a_wiring_that_never_changes_is_no_film(tmp_path: Path, make_run: Any) -> None:
    with pytest.raises(InputError, match=r"\(rule random\), so --kind film has no change to show"):
        film.film_bytes(read_subject(make_run(tmp_path / "random", rule="random")))


def test_colours_are_kept_by_the_palette() -> None:
    """Tones of the scale, white and the lines' colours come out as they went in, to 6 of 255."""
    tones = np.concatenate([style.density_colours()(np.linspace(0, 1, 200))[:, :3], np.ones((1, 3))])
    pixels = np.round(255 * tones).astype(np.uint8)[None]
    shown = np.array(film._paletted(pixels).convert("RGB"))
    assert np.abs(shown.astype(int) - pixels).max() <= 6


def test_one_wiring_is_no_film(subject: Subject) -> None:
    with pytest.raises(InputError, match=r"--kind film shows how a wiring changed"):
        film.film_bytes(subject)
