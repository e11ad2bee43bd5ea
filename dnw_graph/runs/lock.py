"""One writer at a time in a run directory.

The lock is one of the kernel (flock) on the open file `.lock`. It ends with the process that holds it,
however that ends; the file itself, which a killed process leaves, means nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

from dnw_graph.errors import InputError

NAME = ".lock"
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
# Lustre without `-o flock`, NFS without a lock service and some FUSE file systems have no such locks.
_UNKNOWN_HERE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


class RunLock:
    """Held while entered. Makes the run directory, and takes it away again if nothing was put there.

    notice  what to tell the user where the file system has no locks; else None
    Raises InputError when another process holds it, or the directory cannot be written.
    """

    notice: str | None = None

    def __init__(self, run: Path) -> None:
        self._run, self._path = run, run / NAME
        self._descriptor = -1

    def __enter__(self) -> RunLock:
        self._made = not self._run.exists()
        try:
            self._run.mkdir(parents=True, exist_ok=True)
            while not self._take():
                pass
        except OSError as error:
            self._close()
            raise InputError(
                f"{self._run}: the run directory cannot be written ({error.strerror}); choose another "
                "--run-dir."
            ) from None
        # A worker process that outlives its parent must not go on holding the lock.
        os.register_at_fork(after_in_child=self._close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # While it is held: whoever has opened this file finds that it is no longer the one in its place.
            self._path.unlink(missing_ok=True)
            if self._made and not any(self._run.iterdir()):
                self._run.rmdir()
        except OSError:
            pass  # The disk is full or gone, which has been told; a file left here means nothing.
        self._close()

    def _take(self) -> bool:
        """Whether the lock is held now; False: the file was taken away meanwhile."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                holder = os.read(self._descriptor, 200).decode(errors="replace").strip()
                self._close()
                raise InputError(
                    f"{self._run}: another process ({holder or 'starting'}) is training in this run "
                    "directory; wait until it ends, or choose another --run-dir."
                ) from None
            if error.errno not in _UNKNOWN_HERE:
                raise
            self.notice = (
                f"{self._run}: this file system has no locks ({error.strerror}); make sure that no other "
                "process trains in this run directory"
            )
        if not self._path.exists() or self._path.stat().st_ino != os.fstat(self._descriptor).st_ino:
            self._close()
            return False
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return True

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
