"""The way to PostgreSQL: a few connections, handed out first come first served, one transaction at a time each.

The pool is our own because asyncpg's lets a newcomer overtake those who wait, and because a connection goes back
here without a reset query, which would cost as much as a read. That is only safe while no session state is left
behind: everything a transaction sets is set with SET LOCAL, and a test reads the code and the sessions for the rest.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Connection, Record

from quorate.store import migrate
from quorate.store.tx import (
    CommitUnknown,
    NoRoom,
    Retryable,
    Tx,
    Unreachable,
    is_hang_up,
    is_retryable,
    named,
    retryable,
)

__all__ = ["CommitUnknown", "Database", "NoRoom", "Retryable", "Tx", "Unreachable"]

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 60.0  # Longer than the server's own statement_timeout, so that it only ever means a dead network.
ROLLBACK_TIMEOUT_S = 5.0
HEALTH_TIMEOUT_S = 5.0

# What asyncpg makes of a server that ends just after the greeting, beside the server's own words for it.
_MID_GREETING = (OSError, TimeoutError, asyncpg.InternalClientError, asyncpg.InterfaceError)

_SESSION = {
    "application_name": "quorate",
    "search_path": "public",
    "TimeZone": "UTC",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",  # Our statements are short; compiling them costs more than running them.
    "lock_timeout": "2s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}


class Database:
    """Up to `size` connections to one database.

    `role` is taken at the start of every connection (None: stay who the address says, which is how the
    operator's commands come as the owner).
    """

    def __init__(self, dsn: str, *, role: str | None = "quorate_server", size: int = 8) -> None:
        self._dsn = dsn
        self._settings = _SESSION | ({"role": role} if role else {})
        self._size = size
        self._open = 0  # Connections that exist or are being made, whoever holds them.
        self._idle: list[Connection[Record]] = []
        # A waiter is handed a connection, or None: the right to make one.
        self._waiting: deque[asyncio.Future[Connection[Record] | None]] = deque()
        self._closed = False

    async def open(self) -> None:
        """Make the first connection, so that a wrong address is heard of at once.

        Raises:
            Unreachable: nobody answers.
            asyncpg.PostgresError: the server answers, but does not let us in.
        """
        self._release(await self._acquire())

    async def close(self) -> None:
        """Refuse new transactions, close idle connections; one in use is closed by whoever gives it back."""
        self._closed = True
        idle, self._idle = self._idle, []
        self._open -= len(idle)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(Unreachable("the database was closed"))
        for connection in idle:
            await _close(connection)

    @asynccontextmanager
    async def tx(self, tenants: Collection[UUID]) -> AsyncIterator[Tx]:
        """One transaction that sees and writes only rows of these tenants; commits when the block ends well.

        Raises:
            ValueError: no tenant was named.
            Retryable: deadlock, serialization failure, lock timeout, or the connection was lost before COMMIT was
                sent; nothing has changed.
            CommitUnknown: the connection was lost after COMMIT was sent.
        """
        admitted = ",".join(map(str, named(tenants)))
        connection = await self._begin(f"BEGIN; SET LOCAL quorate.tenants = '{{{admitted}}}'")
        tx = Tx(connection, tenants)
        try:
            yield tx
        except BaseException as error:
            tx.end()
            lost = connection.is_closed()
            await self._roll_back(connection)
            if isinstance(error, Exception) and (lost or is_retryable(error)):
                raise retryable(error) from error
            raise
        tx.end()
        await self._commit(connection)

    async def across(self, sql: str, *args: Any) -> list[Record]:
        """One statement for no tenant: row security shows it nothing but what the functions across tenants answer.

        Meant for reading. One that writes commits by itself, and may have done so although the connection was lost.

        Raises:
            Retryable: the connection was lost.
        """
        connection = await self._acquire()
        try:
            return await connection.fetch(sql, *args)
        except Exception as error:
            if connection.is_closed() or is_retryable(error):
                raise retryable(error) from error
            raise
        finally:
            self._release(connection)

    async def healthy(self) -> bool:
        """Does the database answer, and soon?"""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                await self.across("SELECT 1")
        except (Retryable, asyncpg.PostgresError, OSError):
            return False
        return True

    async def clock_skew(self, clock: Callable[[], datetime]) -> float:
        """How many seconds PostgreSQL's clock is ahead of this one; half a round trip is taken off."""
        asked_at = clock()
        [row] = await self.across("SELECT clock_timestamp() AS at")
        answered_at = clock()
        theirs: datetime = row["at"]
        return (theirs - (asked_at + (answered_at - asked_at) / 2)).total_seconds()

    async def migrations_pending(self) -> list[str]:
        """Names of the migrations this code has and the database has not.

        Raises:
            migrate.CannotMigrate: the database is newer than the code, or was migrated by another text.
        """
        connection = await self._acquire()
        try:
            return await migrate.pending(connection)
        finally:
            self._release(connection)

    async def _begin(self, opening: str) -> "Connection[Record]":
        """Take a connection and open a transaction on it.

        The server may have ended connections while they lay idle (a restart ends them all); that is noticed here,
        when nothing has been done yet, so they are thrown away until one answers or a fresh one fails too.
        """
        while True:
            was_idle = bool(self._idle)
            connection = await self._acquire()
            try:
                await connection.execute(opening)
            except BaseException as error:
                lost = connection.is_closed() or is_hang_up(error)
                connection.terminate()
                self._release(connection)
                if not lost or not isinstance(error, Exception):
                    raise
                if not was_idle:
                    raise Retryable(str(error)) from error
            else:
                return connection

    async def _commit(self, connection: "Connection[Record]") -> None:
        if connection.is_closed():
            self._release(connection)
            raise Retryable("the connection was lost before COMMIT was sent")
        try:
            answer = await connection.execute("COMMIT")
        except BaseException as error:
            # The server's own "no" (a deferred constraint, a serialization failure) is an answer; all else is silence.
            refused = isinstance(error, asyncpg.PostgresError) and not connection.is_closed() and not is_hang_up(error)
            if not refused:
                connection.terminate()
            self._release(connection)
            if not isinstance(error, Exception):
                raise
            if not refused:
                raise CommitUnknown(str(error)) from error
            if is_retryable(error):
                raise retryable(error) from error
            raise
        self._release(connection)
        if answer != "COMMIT":  # PostgreSQL answers ROLLBACK when an error inside was swallowed.
            raise RuntimeError("a statement of this transaction had failed, so it was rolled back")

    async def _roll_back(self, connection: "Connection[Record]") -> None:
        try:
            if not connection.is_closed():
                await connection.execute("ROLLBACK", timeout=ROLLBACK_TIMEOUT_S)
        except BaseException as error:
            connection.terminate()
            if not isinstance(error, Exception):
                raise
        finally:
            self._release(connection)

    async def _acquire(self) -> "Connection[Record]":
        if self._closed:
            raise Unreachable("the database was closed")
        held: Connection[Record] | None = None
        if self._waiting or (not self._idle and self._open >= self._size):
            held = await self._queue()
        elif self._idle:
            held = self._idle.pop()
        else:
            self._open += 1
        if held is not None and not held.is_closed():
            return held
        try:
            return await self._connect()
        except BaseException:
            self._pass_on(None)
            raise

    async def _queue(self) -> "Connection[Record] | None":
        waiter: asyncio.Future[Connection[Record] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            raise

    def _release(self, connection: "Connection[Record]") -> None:
        if self._closed and not connection.is_closed():
            connection.terminate()
        self._pass_on(None if connection.is_closed() else connection)

    def _pass_on(self, connection: "Connection[Record] | None") -> None:
        """Give a connection, or the right to make one, to whoever has waited longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._open -= 1
        else:
            self._idle.append(connection)

    async def _connect(self) -> "Connection[Record]":
        return await connect(self._dsn, self._settings)


async def connect(dsn: str, settings: dict[str, str]) -> "Connection[Record]":
    """Make one connection that carries jsonb as the bytes of its text, for msgspec to read and write.

    Raises:
        Unreachable: nobody answers, or the server takes no more clients.
    """
    try:
        connection: Connection[Record] = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=ANSWER_TIMEOUT_S,
            server_settings=settings,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        if isinstance(error, asyncpg.PostgresError) and not is_hang_up(error):
            raise
        raise Unreachable(f"the database does not answer: {error}") from error
    try:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=_with_version, decoder=_without_version, format="binary"
        )
        # asyncpg asks the server about array types when it first meets them; better here than within a transaction.
        await connection.prepare(
            "SELECT $1::uuid[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::int[], $6::bigint[], $7::bool[],"
            " $8::bytea[]"
        )
    except BaseException as error:
        connection.terminate()
        if isinstance(error, _MID_GREETING) or is_hang_up(error):
            raise Unreachable(f"the database does not answer: {error}") from error
        raise
    return connection


async def _close(connection: "Connection[Record]") -> None:
    try:
        await connection.close(timeout=ROLLBACK_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


def _with_version(text: bytes) -> bytes:
    return b"\x01" + text


def _without_version(value: bytes) -> bytes:
    assert value[:1] == b"\x01", "PostgreSQL sends jsonb in its version 1"
    return bytes(value[1:])
