"""`dnw-graph push`: a run to the Hugging Face Hub, with a model card."""

from __future__ import annotations

import argparse

from dnw_graph.commands import options

HELP = "upload a run, with a model card made from it, to the Hugging Face Hub"

EXAMPLES = """\
dnw-graph push runs/pets me/pets --private
dnw-graph push runs/pets me/pets --license apache-2.0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run directory, or a checkpoint in it")
    parser.add_argument("repo", metavar="USER/NAME", help="the repository; made if there is none")
    parser.add_argument(
        "--private", action="store_true", help="a repository that is made is yours to see only"
    )
    parser.add_argument("--license", metavar="NAME", help="for the card: apache-2.0, mit, … (default: none)")
    options.add_checkpoint(parser)
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    options.load_plugins(args)
    from dnw_graph.runs.hub import check_repo, client
    from dnw_graph.runs.load import load_run
    from dnw_graph.runs.push import push_to_hub

    # What is wrong with them should not cost the time of loading a run.
    client(f"hf://{check_repo(args.repo)}")
    found = load_run(args.run, checkpoint=args.checkpoint)
    print(push_to_hub(found, args.repo, private=args.private, license=args.license))
    return 0
