"""What compares the rows must find every way in which they can disagree."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quorate.domain.events import Duration
from quorate.domain.messages import Subscription
from quorate.store.database import Database
from tests.app import consistency
from tests.app.company import Company, group_leaf, later

HARMS = {
    "a timer is lost": "DELETE FROM timer WHERE tenant_id = $1 AND kind = 'request'",
    "a timer is late": "UPDATE timer SET due_at = due_at + interval '1 s' WHERE tenant_id = $1 AND kind = 'request'",
    "a grant would never end": "DELETE FROM timer WHERE tenant_id = $1 AND kind = 'grant'",
    "an inbox row is lost": "DELETE FROM inbox WHERE tenant_id = $1",
    "a task is closed early": "UPDATE task SET status = 'closed' WHERE tenant_id = $1 AND status = 'open'",
    "a state is ahead": "UPDATE request SET version = version + 1 WHERE tenant_id = $1",
    "an event is lost": "DELETE FROM event WHERE tenant_id = $1 AND type = 'Closed'",
    "a grant is lost": "DELETE FROM access_grant WHERE tenant_id = $1",
    "a grant is longer": "UPDATE access_grant SET ends_at = ends_at + interval '1 d' WHERE tenant_id = $1",
    "a count is off": "INSERT INTO request_count (tenant_id, status, kind, delta) VALUES ($1, 'pending', 'access', 1)",
    "a message is lost": "DELETE FROM outbox WHERE tenant_id = $1 AND event_type = 'grant.active'",
    "a message is owed twice": """
        INSERT INTO outbox (tenant_id, id, kind, subject_kind, subject_id, event_type, body, due_at, created_at,
                            webhook_id)
        SELECT tenant_id, gen_random_uuid(), kind, subject_kind, subject_id, event_type, body, due_at, created_at,
               webhook_id
          FROM outbox WHERE tenant_id = $1 AND event_type = 'approval.decided'""",
}


@pytest.fixture
async def told(db: Database, tenant: UUID) -> tuple[Company, list[Subscription]]:
    """A company with a request that is pending and one that was approved, and somebody who is told of everything."""
    acme = await Company(db, tenant).settle()
    hook = uuid4()
    async with db.tx([tenant]) as tx:
        await tx.run(
            """
            INSERT INTO webhook (tenant_id, id, name, url, events, sealed, created_at)
            VALUES ($1, $2, 'desk', 'https://desk.example/', ARRAY['*'], '', $3)
            """,
            tenant,
            hook,
            acme.clock(),
        )
    await acme.workflow(group_leaf(acme.security))
    asked = await acme.ask(asking=acme.asking(duration=Duration(1, "hours")))
    await acme.decide(acme.ana, asked)
    await acme.ask()
    return acme, [Subscription(hook, ("*",))]


async def test_what_the_door_writes_agrees(told: tuple[Company, list[Subscription]]) -> None:
    assert await _wrong(*told) == []


@pytest.mark.parametrize("harm", HARMS)
async def test_a_harm_is_found(told: tuple[Company, list[Subscription]], unfenced: Database, harm: str) -> None:
    acme, subscriptions = told
    async with unfenced.tx([acme.tenant]) as tx:
        await tx.run(HARMS[harm], acme.tenant)

    assert await _wrong(acme, subscriptions)


async def test_what_is_overdue_is_named(told: tuple[Company, list[Subscription]]) -> None:
    acme, _ = told
    async with acme.db.tx([acme.tenant]) as tx:
        assert await consistency.overdue(tx, acme.tenant, acme.clock()) == []
        assert len(await consistency.overdue(tx, acme.tenant, later(acme.clock, timedelta(days=9)))) == 2


async def _wrong(acme: Company, subscriptions: list[Subscription]) -> list[str]:
    async with acme.db.tx([acme.tenant]) as tx:
        return (await consistency.look(tx, acme.tenant, subscriptions=subscriptions)).wrong
