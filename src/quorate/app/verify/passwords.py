"""Checks passwords: slow on purpose, on few threads, and never longer for a login that exists.

Argon2id takes tens of milliseconds and megabytes each time. Two threads and a short queue bound what a
flood of attempts can cost; past that the answer is "come again".
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from quorate.app.limits import TooOften

T = TypeVar("T")

THREADS = 2
QUEUE = 32  # waiting, beside those at work
LONGEST_PASSWORD = 1024  # characters; a longer one is wrong


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password is right and, only then, a new hash if the stored one has older parameters."""

    right: bool
    rehashed: str | None = None


WRONG = Verdict(right=False)


class Passwords:
    """Hashes and verifies passwords.

    Args:
        hasher: the parameters new hashes get; by default 46 MiB, two passes, one lane.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._busy = 0
        # What an unknown login is verified against, so that it costs what a wrong password costs.
        self._nobodys = self._hasher.hash(f"nobody {time.monotonic_ns()}")

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Verify a password against a stored hash; None for a login that does not exist or has no password.

        Raises:
            TooOften: too many are waiting already.
        """
        return await self._run(lambda: self._verify(stored, password))

    async def hash(self, password: str) -> str:
        """Hash a new password. Raises `TooOften`."""
        return await self._run(lambda: self._hasher.hash(password))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> Verdict:
        fits = len(password) <= LONGEST_PASSWORD
        try:
            self._hasher.verify(stored or self._nobodys, password if fits else "")
        except (Argon2Error, InvalidHashError):
            return WRONG
        if stored is None or not fits:
            return WRONG
        stale = self._hasher.check_needs_rehash(stored)
        return Verdict(right=True, rehashed=self._hasher.hash(password) if stale else None)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._busy >= THREADS + QUEUE:
            raise TooOften(1)
        self._busy += 1
        # The thread goes on when the caller is cancelled, so the place is given back when it is done.
        job = self._pool.submit(work)
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda _: self._give_back(loop))
        return await asyncio.wrap_future(job)

    def _give_back(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody counts any more.
            loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        self._busy -= 1
