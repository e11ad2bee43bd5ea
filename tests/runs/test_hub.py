"""Runs on the Hugging Face Hub: pushed and loaded back through a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import constants
from PIL import Image

import dnw_graph as dg
from dnw_graph import InputError
from dnw_graph.commands.main import main
from dnw_graph.figures.subject import read_subject
from dnw_graph.runs import hub as addresses
from dnw_graph.runs.card import card_of
from dnw_graph.runs.checkpoint import check_files, read_state
from dnw_graph.training.adopt import adopt

# Of huggingface_hub's own upload, by the newest httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")

REPO = "me/a-run_x0.5"
ADDRESS = f"hf://{REPO}"
SLIM = {
    "README.md",
    "config.yaml",
    "metrics.jsonl",
    "checkpoints/best/model.safetensors",
    "checkpoints/best/state.json",
    "checkpoints/best/state.json.sha256",
}


@pytest.fixture
def hub(load_module, monkeypatch, tmp_path):
    """A hub that huggingface_hub asks, with a cache of its own."""
    with load_module(Path(__file__).parents[1] / "fake_hub.py").serving() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        # The other way of uploading asks a server of its own.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield running
        # Its connections would be closed by the garbage collector, with a warning.
        huggingface_hub.close_session()


def test_a_run_comes_back_bit_for_bit(hub, small_run):
    run = dg.load_run(small_run)
    address = dg.push_to_hub(run, REPO)
    assert address == f"{ADDRESS}@{hub.commits[REPO][-1][0]}"
    assert hub.private[REPO] is False
    assert hub.tokens == {"Bearer hf_mine"}
    for each in (ADDRESS, address, f"{ADDRESS}@main", Path(ADDRESS)):
        back = dg.load_run(each)
        expected = run.model.state_dict()
        assert back.model.state_dict().keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in back.model.state_dict().items())
        assert back.config == run.config
        assert back.metrics == run.metrics
        assert back.class_names == run.class_names
        assert back.preprocess.description == run.preprocess.description


def test_the_files_are_those_of_the_run_without_what_training_needs(hub, small_run):
    dg.push_to_hub(small_run, REPO)
    files, best = hub.files(REPO), small_run / "checkpoints/best"
    assert set(files) - {".gitattributes"} == SLIM
    tensors = files["checkpoints/best/model.safetensors"]
    assert tensors == (best / "model.safetensors").read_bytes()
    assert files["metrics.jsonl"] == (small_run / "metrics.jsonl").read_bytes()
    before, after = read_state(best), json.loads(files["checkpoints/best/state.json"])
    assert after.pop("files") == {"model.safetensors": before.pop("files")["model.safetensors"]}
    assert set(before) - set(after) == {"learner", "ranks", "metrics_bytes"}
    assert all(before[name] == value for name, value in after.items())


def test_the_place_of_the_images_is_left_out(hub, small_run, tmp_path):
    copy = Path(shutil.copytree(small_run, tmp_path / "run"))
    state = copy / "checkpoints/best/state.json"
    values = json.loads(state.read_text())
    values["config"]["data"]["directory"] = "/secret/place"
    state.write_text(json.dumps(values))
    state.with_name("state.json.sha256").write_text(
        f"{hashlib.sha256(state.read_bytes()).hexdigest()}  state.json\n"
    )
    dg.push_to_hub(copy, REPO)
    assert dg.load_run(copy).config.data.directory == "/secret/place"
    assert not any(b"secret" in data for data in hub.files(REPO).values())
    assert dg.load_run(ADDRESS).config.data.directory is None


def test_another_checkpoint_replaces_the_first(hub, small_run):
    dg.push_to_hub(dg.load_run(small_run), REPO)
    first = f"{ADDRESS}@{hub.commits[REPO][-1][0]}"
    dg.push_to_hub(dg.load_run(small_run, checkpoint="last"), REPO)
    checkpoints = {name.split("/")[1] for name in hub.files(REPO) if name.startswith("checkpoints")}
    assert checkpoints == {"last"}
    assert dg.load_run(ADDRESS).checkpoint.name == "last"
    assert dg.load_run(first).checkpoint.name == "best"
    with pytest.raises(InputError, match="has no best checkpoint; use its last one"):
        dg.load_run(ADDRESS, checkpoint="best")


def test_the_card_says_what_the_run_is(hub, small_run):
    run = dg.load_run(small_run)
    dg.push_to_hub(run, REPO, private=True, license="apache-2.0")
    assert hub.private[REPO] is True
    card = hub.files(REPO)["README.md"].decode()
    _, front, text = card.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["license"] == "apache-2.0"
    assert facts["library_name"] == "dnw-graph"
    assert facts["pipeline_tag"] == "image-classification"
    assert {"dnw-graph", "digits", "neural-wiring"} <= set(facts["tags"])
    size, record = dg.count(run.model), run.metrics[-1]
    rows = dict(re.findall(r"^\| ([\w -]+) \| (.*) \|$", text, flags=re.MULTILINE))
    assert rows["network"] == r"tiny\_static"
    assert rows["rule"] == r"top\_k"
    assert rows["classes"] == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert rows["epoch"] == "1 (chosen by validation)"
    assert rows["live edges"] == f"{size.edges:,}"
    assert rows["live nodes"] == f"{size.nodes:,}"
    assert rows["multiply-accumulates"].startswith(f"{size.macs:,} ")
    assert rows["parameters"].startswith(f"{size.params:,},")
    for part, key in (("validation", "val"), ("test", "test")):
        images = run.state["data"][part]["images"]
        scores = f"{images:,} | {record[f'{key}_top1']:.2%} | {record[f'{key}_top5']:.2%}"
        assert rows[part] == f"{scores} | {record[f'{key}_loss']:.4f}"
    assert f'run = dg.load_run("{ADDRESS}")' in text
    assert f"dnw-graph predict {ADDRESS} image.png" in text
    assert (small_run / "config.yaml").read_text() in text


def test_the_lines_of_the_card_run(hub, small_run, tmp_path, monkeypatch):
    dg.push_to_hub(small_run, REPO)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("image.png")
    (code,) = re.findall(r"```python\n(.*?)```", hub.files(REPO)["README.md"].decode(), flags=re.DOTALL)
    exec(code, {})


def test_a_card_of_few_facts(hub, small, tmp_path):
    """An untrained network as a run: no scores, no epoch, no names, no preparation of images."""
    cfg = small.small_config()
    dg.push_to_hub(adopt(cfg, dg.build_model(cfg), tmp_path / "run"), REPO)
    card = hub.files(REPO)["README.md"].decode()
    assert "## Scores" not in card
    assert "| epoch |" not in card
    assert "license" not in card
    assert "run.compiled(images)" in card
    assert "dnw-graph predict" not in card
    assert dg.load_run(ADDRESS).checkpoint.name == "last"


def test_names_mean_nothing_in_the_card(small_run):
    """They are names of folders: anyone's."""
    run = dg.load_run(small_run)
    names = ["a|b", "# c\n# d", "<script>", "[x](http://x)", *"456789"]
    odd = replace(run, state={**run.state, "class_names": names})
    card = card_of(odd, run.config, run.metrics, REPO, None)
    (row,) = [line for line in card.splitlines() if line.startswith("| classes")]
    assert row == r"| classes | a\|b, \# c \# d, \<script\>, \[x\](http://x), 4, 5, 6, 7, 8, 9 |"


