"""The page as a file, and the command that writes it."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from dnw_graph.commands.main import main
from dnw_graph.interchange import save_graph
from dnw_graph.view import write_page

PAGE = Path(__file__).parents[2] / "page"


@pytest.fixture
def view(capsys):
    """view(RUN, …) → (exit code, stdout, stderr)."""

    def run(*arguments):
        code = main(["view", "--no-open", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_wiring_file_becomes_a_page(nine_nodes, tmp_path, view):
    wiring, page = tmp_path / "nine.npz", tmp_path / "net.html"
    save_graph(nine_nodes, wiring)
    code, out, _ = view(wiring, "-o", page)
    assert code == 0
    assert out.startswith(f"{page}: 9 nodes, 7 edges, ")
    assert "the file holds the wiring alone" in out
    about = json.loads(re.search(r'id="about">(.*?)</script>', page.read_text())[1])
    assert (about["name"], about["nodes"], about["edges"]) == ("nine.npz", 9, 7)


def test_a_page_names_no_other_address_and_ends_no_script(nine_nodes, tmp_path):
    name = "</script><!--<script>"
    nine_nodes.facts = type(nine_nodes.facts)(class_names=[name, "b"])
    content = write_page(tmp_path / "net.html", nine_nodes)
    text = (tmp_path / "net.html").read_text()
    assert content.about["classes"] == [name, "b"]
    assert name not in text
    assert text.count("<script") == text.count("</script>") == 4
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.https?:", text)
    assert "default-src 'none'" in text
    # Of the library and all packages in it.
    assert "@cosmos.gl/graph" in text
    assert "MIT License" in text


def test_the_same_network_gives_the_same_page(nine_nodes, tmp_path):
    for name in ("a.html", "b.html"):
        write_page(tmp_path / name, nine_nodes)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing"], "nothing: no such run directory"),
        (["nothing", "-o", "net.png"], "net.png: the page is HTML"),
        (["nothing", "-o", "no/net.html"], "there is no directory no"),
    ],
)
def test_mistakes_are_a_sentence(arguments, sentence, view, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = view(*arguments)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_the_scripts_were_built_from_these_sources():
    digest = hashlib.sha256()
    for path in [PAGE / "package-lock.json", *sorted((PAGE / "source").iterdir())]:
        digest.update(path.relative_to(PAGE).as_posix().encode() + b"\n" + path.read_bytes())
    built = Path(__file__).parents[2] / "dnw_graph" / "view" / "built"
    assert digest.hexdigest() in (built / "page.js").read_text(), "run `npm ci && npm run build` in page/"
    for name in ("page.html", "page.css"):
        assert (built / name).read_bytes() == (PAGE / "source" / name).read_bytes()


def test_the_lock_file_names_no_host():
    assert "http" not in re.sub(r'"url": "[^"]*"', "", (PAGE / "package-lock.json").read_text())
