"""The tables of a page are put where its comments say."""

from __future__ import annotations

import pytest

from benchmarks.plots.training import BEGIN, END, put


def test_what_stands_between_the_comments_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    for tables in ("first", "second"):
        put(page, tables)
        assert page.read_text() == f"above\n{BEGIN}\n\n{tables}\n\n{END}\nbelow\n"


def test_a_page_without_them_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{END} {BEGIN}")
    with pytest.raises(SystemExit, match="has no"):
        put(page, "tables")
    assert page.read_text() == f"{END} {BEGIN}"
