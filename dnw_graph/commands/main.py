"""The `dnw-graph` command: finds the subcommand, and turns users' mistakes into one line.

A subcommand is a module of this package with HELP (one line), EXAMPLES (command lines),
`add_arguments(parser)` and `run(args) -> exit code`. It imports torch only inside `run`, so that help is
quick and needs no torch.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import dnw_graph
from dnw_graph.commands import options
from dnw_graph.errors import InputError

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "export",
    "count",
    "analyze",
    "visualize",
    "view",
    "push",
    "convert-official",
    "fetch-official",
    "configs",
    "info",
    "demo",
)

START = """\
  dnw-graph demo                      a first wiring, on handwritten digits, in a minute
  dnw-graph train --images DIR        a network for your own images, one folder per class
"""

WRONG_INPUT = 2
INTERRUPTED = 130
CLOSED_PIPE = 141

# What the system says of a wrong path or call; everything else, of a place that it cannot write or read.
_OUR_MISTAKES = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EBADF, errno.EINVAL}

# How torch words that memory ran out, on CPUs and GPUs.
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory|bad_alloc")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dnw-graph ARGV`; returns the exit code: 0, or 2 for wrong input, 130 for Ctrl-C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # The 2019 importer was spelled with an underscore once, as its file in tools/ is.
    if arguments and (name := arguments[0].replace("_", "-")) in COMMANDS:
        return run_command(name, arguments[1:])
    return _guarded(lambda: _overview(arguments))


def run_command(name: str, argv: Sequence[str]) -> int:
    """Run one subcommand with its own arguments; same exit codes as `main`."""
    return _guarded(lambda: _run(name, list(argv)))


class _Parser(argparse.ArgumentParser):
    """Wrong options are wrong input like any other."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help.")


def _run(name: str, argv: list[str]) -> int:
    command = _module(name)
    parser = _Parser(
        prog=f"dnw-graph {name}",
        description=command.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parser.epilog = "\n\n".join(filter(None, (parser.epilog, _examples(command))))
    return int(command.run(parser.parse_args(options.one_override_each(argv))))


def _examples(command: Any) -> str:
    """The lines of EXAMPLES, for the end of a help."""
    lines = getattr(command, "EXAMPLES", "").splitlines()
    return "\n  ".join(["examples:", *lines]) if lines else ""


def _overview(argv: list[str]) -> int:
    """Everything that names no subcommand: help, version, mistakes."""
    if argv and not argv[0].startswith("-"):
        close = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(COMMANDS)}."
        raise InputError(f'"{argv[0]}" is no command; {hint}')
    parser = _Parser(
        prog="dnw-graph",
        description=dnw_graph.__doc__.splitlines()[0],
        epilog=f"start with:\n{START}\n`dnw-graph COMMAND --help` has its options, with examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dnw-graph {dnw_graph.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        commands.add_parser(name, help=_module(name).HELP)
    parser.parse_args(argv or ["--help"])
    return 0


def _module(name: str) -> Any:
    return import_module(f"dnw_graph.commands.{name.replace('-', '_')}")


def _guarded(action: Any) -> int:
    """The exit code of `action`. Exceptions that are nobody's mistake but ours keep their traceback."""
    code = _told(action)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _leave_torchrun(code)
    return code


def _told(action: Any) -> int:
    """The exit code of `action`, or of its exception, which is told in a line."""
    try:
        code = _exit_code(action)
        sys.stdout.flush()
        return code
    except InputError as error:
        return complain(str(error))
    except KeyboardInterrupt:
        print("dnw-graph: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:
        if error.errno is None or error.errno in _OUR_MISTAKES:
            raise
        return complain(f"{_shown(error.filename)}: {error.strerror}.")
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _NO_MEMORY.search(str(error)):
            raise
        return complain(
            "memory ran out; use a smaller training.batch_size, training.eval_batch_size, model or file."
        )
    except UnicodeEncodeError as error:
        if not any("\ud800" <= letter <= "\udfff" for letter in error.object):
            raise
        return complain(f"{error.object[:200]!a} is not UTF-8; rename what is called so.")


def _leave_torchrun(code: int) -> NoReturn:
    """End a process of torchrun before Python tears it down.

    Torch's DistributedDataParallel keeps gloo's threads beyond the end of their group (torch 2.13), and once
    in some twenty times they abort the teardown: a run that is done and written would seem to have failed.
    """
    sys.stderr.flush()
    os._exit(code)


def _exit_code(action: Any) -> int:
    """What `action` returns, or asks for by leaving: argparse does after --help."""
    try:
        return int(action())
    except SystemExit as request:
        return request.code if isinstance(request.code, int) else int(request.code is not None)


def _shown(path: Any) -> str:
    return "output" if path is None else os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path)


def complain(message: str) -> int:
    """Tell a user's mistake in a line on stderr; returns the exit code for it."""
    line = " ".join(message.split())
    print(f"dnw-graph: error: {line if line.endswith(('.', '?')) else line + '.'}", file=sys.stderr)
    return WRONG_INPUT
