"""`dnw-graph fetch-official`: a checkpoint that the authors published in 2019, downloaded and converted."""

from __future__ import annotations

import argparse
import http.client
import tempfile
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

HELP = "download a checkpoint that was published in 2019, and turn it into a run directory"

EXAMPLES = """\
dnw-graph fetch-official dnw_x0.225 -o runs/dnw_x0.225
"""

PUBLISHED = "https://prior-datasets.s3.us-east-2.amazonaws.com/dnw/pretrained-models"
"""From the table of github.com/allenai/dnw, README.md."""

# Name here, that of the configuration in configs/imagenet → the file's name there.
FILES = {
    "random_x0.225": "rg_x225.pt",
    "dnw_small_x0.15": "dnw_small_x15.pt",
    "dnw_small_x0.225": "dnw_small_x225.pt",
    "dnw_x0.225": "dnw_x225.pt",
    "dnw_x0.3": "dnw_x3.pt",
    "random_x0.49": "rg_x49.pt",
    "dnw_x0.49": "dnw_x49.pt",
}
MOST_BYTES = 1 << 30
_SECONDS, _CHUNK = 30, 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", choices=tuple(FILES), help=f"which network: {', '.join(FILES)}"
    )
    parser.add_argument("-o", "--output", metavar="RUN", required=True, help="run directory to write")
    parser.add_argument(
        "--from", dest="source", metavar="URL", default=PUBLISHED, help="another place that has the files"
    )
    parser.add_argument("--keep", metavar="FILE", help="also keep the file that was downloaded, here")


def run(args: argparse.Namespace) -> int:
    from dnw_graph.commands.convert_official import convert
    from dnw_graph.config import load_config
    from dnw_graph.runs.directory import RunDirectory

    url = f"{args.source.rstrip('/')}/{FILES[args.name]}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"--from {args.source}: is no address; give one that begins with https://")
    keep = None if args.keep is None else Path(args.keep)
    if keep is not None and keep.exists():
        raise InputError(f"--keep {keep}: is there already; name another file")
    # A place that is taken should not cost a download.
    RunDirectory(args.output).check_place(None)
    config = f"imagenet/{args.name}"
    with downloaded(url, Path.cwd() if keep is None else keep.parent) as file:
        try:
            convert(file, load_config(config), config, args.output)
        except InputError as error:
            raise InputError(str(error).replace(str(file), url)) from error
        if keep is not None:
            file.replace(keep)
    return 0


@contextmanager
def downloaded(url: str, folder: Path) -> Iterator[Path]:
    """A file from an address, in `folder` until this ends. Raises InputError if it does not come whole."""
    instead = "download it elsewhere and give the file to convert-official"
    try:
        with (
            urllib.request.urlopen(url, timeout=_SECONDS) as answer,
            tempfile.TemporaryDirectory(prefix=".fetch-official-", dir=folder) as place,
        ):
            path = Path(place) / url.rpartition("/")[2]
            size = int(answer.headers.get("Content-Length") or 0)
            if size > MOST_BYTES:
                raise InputError(f"{url}: has {size:,} bytes, more than any of these files; {instead}")
            with path.open("wb") as file, _progress(url, size) as tell:
                found = _copy(answer, file, tell)
            if found > MOST_BYTES or (size and found != size):
                raise InputError(f"{url}: {found:,} bytes came, not {size:,}; try again, or {instead}")
            yield path
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{url}: cannot be downloaded ({reason}); {instead}") from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another place") from error


def _copy(answer: IO[bytes], file: IO[bytes], tell: Callable[[int], None]) -> int:
    total = 0
    while (chunk := answer.read(_CHUNK)) and total <= MOST_BYTES:
        file.write(chunk)
        total += len(chunk)
        tell(len(chunk))
    return total


@contextmanager
def _progress(url: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(url.rpartition("/")[2], total=size or None)
        yield lambda more: bar.advance(task, more)
