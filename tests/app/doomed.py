"""A server in miniature that a test will kill: files a request, decides its two steps, says what was acknowledged.

python -m tests.app.doomed DSN TENANT RHEA ANA BEN
"""

import asyncio
import sys
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec

from quorate.app.commands import Door
from quorate.app.filing import AskAccess
from quorate.app.orders import Order
from quorate.domain import commands as do
from quorate.domain.events import Choice
from quorate.store.database import Database


async def main(dsn: str, tenant: UUID, role: str, rhea: UUID, *approvers: UUID) -> None:
    db = Database(dsn, size=1)
    door = Door(db, lambda: datetime.now(UTC), uuid4, lanes=1)
    done = await door.take(Order(uuid4(), tenant, rhea, AskAccess("role", role, "because")))
    acknowledge(done.request.id, done.request.version)
    for approver in approvers:
        decision = do.Decide(approver, Choice.APPROVE)
        done = await door.take(Order(uuid4(), tenant, approver, decision, task=done.held.tasks[-1]))
        acknowledge(done.request.id, done.request.version)
    await db.close()


def acknowledge(request: UUID, version: int) -> None:
    sys.stdout.buffer.write(msgspec.json.encode((request, version)) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    dsn, tenant, role, *people = sys.argv[1:]
    asyncio.run(main(dsn, UUID(tenant), role, *(UUID(one) for one in people)))
