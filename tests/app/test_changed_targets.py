"""A request is about what its approvers saw: when that is renamed, moved or removed, it ends."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app import batch
from quorate.app.filing import AskAccess
from quorate.app.orders import Done
from quorate.app.rounds import Rounds
from quorate.domain import refusals as no
from quorate.domain.events import Cause, Closed, Outcome
from quorate.store import history
from quorate.store.database import Database
from tests.app.company import Company, later
from tests.app.test_webhooks import by, draft, of
from tests.store.servers import on_both


class World:
    """A company with a profile, an environment in it, and a request for each that Ana decides."""

    def __init__(self, acme: Company) -> None:
        self.acme = acme
        self.profile, self.other, self.environment = uuid4(), uuid4(), uuid4()

    async def settle(self) -> "World":
        await self.acme.workflow(self.acme.ana)
        await self.put(self.profile, "profile", "Billing:Admin", None)
        await self.put(self.other, "profile", "HR:Admin", None)
        await self.put(self.environment, "environment", "Production", self.profile)
        return self

    async def put(self, id: UUID, type: str, name: str, parent: UUID | None) -> None:
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            await tx.run(
                """INSERT INTO resource (tenant_id, id, type, name, external_id, parent_id, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $4, $5, $6, $6)""",
                self.acme.tenant,
                id,
                type,
                name,
                parent,
                self.acme.clock(),
            )

    async def ask(self, type: str = "resource") -> Done:
        target = {"role": self.acme.auditors, "group": self.acme.security, "resource": self.environment}[type]
        return await self.acme.ask(asking=AskAccess(type, str(target), "quarter end"))

    async def change(self, what: str, id: UUID, **now: Any) -> None:
        """Change a row a minute later, as the directory does."""
        at = later(self.acme.clock, timedelta(minutes=1))
        values = {"updated_at": at} | {name: at if value == "now" else value for name, value in now.items()}
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            said = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 3))
            await tx.run(
                f"UPDATE {what} SET {said} WHERE tenant_id = $1 AND id = $2", self.acme.tenant, id, *values.values()
            )

    async def work(self) -> int:
        return await batch.lapse_due(self.acme.db, self.acme.tenant, "target", self.acme.clock, uuid4, 100)

    async def end(self, asked: Done) -> Closed | None:
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            last = (await history.of_request(tx, self.acme.tenant, asked.request.id))[-1].event
        return last if isinstance(last, Closed) else None


@pytest.fixture
async def world(db: Database, tenant: UUID) -> World:
    return await World(await Company(db, tenant).settle()).settle()


CHANGES = {
    "a role is renamed": ("role", "role", "auditors", {"name": "everything"}),
    "a role is removed": ("role", "role", "auditors", {"deleted_at": "now"}),
    "a group is renamed": ("group", "user_group", "security", {"name": "Everybody"}),
    "a group is removed": ("group", "user_group", "security", {"deleted_at": "now"}),
    "a resource is renamed": ("resource", "resource", "environment", {"name": "Staging"}),
    "a resource is removed": ("resource", "resource", "environment", {"deleted_at": "now"}),
    "it goes by another external id": ("resource", "resource", "environment", {"external_id": "prod-2"}),
    "it is of another type": ("resource", "resource", "environment", {"type": "server"}),
    "it stands under another": ("resource", "resource", "environment", {"parent_id": "other"}),
    "it stands under nothing": ("resource", "resource", "environment", {"parent_id": None}),
    "what it stands under is renamed": ("resource", "resource", "profile", {"name": "Billing:Reader"}),
    "what it stands under goes by another id": ("resource", "resource", "profile", {"external_id": "p-2"}),
    "what it stands under is removed": ("resource", "resource", "profile", {"deleted_at": "now"}),
}


@on_both
@pytest.mark.parametrize(("asked_for", "table", "thing", "now"), CHANGES.values(), ids=CHANGES)
async def test_the_worker_ends_what_is_open_when_its_target_changes(
    world: World, asked_for: str, table: str, thing: str, now: dict[str, Any]
) -> None:
    asked = await world.ask(asked_for)

    await _make(world, table, thing, now)
    changed_at = world.acme.clock()
    later(world.acme.clock, timedelta(seconds=2))

    assert await world.work() == 1
    end = await world.end(asked)
    assert end == Closed(
        changed_at,
        Outcome.CANCELLED,
        Cause.TARGET_CHANGED,
        note="What was asked for has been renamed, moved or removed",
    )
    assert await world.work() == 0
    assert await world.acme.rows("SELECT status FROM task WHERE tenant_id = $1") == [("closed",)]
    assert await world.acme.rows("SELECT 1 FROM inbox WHERE tenant_id = $1") == []
    assert await world.acme.rows("SELECT 1 FROM timer WHERE tenant_id = $1 AND kind <> 'tidy'") == []
    await world.acme.check()


@pytest.mark.parametrize(("asked_for", "table", "thing", "now"), CHANGES.values(), ids=CHANGES)
async def test_a_decision_after_the_change_is_refused_even_if_no_worker_has_run(
    world: World, asked_for: str, table: str, thing: str, now: dict[str, Any]
) -> None:
    asked = await world.ask(asked_for)
    await _make(world, table, thing, now)
    changed_at = world.acme.clock()
    later(world.acme.clock, timedelta(minutes=1))

    with pytest.raises(no.AlreadyClosed) as refused:
        await world.acme.decide(world.acme.ana, asked)

    assert refused.value.status is Outcome.CANCELLED
    request = (await world.acme.held(asked.request.id)).request
    assert (request.status, request.closed_at, request.closed_by) == (Outcome.CANCELLED, changed_at, None)
    assert await world.acme.rows("SELECT 1 FROM access_grant WHERE tenant_id = $1") == []
    await world.acme.check()
    assert await world.work() == 1, "the worker has nothing to do but take the timer away"
    await world.acme.check()


STAYS = {
    "a role carries more": ("role", "role", "auditors", {"permissions": ["audit:read"], "description": "d"}),
    "a group goes by another external id": (
        "group",
        "user_group",
        "security",
        {"external_id": "e", "description": "d"},
    ),
    "a resource has other attributes": (
        "resource",
        "resource",
        "environment",
        {"description": "d", "attributes": b"{}"},
    ),
    "a resource beside it is renamed": ("resource", "resource", "other", {"name": "HR:Reader"}),
    "another kind of thing is renamed": ("resource", "role", "auditors", {"name": "everything"}),
}


@pytest.mark.parametrize(("asked_for", "table", "thing", "now"), STAYS.values(), ids=STAYS)
async def test_what_a_request_does_not_say_of_its_target_may_change(
    world: World, asked_for: str, table: str, thing: str, now: dict[str, Any]
) -> None:
    asked = await world.ask(asked_for)

    await _make(world, table, thing, now)

    assert await world.work() == 0
    assert (await world.acme.decide(world.acme.ana, asked)).request.status is Outcome.APPROVED


async def test_the_clocks_rounds_end_it_and_who_listens_is_told_why(world: World) -> None:
    await of(world.acme).create(by(world.acme), draft("access_request.*"))
    asked = await world.ask("role")
    await world.change("role", world.acme.auditors, name="everything")

    did = await Rounds(world.acme.db, world.acme.clock, uuid4).lapse()

    assert (did.done, did.failed) == (1, 0)
    bodies = await world.acme.rows("SELECT event_type, body FROM outbox WHERE tenant_id = $1 ORDER BY created_at")
    assert [name for name, _ in bodies] == ["access_request.created", "access_request.cancelled"]
    said = msgspec.json.decode(bodies[-1][1])["data"]
    assert (said["request"]["id"], said["cause"], said["actorId"]) == (str(asked.request.id), "target_changed", None)


async def test_a_name_that_is_changed_back_at_once_has_not_changed(world: World) -> None:
    asked = await world.ask("role")
    rename = "UPDATE role SET name = $3 WHERE tenant_id = $1 AND id = $2"
    async with world.acme.db.tx([world.acme.tenant]) as tx:
        for name in ("everything", "auditors"):
            await tx.run(rename, world.acme.tenant, world.acme.auditors, name)

    assert await world.work() == 0
    assert (await world.acme.decide(world.acme.ana, asked)).request.status is Outcome.APPROVED


async def test_a_deadline_before_the_change_comes_first(world: World) -> None:
    asked = await world.ask("role")
    later(world.acme.clock, timedelta(hours=48))
    await world.change("role", world.acme.auditors, name="everything")

    assert await world.work() == 1

    end = await world.end(asked)
    assert end is not None
    assert (end.status, end.cause, end.at) == (Outcome.EXPIRED, Cause.TIME, asked.request.due_at)
    await world.acme.check()


async def test_one_can_ask_again_at_once_for_what_it_is_now(world: World) -> None:
    first = await world.ask("role")
    await world.change("role", world.acme.auditors, name="everything")

    again = await world.ask("role")

    assert (await world.end(first)) is not None
    assert again.request.filing.target is not None
    assert again.request.filing.target.name == "everything"
    await world.work()
    assert (await world.acme.decide(world.acme.ana, again)).request.status is Outcome.APPROVED
    await world.acme.check()


async def test_requests_of_another_tenant_for_the_same_id_go_on(world: World, db: Database, olu: UUID) -> None:
    elsewhere = Company(db, olu, world.acme.clock)
    elsewhere.auditors = world.acme.auditors
    await elsewhere.settle()
    await elsewhere.workflow(elsewhere.ana)
    asked = await elsewhere.ask()

    await world.change("role", world.acme.auditors, name="everything")

    assert await batch.lapse_due(db, olu, "target", world.acme.clock, uuid4, 100) == 0
    assert (await elsewhere.decide(elsewhere.ana, asked)).request.status is Outcome.APPROVED


async def test_a_decision_and_a_change_at_the_same_moment_never_give_what_nobody_saw(world: World) -> None:
    """Two writers, over and over, each time a little more apart: whichever comes first, the other gives way."""
    outcomes = set()
    for turn in range(12):
        asked = await world.ask("role")
        change = asyncio.create_task(world.change("role", world.acme.auditors, name=f"auditors {turn}"))
        for _ in range(3 * turn):
            await asyncio.sleep(0)
        try:
            said = (await world.acme.decide(world.acme.ana, asked)).request.status
        except no.AlreadyClosed as refused:
            said = Outcome(str(refused.status))
        await change
        await world.work()

        outcomes.add(said)
        assert (await world.acme.held(asked.request.id)).request.status is said
        given = await world.acme.rows(
            "SELECT target_name FROM access_grant WHERE tenant_id = $1 AND request_id = $2", asked.request.id
        )
        assert asked.request.filing.target is not None
        assert given in ([], [(asked.request.filing.target.name,)] if said is Outcome.APPROVED else [])
    await world.acme.check()
    assert outcomes <= {Outcome.APPROVED, Outcome.CANCELLED}


async def test_a_change_waits_for_nobody_who_holds_the_request_and_counts_once_they_have_gone(world: World) -> None:
    asked = await world.ask("role")
    async with world.acme.db.tx([world.acme.tenant]) as holding:
        await holding.run(
            "SELECT 1 FROM request WHERE tenant_id = $1 AND id = $2 FOR UPDATE", world.acme.tenant, asked.request.id
        )
        await asyncio.wait_for(world.change("role", world.acme.auditors, name="everything"), 2)
        assert await world.work() == 0, "the worker passes over what others hold"

    with pytest.raises(no.AlreadyClosed):
        await world.acme.decide(world.acme.ana, asked)
    await world.acme.check()


async def _make(world: World, table: str, thing: str, now: dict[str, Any]) -> None:
    places = vars(world) | vars(world.acme)
    await world.change(
        table, places[thing], **{name: places[value] if value == "other" else value for name, value in now.items()}
    )
