"""A program run as our child: as a given user, in a session of its own, and not for longer than we live."""

import asyncio
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from quorate.store.embedded.errors import EmbeddedError

LAUNCH = Path(__file__).with_name("launch.py")

# Accounts that PostgreSQL may run as when we are root, best first. A server whose `nobody` runs other
# daemons too should have a user `quorate`.
UNPRIVILEGED = ("quorate", "nobody")


@dataclass(frozen=True)
class User:
    uid: int
    gid: int

    @property
    def name(self) -> str:
        """What the machine calls this user.

        Raises:
            EmbeddedError: it has no name, and initdb and peer authentication want one.
        """
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            raise EmbeddedError(
                f"user id {self.uid} has no name on this machine, and PostgreSQL wants one: add it to /etc/passwd"
            ) from None

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    @contextmanager
    def eyes(self) -> Iterator[None]:
        """Look at files and processes as this user, on this thread, until the block (without `await`) ends.

        Root in a container usually may not look into another user's processes; that user may.
        """
        libc = ctypes.CDLL(None)
        libc.setfsgid(self.gid)
        libc.setfsuid(self.uid)
        try:
            yield
        finally:
            libc.setfsuid(os.geteuid())
            libc.setfsgid(os.getegid())

    @classmethod
    def us(cls) -> "User":
        return cls(os.geteuid(), os.getegid())

    @classmethod
    def unprivileged(cls) -> "User":
        """Choose whom a new cluster belongs to: us, or somebody without power when we are root."""
        if os.geteuid() != 0:
            return cls.us()
        for name in UNPRIVILEGED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise EmbeddedError("PostgreSQL does not run as root and there is no user to run it as: add one named quorate")


class Child:
    """A running program; it gets `on_our_death` when the thread that made this object ends."""

    def __init__(
        self,
        program: list[str],
        user: User,
        *,
        on_our_death: signal.Signals,
        pass_fd: int,
        library_path: Path,
        output: IO[bytes],
    ) -> None:
        ours = [str(os.getpid()), str(int(on_our_death)), str(user.uid), str(user.gid)]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCH), *ours, *program],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(pass_fd,),
            cwd="/",
            # Nothing of ours may sway it (PGDATA, PGPORT, LC_ALL …).
            env={"LD_LIBRARY_PATH": str(library_path), "LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            start_new_session=True,  # Ctrl-C reaches the whole group of a terminal; we stop our child in order.
        )
        self._pidfd = os.pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended (negative: by that signal), or None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended takes no notice."""
        self._process.send_signal(number)

    async def ended(self, *, timeout_s: float | None = None) -> bool:
        """Wait until it ends; False when it still runs after `timeout_s` seconds."""
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        watch = os.dup(self._pidfd)  # A loop keeps one reader a descriptor, and several of us may wait.
        loop.add_reader(watch, gone.set)
        try:
            await asyncio.wait_for(gone.wait(), timeout_s)
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(watch)
            os.close(watch)
        self._process.wait()
        return True

    def close(self) -> None:
        """Forget a child that has ended."""
        assert self.status is not None
        os.close(self._pidfd)
