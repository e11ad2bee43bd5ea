"""The entry point: exit codes, one-line complaints, and that nothing heavy is imported too early."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import dnw_graph
from dnw_graph.commands import main as entry
from dnw_graph.commands import options
from dnw_graph.config import load_config
from dnw_graph.errors import InputError

ROOT = Path(__file__).parents[2]
WITHOUT_TORCH = "import sys; sys.modules.update(torch=None, dgl=None, torchvision=None); "

Install = Callable[[Callable[[argparse.Namespace], int]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a function the command `fake`."""

    def as_command(run: Callable[[argparse.Namespace], int]) -> None:
        module = ModuleType("dnw_graph.commands.fake")
        vars(module).update(HELP="do as told", add_arguments=_options, run=run)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(entry, "COMMANDS", ("fake",))

    return as_command


def _options(parser: argparse.ArgumentParser) -> None:
    options.add_config(parser, required=False)
    options.add_overrides(parser)
    options.add_data_directory(parser)
    options.add_plugins(parser)
    parser.add_argument("--count", type=int)


def failing(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        raise error

    return run


def python(code: str, *, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


# Exit codes


def test_exit_code_is_the_commands_own(install: Install) -> None:
    install(lambda _: 7)
    assert entry.main(["fake"]) == 7
    assert entry.run_command("fake", []) == 7


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            InputError("x.yaml: optimizer.lr -1 is wrong; use 0.1."),
            2,
            "x.yaml: optimizer.lr -1 is wrong; use 0.1.",
        ),
        (InputError("two\n  lines without a stop"), 2, "two lines without a stop."),
        (PermissionError(13, "Permission denied", "/runs/a"), 2, "/runs/a: Permission denied."),
        (OSError(28, "No space left on device"), 2, "output: No space left on device."),
    ],
)
def test_users_mistake_is_one_line(
    install: Install, capsys: pytest.CaptureFixture[str], error: Exception, code: int, line: str
) -> None:
    install(failing(error))
    assert entry.main(["fake"]) == code
    assert capsys.readouterr() == ("", f"dnw-graph: error: {line}\n")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1099511627776 bytes"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_memory_that_ran_out_is_one_line(
    install: Install, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    install(failing(error))
    assert entry.main(["fake"]) == 2
    assert capsys.readouterr().err.startswith("dnw-graph: error: memory ran out; use a smaller")


@pytest.mark.parametrize("error", [RuntimeError("ours"), ValueError("ours"), FileNotFoundError(2, "ours")])
def test_bug_keeps_its_traceback(install: Install, error: Exception) -> None:
    install(failing(error))
    with pytest.raises(type(error), match="ours"):
        entry.main(["fake"])


