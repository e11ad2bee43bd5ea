"""One writer in a run directory: however the holder ends, the next one gets in."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dnw_graph.errors import InputError
from dnw_graph.runs import lock
from dnw_graph.runs.lock import RunLock

HOLD = """
import os, sys, time
from pathlib import Path
from dnw_graph.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    if os.fork() == 0:
        os.write(1, b"child %d\\n" % os.getpid())
        time.sleep(60)
        os._exit(0)
    os.write(1, b"held\\n")
    time.sleep(60)
"""


def test_a_second_holder_is_refused_by_name_and_the_first_is_untouched(tmp_path):
    run = tmp_path / "run"
    with RunLock(run):
        for _ in range(2):
            with pytest.raises(InputError, match=rf"run: another process \(process {os.getpid()} on .*wait"):
                RunLock(run).__enter__()
    with RunLock(run):
        pass
    assert not run.exists(), "what nothing was put into goes again"


def test_a_directory_that_was_there_or_holds_something_stays(tmp_path):
    with RunLock(tmp_path):
        pass
    with RunLock(tmp_path / "run"):
        (tmp_path / "run/config.yaml").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_a_killed_holder_leaves_no_lock_though_its_worker_lives_on(tmp_path):
    run = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(lock.__file__).parents[2],
    )
    assert holder.stdout is not None
    words = sorted(holder.stdout.readline().split() for _ in range(2))
    worker = int(words[0][1])
    try:
        with pytest.raises(InputError, match=f"process {holder.pid}"):
            RunLock(run).__enter__()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        os.kill(worker, 0)
        with RunLock(run):
            assert (run / ".lock").exists()
    finally:
        os.kill(worker, signal.SIGKILL)
        holder.stdout.close()


def test_who_waits_at_a_file_that_was_taken_away_does_not_hold_the_lock(tmp_path, monkeypatch):
    """The first one leaves between opening and locking of the second one."""
    first, original = RunLock(tmp_path).__enter__(), lock.fcntl.flock

    def leave(*arguments):
        monkeypatch.setattr(lock.fcntl, "flock", original)
        first.__exit__(None, None, None)
        return original(*arguments)

    monkeypatch.setattr(lock.fcntl, "flock", leave)
    with RunLock(tmp_path), pytest.raises(InputError, match="another process"):
        RunLock(tmp_path).__enter__()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with RunLock(tmp_path / "run") as held:
        assert held.notice is not None
        assert "no locks (Function not implemented); make sure that no other process" in held.notice


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="the run directory cannot be written"):
        RunLock(tmp_path / "file" / "run").__enter__()
