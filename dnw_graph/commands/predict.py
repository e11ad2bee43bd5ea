"""`dnw-graph predict`: the classes of images, by a trained network."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from io import BufferedIOBase, BytesIO
from typing import TYPE_CHECKING, Any, cast

from dnw_graph.commands import options
from dnw_graph.commands.main import WRONG_INPUT, complain

if TYPE_CHECKING:
    from dnw_graph.inference.predict import Prediction

HELP = "classify images with a trained network"

# In a name they would break the line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

EXAMPLES = """\
dnw-graph predict runs/pets cat.jpg
dnw-graph predict runs/pets holiday/ --csv
dnw-graph predict runs/pets photos/ --top 1 --json
"""

_IMAGES = """\
an IMAGE is a file, or a folder for all images in it and below; - is standard input, which brings one image,
or names of files, a line each:
  find . -name '*.png' | dnw-graph predict runs/pets -
What cannot be read is told in a sentence, and the exit code is then 2."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _IMAGES
    parser.add_argument("run", metavar="RUN", help="a run directory, a checkpoint in it, or hf://user/name")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="file, folder, or - for standard input")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes of each image (default: 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON list, an object for each image")
    form.add_argument("--csv", action="store_true", help="print CSV: image, rank, class, probability")
    options.add_checkpoint(parser)
    parser.add_argument("--backend", metavar="NAME", help="message passing by this backend (model.backend)")
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="images in memory at once (default: 32)"
    )
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    options.load_plugins(args)
    from dnw_graph.commands.images import images_of
    from dnw_graph.commands.terminal import print_any_name
    from dnw_graph.data.decode import Unreadable
    from dnw_graph.data.single_images import unreadable
    from dnw_graph.inference.predict import check_top
    from dnw_graph.runs.load import load_run
    from dnw_graph.training.distributed import choose_device

    check_top(args.top, args.batch_size)
    overrides = [] if args.backend is None else [f"model.backend={json.dumps(args.backend)}"]
    found = load_run(args.run, checkpoint=args.checkpoint, overrides=overrides)
    found.model.to(choose_device(found.config.training.device))
    code = 0

    def tell(sentence: str) -> None:
        nonlocal code
        code = WRONG_INPUT
        sys.stdout.flush()
        complain(sentence)

    def readable() -> Iterator[Prediction]:
        # A closed one is as an empty one.
        incoming = BytesIO() if sys.stdin is None else cast(BufferedIOBase, sys.stdin.buffer)
        pairs = images_of(args.images, incoming, tell)
        for each in found.predict_each(pairs, top=args.top, batch_size=args.batch_size):
            if isinstance(each, Unreadable):
                tell(str(unreadable(each)))
            else:
                yield each

    print_any_name()
    write = write_json if args.json else write_csv if args.csv else write_lines
    write(readable())
    return code


def write_lines(found: Iterable[Prediction]) -> None:
    """`a.png: tabby 91.3%, tiger cat 5.2%, …`, a line for each image as it comes."""
    for each in found:
        name = repr(each.image) if _CONTROL.search(each.image) else each.image
        print(f"{name}: {each}", flush=True)


def write_json(found: Iterable[Prediction]) -> None:
    """One JSON list, an object a line."""
    separator = "[\n"
    for each in found:
        print(separator + json.dumps(each.as_dict()), end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def write_csv(found: Iterable[Prediction]) -> None:
    """A heading, and a row for each class of each image."""
    writer: Any = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("image", "rank", "class", "probability"))
    for each in found:
        for rank, (name, probability) in enumerate(each.top, start=1):
            writer.writerow((each.image, rank, name, probability))