def test_a_figure_names_the_repository(hub, small_run):
    """Not the commit, after which its directory is called."""
    dg.push_to_hub(small_run, REPO)
    assert read_subject(ADDRESS).name == "a-run_x0.5"


def test_nothing_but_a_run_s_files_is_downloaded(hub, small_run):
    dg.push_to_hub(small_run, REPO)
    foreign = {
        "run.py": b"raise SystemExit",
        "model.pt": b"x",
        "checkpoints/best/optimizer.safetensors": b"x",
    }
    hub.commit(REPO, hub.files(REPO) | foreign | {"checkpoints/best/../../a.py": b"", "x/config.yaml": b""})
    path = dg.load_run(ADDRESS).path
    assert {each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file()} == SLIM
    asked = {each.partition("/resolve/")[2].partition("/")[2] for each in hub.asked if "/resolve/" in each}
    assert asked == SLIM


def test_a_size_out_of_bounds_costs_no_download(hub, small_run):
    dg.push_to_hub(small_run, REPO)
    hub.sizes["checkpoints/best/model.safetensors"] = 10**12
    with pytest.raises(InputError, match=r"model\.safetensors has 1,000,000,000,000 bytes, more than"):
        dg.load_run(ADDRESS)
    assert not any("/resolve/" in each for each in hub.asked)