def test_interrupt_is_130(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install(failing(KeyboardInterrupt()))
    assert entry.main(["fake"]) == 130
    assert capsys.readouterr() == ("", "dnw-graph: interrupted\n")


PRINTING = {
    "plain": "fake.run = lambda args: print('x' * 10**6) or 0",
    "table": "from dnw_graph.commands.terminal import console; "
    "fake.run = lambda args: console().print('x' * 10**6) or 0",
    "help": "fake.run = None; argv = ['--help']",
}


@pytest.mark.parametrize("printing", PRINTING)
def test_closed_pipe_is_quiet(printing: str) -> None:
    code = (
        "import sys; from types import ModuleType; from dnw_graph.commands import main as entry; "
        "fake = ModuleType('fake'); fake.HELP = ''; fake.add_arguments = lambda parser: None; argv = []; "
        f"{PRINTING[printing]}; sys.modules['dnw_graph.commands.fake'] = fake; "
        "sys.exit(entry.run_command('fake', argv))"
    )
    # Unbuffered output fails earlier, and argparse passes over that.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=buffered,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_without_a_command_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main([]) == 0
    assert "train a network" in capsys.readouterr().out


# Wrong command lines


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["trian"], '"trian" is no command; did you mean train?'),
        (["xyzzy"], f'"xyzzy" is no command; known are {", ".join(entry.COMMANDS)}.'),
        (["--verbose"], "see dnw-graph --help."),
        (["info", "--jsn"], "unrecognized arguments: --jsn; see dnw-graph info --help."),
        (["info", "--js"], "unrecognized arguments: --js; see dnw-graph info --help."),
        (["info", "--plugin"], "argument --plugin: expected one argument; see dnw-graph info --help."),
        (["info", "--plugin", "no_such.py"], "--plugin no_such.py: no such file"),
        (["train"], "--config and --images are missing; give one of them, for example --images photos."),
        (["convert_official"], "arguments are required: FILE, --config, -o/--output; see dnw-graph convert-"),
        (["count_"], '"count_" is no command; did you mean count?'),
        (["train", "--config", "no.yaml"], "no.yaml: no such file"),
        (["train", "--config", "x", "--set"], "argument --set: expected one argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_command_line(capsys: pytest.CaptureFixture[str], argv: list[str], expected: str) -> None:
    assert entry.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dnw-graph: error: ")
    assert err.count("\n") == 1
    assert expected in err


def test_wrong_configuration_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    config = ROOT / "configs/digits/tiny_static_dnw.yaml"
    assert entry.main(["train", "--config", str(config), "--set", "model.widht=3"]) == 2
    assert capsys.readouterr().err == (
        'dnw-graph: error: override "model.widht=3": model.widht is no known key; did you mean model.width.\n'
    )


# Shared options


def test_shared_options_make_a_configuration(install: Install) -> None:
    seen = []

    def run(args: argparse.Namespace) -> int:
        seen.append(options.read_config(args))
        return 0

    install(run)
    config = str(ROOT / "configs/cifar10/dnw_x0.225.yaml")
    argv = ["--config", config, "--set", "optimizer.lr=0.05", "model.width=0.3", "--set", "training.epochs=3"]
    assert entry.main(["fake", *argv, "--data-dir", "7"]) == 0
    (cfg,) = seen
    assert (cfg.optimizer.lr, cfg.model.width, cfg.training.epochs) == (0.05, 0.3, 3)
    assert cfg.data.directory == "7"


@pytest.mark.parametrize(
    ("line", "overrides", "run"),
    [
        ("RUN --set a.b=1 c.d=2", ["a.b=1", "c.d=2"], "RUN"),
        ("--set a.b=1 c.d=2 RUN", ["a.b=1", "c.d=2"], "RUN"),
        ("--set a.b=1 RUN --set c.d=2", ["a.b=1", "c.d=2"], "RUN"),
        ("--set a.b=1 --count 3 RUN", ["a.b=1"], "RUN"),
        ("--set=a.b=1 c.d=2 RUN", ["a.b=1", "c.d=2"], "RUN"),
        ("--set a.b=runs/x=1 runs/lr=0.1", ["a.b=runs/x=1"], "runs/lr=0.1"),
        ("--set a.b=1 -- c.d=2", ["a.b=1"], "c.d=2"),
        ("--set nonsense RUN", ["nonsense"], "RUN"),
        ("c.d=2", [], "c.d=2"),
    ],
)
def test_a_run_may_stand_before_or_behind_overrides(line: str, overrides: list[str], run: str) -> None:
    parser = argparse.ArgumentParser()
    _options(parser)
    parser.add_argument("run")
    args = parser.parse_args(options.one_override_each(line.split()))
    assert (args.overrides, args.run) == (overrides, run)


def test_plugins_run_in_the_order_given(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.py").write_text(
            f"from dnw_graph.wiring import TopK, register\n"
            f"@register('{name}')\nclass Mine(TopK):\n    print('{name}')\n"
        )
    done = python(
        f"from dnw_graph.commands import options; from argparse import Namespace; "
        f"options.load_plugins(Namespace(plugins=[r'{tmp_path}/b.py', r'{tmp_path}/a.py']))"
    )
    assert (done.stdout, done.returncode) == ("b\na\n", 0)


# Help and laziness


@pytest.mark.parametrize("argv", [["--help"], ["--version"], *([name, "--help"] for name in entry.COMMANDS)])
def test_help_needs_no_torch(argv: list[str]) -> None:
    done = python(f"{WITHOUT_TORCH}from dnw_graph.commands.main import main; sys.exit(main({argv}))")
    assert (done.returncode, done.stderr) == (0, "")
    assert "dnw-graph" in done.stdout


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"\n    {name}\s", out) for name in entry.COMMANDS)


FOREIGN = (
    "{name.partition('.')[0] for name in sys.modules} - started - {'dnw_graph'} - sys.stdlib_module_names"
)


@pytest.mark.parametrize("argv", [["--help"], ["--version"], *([name, "--help"] for name in entry.COMMANDS)])
def test_help_imports_the_standard_library_alone(argv: list[str]) -> None:
    """What makes it quick. Of our own rooms, it needs none that needs another package."""
    done = python(
        "import sys; started = {name.partition('.')[0] for name in sys.modules}; "
        f"from dnw_graph.commands.main import main; main({argv}); print({FOREIGN})"
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_importing_the_package_imports_the_standard_library_alone() -> None:
    done = python(
        "import sys; started = {name.partition('.')[0] for name in sys.modules}; "
        f"import dnw_graph; dir(dnw_graph); print({FOREIGN})"
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", entry.COMMANDS)
def test_help_ends_with_examples_that_are_understood(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main([name, "--help"]) == 0
    lines = capsys.readouterr().out.split("\nexamples:\n")[1].splitlines()
    assert lines
    for line in lines:
        program, command, *arguments = shlex.split(line)
        assert program == "dnw-graph"
        parser = argparse.ArgumentParser(exit_on_error=False)
        import_module(f"dnw_graph.commands.{command.replace('-', '_')}").add_arguments(parser)
        args = parser.parse_args(options.one_override_each(arguments))
        for config in [getattr(args, "config", None), *getattr(args, "configs", [])]:
            if config is not None:
                load_config(config, options.overrides_of(args))


def test_the_underscore_of_2019_goes_on_working(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["convert_official", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: dnw-graph convert-official ")
    assert "convert_official" not in out


def test_configuration_needs_no_torch() -> None:
    path = "configs/imagenet/dnw_x0.225.yaml"
    done = python(f"{WITHOUT_TORCH}import dnw_graph as dg; print(dg.load_config({path!r}).model.width)")
    assert (done.stdout, done.stderr) == ("0.225\n", "")


def test_public_names_exist() -> None:
    assert set(dnw_graph.__all__) <= set(dir(dnw_graph))
    assert all(hasattr(dnw_graph, name) for name in dnw_graph.__all__)


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_confg'"):
        _ = dnw_graph.load_confg


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("*.py")), ids=lambda path: path.stem)
def test_tool_runs_from_anywhere(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: dnw-graph {path.stem.replace('_', '-')} ")


def test_module_runs_like_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dnw_graph", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"dnw-graph {dnw_graph.__version__}\n"
