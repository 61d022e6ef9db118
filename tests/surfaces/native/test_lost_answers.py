"""What a caller is told when the way to the database is lost at the one moment that matters."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from quorate import wiring
from quorate.app.verify import Passwords
from quorate.store.database import Database
from tests.app.directory import CHEAP, SEALER, Clock
from tests.store.proxy import Cut, Proxy, proxied
from tests.store.servers import Server
from tests.surfaces.native.story import SETTINGS, Story, told


@pytest.fixture
async def wire(postgres: Server) -> AsyncIterator[Proxy]:
    async with proxied(postgres.admin(await postgres.migrated())) as proxy:
        yield proxy


@pytest.fixture
async def story(wire: Proxy, db: Database, tenant: UUID, olu: UUID) -> AsyncIterator[Story]:
    """The story, told over a wire that can be cut.

    Who calls is known already, and a block of numbers is there, so the next COMMIT is the call's.
    """
    clock, passwords = Clock(), Passwords(CHEAP)
    async with (
        wiring.running(SETTINGS, wire.dsn, clock=clock, seal=SEALER, passwords=passwords) as origin,
        told(origin, clock, db, tenant, olu) as world,
    ):
        await world.workflow()
        for who in ("rhea", "ana"):
            await world.get(who, "/users/me")
        body = {"resourceType": "role", "resourceId": str(world.auditors), "justification": "A number"}
        await world.post("ben", "/access-requests", body, 201)
        yield world
    passwords.close()


@pytest.mark.parametrize("cut", [Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT])
async def test_a_commit_whose_answer_is_lost_is_carried_out_once_and_answered(
    story: Story, wire: Proxy, cut: Cut
) -> None:
    wire.cut, wire.about = cut, str(story.auditors).encode()
    asked = await story.request()
    task = await story.task("ana", asked["id"])
    assert wire.cut is Cut.NEVER, "the wire was cut"
    wire.cut, wire.about = cut, UUID(task).bytes
    decided = await story.post("ana", f"/approvals/{task}/decide", {"decision": "approve"})

    assert wire.cut is Cut.NEVER, "the wire was cut"
    assert decided["accessRequestStatus"] == "approved"
    assert await events(story) == ["Submitted", "StepOpened", "Decided", "Closed"]


async def test_when_nobody_can_tell_the_caller_is_told_so_and_a_repetition_finds_out(story: Story, wire: Proxy) -> None:
    body = {"resourceType": "role", "resourceId": str(story.auditors), "justification": "The quarter ends"}
    keyed = {"Idempotency-Key": "once"}
    wire.cut, wire.about, wire.stays_down = Cut.AFTER_COMMIT, str(story.auditors).encode(), True

    lost = await story.call("rhea", "POST", "/access-requests", body, headers=keyed)
    wire.is_down = False
    found = await story.call("rhea", "POST", "/access-requests", body, headers=keyed)

    assert (lost.status_code, lost.json()["error"]["code"], lost.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
    assert (found.status_code, found.headers["Idempotency-Replayed"]) == (201, "true")
    assert await events(story) == ["Submitted", "StepOpened"]


async def events(story: Story) -> list[str]:
    """What happened to Rhea's requests."""
    async with story.db.tx([story.tenant]) as tx:
        rows = await tx.all(
            """SELECT type FROM event
                WHERE tenant_id = $1 AND subject_kind = 'request'
                  AND subject_id IN (SELECT id FROM request WHERE tenant_id = $1 AND requester_id = $2)
                ORDER BY id""",
            story.tenant,
            story.ids["rhea"],
        )
    return [row["type"] for row in rows]