def test_a_size_that_is_no_number_is_a_sentence(hub, small_run):
    dg.push_to_hub(small_run, REPO)
    hub.sizes["checkpoints/best/model.safetensors"] = "many"
    with pytest.raises(InputError, match="the answer is not that of a hub"):
        dg.load_run(ADDRESS)


def test_what_is_downloaded_is_checked_as_any_run(hub, small_run):
    dg.push_to_hub(small_run, REPO)
    files = hub.files(REPO)
    name = "checkpoints/best/model.safetensors"
    hub.commit(REPO, files | {name: files[name][:-1] + b"\x55"})
    with pytest.raises(InputError, match="is not what was written"):
        dg.load_run(ADDRESS)


def test_training_cannot_go_on_from_it(hub, small_run, capsys):
    dg.push_to_hub(small_run, REPO)
    path = dg.load_run(ADDRESS).path
    check_files(path / "checkpoints/best")
    assert main(["train", "--config", "digits/tiny_static_dnw", "--resume", ADDRESS]) == 2
    assert "has no state of training; give a run directory" in capsys.readouterr().err


def test_a_second_look_downloads_nothing(hub, small_run):
    dg.push_to_hub(small_run, REPO)
    dg.load_run(ADDRESS)
    hub.asked.clear()
    dg.load_run(ADDRESS)
    assert not any("GET" in each and "/resolve/" in each for each in hub.asked)


def test_offline_the_cache_serves(hub, small_run, monkeypatch):
    dg.push_to_hub(small_run, REPO)
    model = dg.load_run(ADDRESS).model
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.asked.clear()
    again = dg.load_run(ADDRESS).model
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert hub.asked == []
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set; unset it to download it"):
        dg.load_run("hf://me/another")
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set; unset it to write there"):
        dg.push_to_hub(small_run, REPO)


# Commands


