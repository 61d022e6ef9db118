"""Deadlines: many requests pending, some due at one moment. How late are they noticed, and how fast are they done?

A request expires at its deadline whatever happens, and a decision after it is refused (docs/architecture.md); what is
measured is when its row, its history and the world are told.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from asyncpg import Connection, Record
from msgspec import Struct

from bench import world
from bench.fill import Fill

LIFE = timedelta(days=30)  # As the workflows of the world have it.
LEAD = timedelta(seconds=3)
LOOK_S = 0.02
PATIENCE_S = 300


class Expired(Struct, frozen=True):
    """What was found. `p50_s`, `p99_s`, `last_s`: so long after the deadline they were done."""

    pending: int
    due: int
    first_s: float
    p50_s: float
    p99_s: float
    last_s: float

    @property
    def per_second(self) -> float:
        return self.due / self.last_s


async def prepare(fill: Fill, pending: int) -> None:
    """Let so many requests be pending, none of them due for days."""
    now = datetime.now(UTC)
    await fill.pending("group 0", world.SHARED, pending, asked_at=lambda place: now - place / pending * LIFE * 0.8)


async def measure(
    connection: "Connection[Record]", fill: Fill, pending: int, due: int, tell: Callable[[str], None]
) -> Expired:
    """Have so many requests fall due at one moment while the server runs, and watch. Raises: they never are done."""
    due_at = datetime.now(UTC) + LEAD + timedelta(seconds=due / 5000)
    await fill.pending("group 0", world.SHARED, due, asked_at=lambda _: due_at - LIFE)
    left = await _left(connection, due_at)
    if left != due or datetime.now(UTC) >= due_at:
        raise RuntimeError(f"{left} of {due} are waiting, and it is {datetime.now(UTC) - due_at} past their time")
    seen: list[tuple[float, int]] = []
    deadline = time.monotonic() + PATIENCE_S
    while left:
        await asyncio.sleep(LOOK_S)
        left = await _left(connection, due_at)
        seen.append(((datetime.now(UTC) - due_at).total_seconds(), due - left))
        tell(f"timers: {left} of {due} left")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{left} of {due} were not done after {PATIENCE_S} s")

    def when(part: float) -> float:
        return next(after for after, done in seen if done >= part * due)

    return Expired(pending, due, when(1 / due), when(0.5), when(0.99), when(1))


async def _left(connection: "Connection[Record]", due_at: datetime) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM timer WHERE kind = 'request' AND due_at <= $1", due_at))
