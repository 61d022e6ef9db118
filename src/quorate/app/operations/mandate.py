"""The mandate: an approved operation of our own is let through where others are told that it needs approval.

It carries the transaction in which the operation is marked as done, so that both happen or neither does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quorate.domain.operations import segments
from quorate.store.tx import Tx


class Mandate:
    """Lets one call through, once it has been approved. Only whoever carries out operations makes one."""

    __slots__ = ("_call", "is_used", "tx")

    def __init__(self, tx: Tx, method: str, path: str) -> None:
        self.tx, self._call = tx, (method.upper(), segments(path))
        self.is_used = False

    def covers(self, method: str, path: str) -> bool:
        """Say whether this is what was approved."""
        if (method, segments(path)) != self._call:
            return False
        self.is_used = True
        return True

    @asynccontextmanager
    async def part(self) -> AsyncIterator[Tx]:
        """A part of the transaction: what raises in it is undone, and what was marked stays marked."""
        async with self.tx.part():
            yield self.tx