def test_commands_that_take_a_run_take_an_address(hub, small_run, tmp_path, capsys):
    assert main(["push", str(small_run), REPO, "--license", "mit", "--checkpoint", "best"]) == 0
    assert capsys.readouterr().out == f"{ADDRESS}@{hub.commits[REPO][-1][0]}\n"
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(image)
    for arguments in (
        ["evaluate", "{}", "--json"],
        ["predict", "{}", str(image), "--json"],
        ["count", "{}", "--json"],
        ["analyze", "{}"],
        ["info", "{}"],
    ):
        said = []
        for run in (str(small_run), ADDRESS):
            assert main([each.format(run) for each in arguments]) == 0
            said.append(capsys.readouterr().out)
        if arguments[0] == "evaluate":
            own, other = map(json.loads, said)
            for name in ("top1", "loss", "images", "macs", "params", "chosen_by", "epoch"):
                assert own[name] == other[name]
        elif arguments[0] == "predict":
            assert said[0] == said[1]
        else:
            assert all(said)
    for name in ("a.graphml", "a.dnw"):
        assert main(["export", ADDRESS, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.dnw").stat().st_size > 0
    assert main(["visualize", ADDRESS, "--kind", "levels", "-o", str(tmp_path / "a.svg")]) == 0
    assert (tmp_path / "a.svg").stat().st_size > 0
    assert main(["view", ADDRESS, "--no-open", "-o", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").stat().st_size > 0


# Refusals


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("hf://me/nothing", "hf://me/nothing: there is no such repository, or it is private; check the name"),
        (f"{ADDRESS}@v9", f"{ADDRESS}@v9: there is no such revision; give a branch, tag or commit"),
        ("hf://alone", "repository alone: is not named as on the hub; give user/name"),
        ("hf://a/b/c", "repository a/b/c: is not named as on the hub"),
        ("hf://../b", "repository ../b: is not named as on the hub"),
        ("hf://a/b--c", "repository a/b--c: is not named as on the hub"),
        (f"{ADDRESS}@", "is no name of one; give a branch, tag or commit"),
        (f"{ADDRESS}@../../x", "revision ../../x: is no name of one; give a branch"),
        (
            "hf://me/else",
            "holds no run (checkpoints/best/state.json or checkpoints/last/state.json); give a repository",
        ),
    ],
)
def test_a_wrong_address_is_a_sentence(hub, small_run, capsys, address, sentence):
    dg.push_to_hub(small_run, REPO)
    hub.commit("me/else", {"README.md": b"", "checkpoints/best/model.safetensors": b"", "state.json": b"{}"})
    capsys.readouterr()
    assert main(["count", address]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (("/api/", 401, None), "you may not read there (401); log in with `hf auth login`, or set HF_TOKEN"),
        (("/api/", 403, None), "you may not read there (403); log in"),
        (("/api/", 401, "RepoNotFound"), "there is no such repository, or it is private"),
        (("/api/", 403, "GatedRepo"), "is gated; ask for access on its page"),
        (("/api/", 418, None), "the hub answered 418"),
        (("/api/", 200, None), "the answer is not that of a hub"),
        (("/resolve/", 403, None), "you may not read there (403)"),
    ],
)
def test_a_hub_that_refuses_is_a_sentence(hub, small_run, capsys, refusal, sentence):
    dg.push_to_hub(small_run, REPO)
    hub.refusal = refusal
    assert main(["count", ADDRESS]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (("/create", 401, None), "you may not write there (401); log in with `hf auth login`"),
        (("/create", 403, None), "you may not write there (403); log in"),
        (("/commit/", 403, None), "you may not write there (403); log in"),
        (("/objects/", 403, None), "you may not write there (403); log in"),
    ],
)
def test_a_hub_that_takes_nothing_is_a_sentence(hub, small_run, capsys, refusal, sentence):
    hub.refusal = refusal
    assert main(["push", str(small_run), REPO]) == 2
    assert sentence in capsys.readouterr().err


def test_without_a_network_it_is_a_sentence(hub, small_run, monkeypatch, capsys):
    # A port that nobody may listen at.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert main(["count", ADDRESS]) == 2
    assert f"{ADDRESS}: the transfer failed (" in capsys.readouterr().err
    assert main(["push", str(small_run), REPO]) == 2
    said = capsys.readouterr().err
    assert "the transfer failed (" in said
    assert "check the network" in said


def test_without_huggingface_hub_it_is_a_sentence(small_run, monkeypatch):
    monkeypatch.setattr("dnw_graph.runs.hub.missing_of", lambda extra: f"{extra} is not installed; do X")
    for call in (lambda: dg.load_run(ADDRESS), lambda: dg.push_to_hub(small_run, REPO)):
        with pytest.raises(InputError, match="the hub cannot be asked: hub is not installed; do X"):
            call()


def test_a_cache_that_cannot_be_written_is_a_sentence(hub, small_run, tmp_path, monkeypatch):
    dg.push_to_hub(small_run, REPO)
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"file.* cannot be used \(.*\); make room, or set HF_HOME"):
        dg.load_run(ADDRESS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"repo": "alone"}, "is not named as on the hub"),
        ({"private": "yes"}, "private 'yes' is a str; give True or False"),
        ({"license": "no such\nline"}, "license: is none that the hub knows"),
        ({"token": "two words"}, "token: is none of the hub"),
        ({"run": "nowhere"}, "no such run directory"),
    ],
)
def test_a_wrong_argument_asks_no_hub(hub, small_run, arguments, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        dg.push_to_hub(**{"run": small_run, "repo": REPO, **arguments})
    assert hub.asked == []


@pytest.mark.parametrize("path", ["hf://a/b", "hf:/a/b", Path("hf://a/b"), "hf://"])
def test_an_address_is_known(path):
    assert addresses.is_address(path)


@pytest.mark.parametrize("path", ["runs/hf", "hf", "hf:", "./hf:/a", "/hf:/a/b"])
def test_a_path_is_no_address(path):
    assert not addresses.is_address(path)
