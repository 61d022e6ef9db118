"""Requests that a file asks for: filed through the door, as if their requester had asked now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from quorate.app.commands import Door
from quorate.app.declare import RequestToFile
from quorate.app.filing import AskAccess, Asking, Start
from quorate.app.orders import Order
from quorate.app.record import Origin
from quorate.store.database import Database


class Files:
    """Files requests, one at a time. Raises what the door raises."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, wanted: RequestToFile) -> None:
        order = Order(
            uuid4(), wanted.tenant, wanted.requester, asking(wanted), wanted.id, origin=Origin(surface="apply")
        )
        await self._door.take(order)


@asynccontextmanager
async def files(dsn: str) -> AsyncIterator[Files]:
    """Open a door of our own, as the server would."""
    db = Database(dsn, size=2)
    door = Door(db, lambda: datetime.now(UTC), uuid4, lanes=1)
    try:
        yield Files(door)
    finally:
        await door.close()
        await db.close()


def asking(wanted: RequestToFile) -> Asking:
    """What the file says, as the door takes it."""
    details = dict(wanted.details)
    if wanted.kind == "access":
        assert wanted.target_type is not None
        assert wanted.target is not None
        return AskAccess(
            wanted.target_type,
            str(wanted.target),
            wanted.justification,
            wanted.duration,
            wanted.beneficiary,
            wanted.workflow,
            details,
        )
    assert wanted.workflow is not None
    return Start(wanted.workflow, dict(wanted.subject or {}), dict(wanted.metadata), details)
