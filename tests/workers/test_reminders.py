"""Reminders and escalations on PostgreSQL: once each, whoever dies, however late; and free where there are none."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from quorate.app.batch import lapse_due
from quorate.domain.cadence import Cadence
from quorate.domain.events import Escalated, Outcome, Reminded
from quorate.domain.workflows import Escalations, Kind, Leaf, Reminders
from quorate.store import history
from quorate.store.database import Database
from quorate.store.tx import CommitUnknown, Retryable
from tests.app.company import Company, group_leaf, later
from tests.store.proxy import Cut, proxied
from tests.store.servers import Server, on_both

DAY_S = 86_400
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MONTH_S = 30 * DAY_S
DAILY = Reminders(Cadence(DAY_S, every_s=DAY_S), 3)


@pytest.fixture
async def acme(db: Database, tenant: Any) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
async def behind(embedded: Server) -> AsyncIterator[Any]:
    async with proxied(embedded.admin(await embedded.migrated())) as wire:
        database = Database(wire.dsn)
        yield wire, database
        await database.close()


async def turn(acme: Company, db: Database, kind: str = "reminder") -> int:
    return await lapse_due(db, acme.tenant, kind, acme.clock, uuid4, 64)


async def happened(acme: Company, request: Any, what: type[Any]) -> list[Any]:
    async with acme.db.tx([acme.tenant]) as tx:
        past = await history.of_request(tx, acme.tenant, request)
    return [one.event for one in past if isinstance(one.event, what)]


async def timers(acme: Company, kind: str = "reminder") -> list[datetime]:
    rows = await acme.rows("SELECT due_at FROM timer WHERE tenant_id = $1 AND kind = $2", kind)
    return [due_at for (due_at,) in rows]


@on_both
async def test_approvers_are_reminded_so_many_times_and_then_no_more(acme: Company, worker: Database) -> None:
    await acme.workflow(acme.ana, timeout_s=MONTH_S, reminders=DAILY)
    asked = await acme.ask()
    start, sent = acme.clock(), []
    for _ in range(5):
        sent.append(await turn(acme, worker))
        later(acme.clock, DAY)

    assert sent == [0, 1, 1, 1, 0]
    found = await happened(acme, asked.request.id, Reminded)
    assert [one.at - start for one in found] == [DAY, 2 * DAY, 3 * DAY]
    assert await timers(acme) == []
    await acme.check()


async def test_a_worker_that_was_away_sends_one_reminder(acme: Company, worker: Database, olu: Any) -> None:
    elsewhere = await Company(acme.db, olu, acme.clock).settle()
    for company in (acme, elsewhere):
        await company.workflow(company.ana, timeout_s=MONTH_S, reminders=DAILY)
    asked, other = await acme.ask(), await elsewhere.ask()
    now = later(acme.clock, 9 * DAY)

    assert [await turn(acme, worker) for _ in range(3)] == [1, 0, 0]

    assert [one.at for one in await happened(acme, asked.request.id, Reminded)] == [now]
    assert await timers(acme) == [now + DAY]
    assert await happened(elsewhere, other.request.id, Reminded) == []
    await acme.check()


async def test_two_workers_at_once_send_one_reminder(acme: Company, worker: Database) -> None:
    await acme.workflow(acme.ana, timeout_s=MONTH_S, reminders=DAILY)
    asked = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(8)]
    later(acme.clock, DAY)

    await asyncio.gather(*(turn(acme, worker) for _ in range(6)))
    await turn(acme, worker)

    assert [len(await happened(acme, one.request.id, Reminded)) for one in asked] == [1] * 8
    await acme.check()


@pytest.mark.parametrize("cut", [Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT])
async def test_a_worker_that_dies_at_commit_neither_forgets_nor_repeats(acme: Company, behind: Any, cut: Cut) -> None:
    wire, dying = behind
    await acme.workflow(acme.ana, timeout_s=MONTH_S, reminders=DAILY)
    asked = await acme.ask()
    later(acme.clock, DAY)
    wire.cut, wire.about = cut, b"Reminded"

    with pytest.raises((CommitUnknown, Retryable)):
        await turn(acme, dying)
    wire.cut = Cut.NEVER
    assert len(await happened(acme, asked.request.id, Reminded)) == (cut is Cut.AFTER_COMMIT)
    await turn(acme, dying)

    assert len(await happened(acme, asked.request.id, Reminded)) == 1
    await acme.check()


async def test_a_decision_ends_reminding_and_the_next_step_has_its_own(acme: Company, worker: Database) -> None:
    await acme.workflow(acme.ana, acme.ben, timeout_s=MONTH_S, reminders=DAILY)
    asked = await acme.ask()
    at = later(acme.clock, HOUR)
    moved = await acme.decide(acme.ana, asked)
    assert await timers(acme) == [at + DAY]
    done = await acme.decide(acme.ben, moved)

    assert done.request.status is Outcome.APPROVED
    assert await timers(acme) == []
    later(acme.clock, DAY)
    assert await turn(acme, worker) == 0
    await acme.check()


async def test_a_reminder_lets_nobody_decide_who_could_not(acme: Company, worker: Database) -> None:
    await acme.workflow(acme.ana, timeout_s=MONTH_S, reminders=DAILY)
    await acme.ask()
    listed = "SELECT key, task_id FROM inbox WHERE tenant_id = $1 ORDER BY key"
    before = await acme.rows(listed)
    later(acme.clock, DAY)
    assert await turn(acme, worker) == 1

    assert await acme.rows(listed) == before


def chain(acme: Company, *cadence: Any) -> Escalations:
    ben, admins = Leaf(Kind.USER, str(acme.ben)), Leaf(Kind.ROLE, "admins")
    return Escalations(Cadence(*cadence or (DAY_S, DAY_S)), (ben, group_leaf(acme.security), admins))


@on_both
async def test_a_chain_joins_one_by_one_and_each_finds_it_in_their_inbox(acme: Company, worker: Database) -> None:
    await acme.workflow(acme.ana, timeout_s=MONTH_S, escalations=chain(acme))
    asked = await acme.ask()
    due_by, keys = asked.request.due_at, []
    for _ in range(4):
        await turn(acme, worker, "request")
        keys.append({key.split(":")[0] for (key,) in await acme.rows("SELECT key FROM inbox WHERE tenant_id = $1")})
        later(acme.clock, DAY)

    assert keys == [{"user"}, {"user"}, {"user", "group"}, {"user", "group", "role"}]
    found = await happened(acme, asked.request.id, Escalated)
    assert [one.place for one in found] == [1, 2, 3]
    now = (await acme.held(asked.request.id)).request
    assert (now.current.escalations, now.due_at) == (3, due_by)
    assert (await acme.decide(acme.ada, asked)).request.status is Outcome.APPROVED
    await acme.check()


async def test_a_chain_that_nobody_noticed_has_joined_at_its_moments(acme: Company, worker: Database) -> None:
    await acme.workflow(acme.ana, timeout_s=MONTH_S, escalations=chain(acme))
    asked = await acme.ask()
    start = acme.clock()
    later(acme.clock, 9 * DAY)

    assert (await acme.decide(acme.ada, asked)).request.status is Outcome.APPROVED

    assert [one.at - start for one in await happened(acme, asked.request.id, Escalated)] == [DAY, 2 * DAY, 3 * DAY]
    await acme.check()


async def test_two_workers_at_once_let_each_join_once(acme: Company, worker: Database) -> None:
    await acme.workflow(acme.ana, timeout_s=MONTH_S, escalations=chain(acme))
    asked = await acme.ask()
    later(acme.clock, 2 * DAY)

    await asyncio.gather(*(turn(acme, worker, "request") for _ in range(6)))
    await turn(acme, worker, "request")

    assert [one.place for one in await happened(acme, asked.request.id, Escalated)] == [1, 2]
    await acme.check()


async def test_a_request_without_any_of_this_writes_nothing_for_it(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()

    assert await timers(acme) == []
    [(route, progress)] = await acme.rows("SELECT route::text, progress::text FROM request WHERE tenant_id = $1")
    [(opened,)] = await acme.rows("SELECT body::text FROM event WHERE tenant_id = $1 AND type = 'StepOpened'")
    for word in ("remind", "escalat"):
        assert word not in route + progress + opened
    assert asked.request.wakes_at == asked.request.due_at
