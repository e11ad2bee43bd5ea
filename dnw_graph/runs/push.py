"""`dg.push_to_hub`: a run as a repository of the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dnw_graph.arguments import expect
from dnw_graph.config import dump_config
from dnw_graph.config.schema import Config
from dnw_graph.errors import InputError
from dnw_graph.interchange.file import MAX_BYTES
from dnw_graph.limits import read_file
from dnw_graph.runs.card import card_of
from dnw_graph.runs.checkpoint import read_state, read_tensors, write_checkpoint
from dnw_graph.runs.directory import RunDirectory, config_of
from dnw_graph.runs.history import read_records
from dnw_graph.runs.hub import check_repo, client, telling
from dnw_graph.runs.load import load_run
from dnw_graph.runs.run import Run

# Of state.json: what only training needs, and what `write_checkpoint` writes itself.
_LEFT_OUT = {"learner", "ranks", "metrics_bytes", "format", "version", "files"}


def push_to_hub(
    run: Run | str | Path,
    repo: str,
    *,
    private: bool = False,
    license: str | None = None,
    token: str | None = None,
) -> str:
    """Upload what is needed to use a run, with a model card made from it → its address, with the commit.

    run      what `load_run` or `train` gave, or the path of a run: the checkpoint on disk is uploaded
    repo     "user/name"; made if there is none, otherwise the run in it is replaced
    private  whether a repository that is made here can be seen by you alone
    license  for the card, as the hub spells it: "apache-2.0", "mit", …; None: the card names none
    token    of the hub; None: HF_TOKEN, or that of `hf auth login`
    Left out: the state of optimiser and random generators, stored wirings, plugins, and data.directory.
    Raises InputError if the hub cannot be reached, or refuses.
    """
    check_repo(repo)
    expect(private, bool, "private", "True or False")
    if license is not None and not (isinstance(license, str) and re.fullmatch(r"[a-z0-9.+-]{1,64}", license)):
        raise InputError('license: is none that the hub knows; give its short name there, as "apache-2.0"')
    if token is not None and not (isinstance(token, str) and re.fullmatch(r"[!-~]+", token)):
        raise InputError("token: is none of the hub; give a word such as hf_…, or leave it out")
    where = f"hf://{repo}"
    api = client(where, token)
    found = run if isinstance(run, Run) else load_run(run)
    with TemporaryDirectory(prefix="dnw-graph-") as folder:
        write_slim(found, Path(folder), repo, license)
        with telling(where, "write"):
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message="Upload a run of dnw-graph",
                # Another checkpoint of an earlier upload would be taken for one of this run.
                delete_patterns=["checkpoints/*", "metrics.jsonl"],
            )
    return f"{where}@{commit.oid}"


def write_slim(run: Run, place: Path, repo: str, license: str | None) -> None:
    """Write what is uploaded: configuration, records, what use needs of the checkpoint, and the card."""
    state = read_state(run.checkpoint)
    cfg = _without_directory(config_of(state, run.checkpoint))
    group = state.get("evaluated", "model")
    slim = {name: value for name, value in state.items() if name not in _LEFT_OUT}
    data = {name: value for name, value in state["config"]["data"].items() if name != "directory"}
    slim["config"] = {**state["config"], "data": data}
    name = "best" if run.checkpoint.name.partition(".")[0] == "best" else "last"
    target, source = RunDirectory(place), RunDirectory(run.path)
    write_checkpoint(target.checkpoint(name), {group: read_tensors(run.checkpoint, group, state)}, slim)
    dump_config(cfg, target.config)
    records: list[dict[str, Any]] = []
    if source.metrics.exists():
        records = read_records(source.metrics)
        target.metrics.write_bytes(read_file(source.metrics, MAX_BYTES))
    card = card_of(run, cfg, records, repo, license)
    (place / "README.md").write_text(card, encoding="utf-8")


def _without_directory(cfg: Config) -> Config:
    """Where the images were on this machine says nothing on another."""
    return cfg.model_copy(update={"data": cfg.data.model_copy(update={"directory": None})})
