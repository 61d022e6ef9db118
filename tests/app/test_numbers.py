"""Requests are counted for people, without anybody waiting for a counter."""

import asyncio
from uuid import UUID, uuid4

import pytest

from quorate.app.commands import Door
from quorate.app.numbers import BLOCK, Numbers
from quorate.domain import refusals as no
from quorate.store.database import Database
from tests.app.company import Company


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


async def test_a_request_is_called_by_a_number_of_its_own(acme: Company) -> None:
    await acme.workflow(acme.ana)

    first, second = await acme.ask(), await acme.ask(acme.ben)

    assert [one.request.filing.tracking for one in (first, second)] == ["REQ-1", "REQ-2"]
    assert (await acme.held(first.request.id)).request.filing.number == 1
    await acme.check()


async def test_two_processes_never_give_the_same_number_however_many_ask_at_once(db: Database, tenant: UUID) -> None:
    here, there = Numbers(db), Numbers(db)

    given = await asyncio.gather(*(one.take(tenant) for _ in range(2 * BLOCK) for one in (here, there)))

    assert sorted(given) == list(range(1, 4 * BLOCK + 1))


async def test_each_tenant_counts_for_itself(db: Database, tenant: UUID, olu: UUID) -> None:
    numbers = Numbers(db)

    assert [await numbers.take(one) for one in (tenant, olu, tenant)] == [1, 1, 2]


async def test_what_was_refused_leaves_a_gap_and_a_new_process_begins_a_block(acme: Company) -> None:
    await acme.workflow(acme.ana)
    await acme.ask()
    with pytest.raises(no.DuplicateRequest):
        await acme.ask()

    later = await acme.ask(acme.ben)
    elsewhere = Company(acme.db, acme.tenant, acme.clock, Door(acme.db, acme.clock, uuid4))
    elsewhere.auditors = acme.auditors
    other = await elsewhere.ask(acme.cyd)

    assert [one.request.filing.number for one in (later, other)] == [3, BLOCK + 1]
