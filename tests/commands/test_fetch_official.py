"""Published checkpoints by name, from a server of our own."""

from __future__ import annotations

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.commands.fetch_official import FILES
from dnw_graph.commands.main import main
from dnw_graph.config import load_config
from dnw_graph.interchange.official import from_official
from dnw_graph.runs import load_run

GOLDEN = Path(__file__).parents[1] / "golden"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def copyfile(self, source, outputfile):
        if self.path.endswith("rg_x225.pt"):
            # A connection that ends early.
            outputfile.write(source.read(1000))
            self.close_connection = True
        else:
            super().copyfile(source, outputfile)


@pytest.fixture(scope="module")
def server(tmp_path_factory, fill):
    """Has the file of one network, a page that is no checkpoint, and a file that never comes whole."""
    folder = tmp_path_factory.mktemp("published")
    case = json.loads((GOLDEN / "small_x15.json").read_text())["spec"]
    tensors = {"module." + name: torch.from_numpy(np.array(a)) for name, a in fill.fill_all(case).items()}
    torch.save({"model": tensors, "last_epoch": 249}, folder / FILES["dnw_small_x0.15"])
    torch.save({"model": tensors, "last_epoch": 249}, folder / FILES["dnw_x0.3"])
    (folder / FILES["dnw_x0.225"]).write_text("<html>moved</html>")
    (folder / FILES["random_x0.225"]).write_bytes(bytes(5000))
    serving = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}", folder
    serving.shutdown()
    serving.server_close()
    thread.join()


def test_every_name_is_a_configuration():
    for name in FILES:
        assert load_config(f"imagenet/{name}").model.num_classes == 1000


def test_a_published_network_becomes_a_run(server, tmp_path, monkeypatch, capsys):
    address, folder = server
    monkeypatch.chdir(tmp_path)
    asked = ["fetch-official", "dnw_small_x0.15", "--from", address, "-o", "run", "--keep", "file.pt"]
    assert main(asked) == 0
    assert "exact: " in capsys.readouterr().out
    assert (tmp_path / "file.pt").read_bytes() == (folder / FILES["dnw_small_x0.15"]).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.pt", "run"]
    settings = {"network": "mobilenet_v1", "graph": "dnw", "prune_rate": 0.85, "small": True}
    model = from_official(folder / FILES["dnw_small_x0.15"], **settings)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load_run("run").model(images), model(images))
    assert load_run("run").config.data.dataset == "imagenet"
    assert dg.count(load_run("run").model).macs == dg.count(model).macs


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("dnw_x0.225", [], "/dnw_x225.pt: is broken or of another format"),
        ("dnw_x0.3", [], "does not fit"),
        (
            "dnw_x0.49",
            [],
            "cannot be downloaded (File not found); download it elsewhere and give the file to",
        ),
        ("random_x0.225", [], "1,000 bytes came, not 5,000; try again"),
        ("dnw_x0.225", ["--from", "http://127.0.0.1:9"], "cannot be downloaded ("),
        ("dnw_x0.225", ["--from", "file:///etc"], "is no address; give one that begins with https://"),
        ("dnw_x0.225", ["--keep", "taken.pt"], "taken.pt: is there already; name another file"),
        ("dnw_x0.225", ["-o", "taken.pt"], "taken.pt: is a file; choose another --run-dir"),
        ("dnw_x0.75", [], "invalid choice: 'dnw_x0.75'"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(name, more, message, server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.pt").write_bytes(b"")
    assert main(["fetch-official", name, "--from", server[0], "-o", "run", *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken.pt"]
