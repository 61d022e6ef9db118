"""One transaction, for named tenants.

Every store function takes a `Tx` first, and a `Tx` cannot be made without its tenants, so no query can forget
whose rows it is about.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from asyncpg import (
    Connection,
    InvalidCachedStatementError,
    OutdatedSchemaCacheError,
    PostgresError,
    Record,
)

# deadlock_detected, serialization_failure, lock_not_available (our `lock_timeout`).
_LOST_A_RACE = frozenset({"40P01", "40001", "55P03"})

_NO_ROOM = "53"  # insufficient_resources: disk_full, out_of_memory, too_many_connections.


class Retryable(Exception):
    """The transaction has certainly changed nothing, and the same work may succeed if done again."""


class Unreachable(Retryable):
    """No connection could be had: the database is down, starting, or takes no more clients."""


class NoRoom(Retryable):
    """The server has no disk, memory or connections left for it; no statement is at fault."""


class CommitUnknown(Exception):
    """The connection was lost while COMMIT was on its way: the work is either all done or not at all.

    History tells which: its rows carry the ids of the commands that wrote them.
    """


class Tx:
    """Statements of one open transaction; made by `Database.tx`, of no use once that has ended.

    Raises:
        ValueError: no tenant was named.
        TypeError: a tenant is not a UUID.
    """

    __slots__ = ("_connection", "tenants")

    def __init__(self, connection: "Connection[Record]", tenants: Collection[UUID]) -> None:
        self.tenants = named(tenants)
        self._connection: Connection[Record] | None = connection

    async def all(self, sql: str, *args: Any) -> list[Record]:
        """Every row the statement returns."""
        return await self._open.fetch(sql, *args)

    async def one(self, sql: str, *args: Any) -> Record | None:
        """The first row the statement returns, None without one."""
        return await self._open.fetchrow(sql, *args)

    async def run(self, sql: str, *args: Any) -> None:
        """Run a statement whose rows nobody wants."""
        await self._open.execute(sql, *args)

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone by itself if anything is raised in it."""
        await self.run("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if not self._open.is_closed():
                await self.run("ROLLBACK TO SAVEPOINT part")
            raise
        await self.run("RELEASE SAVEPOINT part")

    def end(self) -> None:
        """Let go of the connection, which will soon be somebody else's."""
        self._connection = None

    @property
    def _open(self) -> "Connection[Record]":
        if self._connection is None:
            raise RuntimeError("this transaction has ended")
        return self._connection


def named(tenants: Collection[UUID]) -> frozenset[UUID]:
    """The tenants of a transaction: at least one, and truly UUIDs, because they are written into SQL text."""
    if not tenants:
        raise ValueError("a transaction must name its tenants")
    for tenant in tenants:
        if not isinstance(tenant, UUID):
            raise TypeError(f"a tenant is a UUID, not {type(tenant).__name__}")
    return frozenset(tenants)


def is_retryable(error: BaseException) -> bool:
    """May the same work succeed if done again, and has it changed nothing if COMMIT was not sent?"""
    if isinstance(error, Retryable):
        return True
    if isinstance(error, InvalidCachedStatementError | OutdatedSchemaCacheError):
        return True  # A migration changed a table under a statement that this connection had prepared.
    if not isinstance(error, PostgresError):
        return False
    return error.sqlstate in _LOST_A_RACE or str(error.sqlstate).startswith(_NO_ROOM) or is_hang_up(error)


def retryable(error: BaseException) -> Retryable:
    """Say of an error that is retryable which kind it is."""
    if isinstance(error, Retryable):
        return error
    full = isinstance(error, PostgresError) and str(error.sqlstate).startswith(_NO_ROOM)
    return NoRoom(str(error)) if full else Retryable(str(error))


def is_hang_up(error: BaseException) -> bool:
    """Does the error say that the server ended, or refused, the connection itself? (classes 08 and 57P)"""
    return isinstance(error, PostgresError) and str(error.sqlstate).startswith(("08", "57P", "53300"))
