"""What is said about approvals of a thing holds for every asking, and for what stands under it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app.filing import AskAccess
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Duration, Outcome
from quorate.store.database import Database
from tests.app.company import Company, later


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    made = await Company(db, tenant).settle()
    await made.workflow(made.ana)
    return made


async def register(acme: Company, name: str, parent: UUID | None = None, **approval: Any) -> UUID:
    id = uuid4()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(
            """INSERT INTO resource
                           (tenant_id, id, type, name, external_id, parent_id, approval, created_at, updated_at)
               VALUES ($1, $2, 'thing', $3, $4, $5, $6, $7, $7)""",
            acme.tenant,
            id,
            name,
            f"ext-{name}" if parent is None else None,
            parent,
            msgspec.json.encode(approval) if approval else None,
            acme.clock(),
        )
    return id


def asking(target: UUID, reason: str | None = "the quarter ends", **more: Any) -> AskAccess:
    return AskAccess("resource", str(target), reason, **more)


def minutes(value: int) -> dict[str, Any]:
    return {"value": value, "unit": "minutes"}


async def test_access_lasts_as_long_as_is_said_of_the_thing_and_the_asking_must_be_answered_in_time(
    acme: Company,
) -> None:
    thing = await register(acme, "billing", validFor=minutes(90), timeToApprove=minutes(5))
    done = await acme.ask(asking=asking(thing))

    assert done.request.filing.duration == Duration(90, "minutes")
    assert done.request.due_by == done.request.created_at + timedelta(minutes=5)
    approved = await acme.decide(acme.ana, done)
    assert approved.request.closed_at is not None
    [[ends_at]] = await acme.rows("SELECT ends_at FROM access_grant WHERE tenant_id = $1")
    assert ends_at == approved.request.closed_at + timedelta(minutes=90)
    late = await acme.ask(acme.ben, asking(thing))
    later(acme.clock, timedelta(minutes=5))
    with pytest.raises(no.AlreadyClosed) as refused:
        await acme.decide(acme.ana, late, Choice.REJECT)
    assert refused.value.status == Outcome.EXPIRED
    await acme.check()


async def test_nobody_gets_it_for_longer(acme: Company) -> None:
    thing = await register(acme, "billing", validFor=minutes(90))

    with pytest.raises(no.DurationTooLong) as refused:
        await acme.ask(asking=asking(thing, duration=Duration(2, "hours")))

    assert refused.value.max_seconds == 5_400
    done = await acme.ask(asking=asking(thing, duration=Duration(1, "hours")))
    assert done.request.filing.duration == Duration(1, "hours")


@pytest.mark.parametrize("reason", [None, "", "  "])
async def test_a_reason_is_wanted_where_that_is_said(acme: Company, reason: str | None) -> None:
    thing = await register(acme, "billing", justification="required")

    with pytest.raises(no.BadReference) as refused:
        await acme.ask(asking=asking(thing, reason))

    assert refused.value.field == "justification"
    await acme.ask(asking=asking(thing))


async def test_it_holds_for_roles_too(acme: Company) -> None:
    async with acme.db.tx([acme.tenant]) as tx:
        said = msgspec.json.encode({"validFor": minutes(7), "justification": "required"})
        await tx.run("UPDATE role SET approval = $2 WHERE id = $1", acme.auditors, said)

    done = await acme.ask()

    assert done.request.filing.duration == Duration(7, "minutes")
    with pytest.raises(no.BadReference):
        await acme.ask(acme.ben, AskAccess("role", str(acme.auditors), None))


async def test_what_a_thing_does_not_say_is_said_by_the_nearest_that_it_stands_under(acme: Company) -> None:
    top = await register(acme, "top", validFor=minutes(10), timeToApprove=minutes(20), justification="required")
    middle = await register(acme, "middle", top, validFor=minutes(30))
    bottom = await register(acme, "bottom", middle, justification="optional")

    done = await acme.ask(asking=asking(bottom, None))

    filing = done.request.filing
    assert (filing.duration, filing.time_to_decide_s) == (Duration(30, "minutes"), 1_200)
    assert filing.target is not None
    assert (filing.target.within, filing.target.within_name) == (str(middle), "middle")
    asked = await acme.ask(asking=asking(middle))
    assert asked.request.filing.target is not None
    assert asked.request.filing.target.within == "ext-top"
