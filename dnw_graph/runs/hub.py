"""Runs on the Hugging Face Hub: their addresses, their download, and the sentence for what fails there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dnw_graph.dependencies import missing_of
from dnw_graph.errors import InputError

# A path has one slash for several.
_SCHEME = re.compile(r"hf:/+")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")

_TENSORS = 4 << 30
_STATES = [f"checkpoints/{name}/state.json" for name in ("best", "last")]

# The files of a run that are downloaded, nothing else, and how many bytes each may have.
FILES = {"README.md": 1 << 20, "config.yaml": 1 << 20, "metrics.jsonl": 512 << 20}
for _state in _STATES:
    FILES |= {_state: 256 << 20, f"{_state}.sha256": 1 << 10}
    FILES |= {_state.replace("state.json", f"{group}.safetensors"): _TENSORS for group in ("model", "ema")}


def is_address(path: str | Path) -> bool:
    """Whether a path is an address of the hub, hf://user/name[@revision]."""
    return _SCHEME.match(str(path)) is not None


def download(address: str | Path) -> Path:
    """The run at hf://user/name[@revision] → its directory in the cache of huggingface_hub.

    Sizes are compared with bounds before anything is downloaded. With HF_HUB_OFFLINE set, what was downloaded
    before is used. Raises InputError for what is no address, no run, cannot be reached or may not be read.
    """
    repo, revision = _parts(_SCHEME.sub("", str(address), count=1))
    where = f"hf://{repo}" + (f"@{revision}" if revision else "")
    api = client(where)
    from huggingface_hub import constants

    wanted: dict[str, Any] = {"revision": revision, "allow_patterns": list(FILES)}
    with telling(where, "read"):
        if constants.HF_HUB_OFFLINE:
            return Path(api.snapshot_download(repo, local_files_only=True, **wanted))
        info = api.model_info(repo, revision=revision, files_metadata=True)
        _check({each.rfilename: each.size for each in info.siblings or ()}, where)
        return Path(api.snapshot_download(repo, **wanted))


def check_repo(repo: Any) -> str:
    """The name of a repository, user/name. Raises InputError for what the hub would not have."""
    if (
        not isinstance(repo, str)
        or not _REPO.fullmatch(repo)
        or len(repo) > 96
        or re.search(r"--|\.\.", repo)
    ):
        raise InputError(
            f"repository {_short(repo)}: is not named as on the hub; give user/name, of letters, digits, "
            "single - and ., and _"
        )
    return repo


def client(what: str, token: str | None = None) -> Any:
    """huggingface_hub's HfApi, at HF_ENDPOINT if that is set. Raises InputError where it is not installed."""
    if (missing := missing_of("hub")) is not None:
        raise InputError(f"{what}: the hub cannot be asked: {missing}")
    from huggingface_hub import HfApi

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    return HfApi(endpoint=endpoint, token=token, library_name="dnw-graph")


@contextmanager
def telling(where: str, verb: str) -> Iterator[None]:
    """What huggingface_hub raises inside → InputError.

    where  the repository;  verb  what is done with it: read or write
    """
    from huggingface_hub import errors

    # Of httpx or of requests, by the version of huggingface_hub.
    http_error: type[Exception] = vars(errors)["HTTPError"]
    try:
        yield
    except InputError:
        raise
    except (http_error, OSError, RuntimeError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise InputError(f"{where}: {_why(error, verb)}") from error


def _why(error: BaseException, verb: str) -> str:
    """What went wrong, and what to do about it."""
    from huggingface_hub import errors

    login = "log in with `hf auth login`, or set HF_TOKEN"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE is set; unset it to {verb} there"
    if isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError)) and error.__cause__ is not None:
        return _why(error.__cause__, verb)
    if isinstance(error, errors.LocalEntryNotFoundError):
        return "was not downloaded whole before, and HF_HUB_OFFLINE is set; unset it to download it"
    if isinstance(error, errors.GatedRepoError):
        return f"is gated; ask for access on its page, and {login}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no such repository, or it is private; check the name, or {login}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "there is no such revision; give a branch, tag or commit of it"
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return f"you may not {verb} there ({status}); {login}"
        return f"the hub answered {status} ({_short(error.server_message or error)}); try again later"
    if isinstance(error, (ValueError, KeyError, TypeError, AssertionError)):
        return f"the answer is not that of a hub ({_short(error)}); check HF_ENDPOINT"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        file = error.filename or "the cache"
        return f"{file} cannot be used ({error.strerror}); make room, or set HF_HOME to another directory"
    instead = "set HF_HUB_OFFLINE=1 to use what was downloaded before" if verb == "read" else "try again"
    return f"the transfer failed ({_short(error)}); check the network, or {instead}"


def _parts(name: str) -> tuple[str, str | None]:
    repo, mark, revision = name.partition("@")
    if mark and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise InputError(
            f"revision {_short(revision)}: is no name of one; give a branch, tag or commit of {_short(repo)}"
        )
    return check_repo(repo), revision or None


def _check(sizes: dict[str, int | None], where: str) -> None:
    """Raise InputError unless a repository holds a run within bounds; a size may be unknown, None."""
    instead = "give a repository that dg.push_to_hub wrote"
    if not any(each in sizes for each in _STATES):
        raise InputError(f"{where}: holds no run ({' or '.join(_STATES)}); {instead}")
    for name, most in FILES.items():
        if (size := sizes.get(name)) is not None and size > most:
            raise InputError(
                f"{where}: {name} has {size:,} bytes, more than the {most:,} of such a file; {instead}"
            )


def _short(value: Any) -> str:
    """A value or an error on one line, not all of a long one."""
    text = str(value) or (type(value).__name__ if isinstance(value, BaseException) else '""')
    line = " ".join(text.encode("ascii", "backslashreplace").decode().replace("\0", "\\0").split())
    return line if len(line) <= 160 else f"{line[:159]}…"
