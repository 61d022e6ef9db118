"""What may hold for an asking because of where it is made: a step without a workflow, no access without a permit …"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app.actor import Actor, How
from quorate.app.asking import AskAccess, Terms
from quorate.app.cedar.policies import Draft, Policies
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Closed, Duration, Outcome
from quorate.domain.grants import span
from quorate.domain.permissions import KNOWN
from quorate.domain.workflows import Kind
from quorate.store.database import Database
from tests.app.company import Company

PERMIT = "permit(principal, action, resource);"
PROD = 'permit(principal, action == Action::"read", resource == AwsAccount::"123456789012");'


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


def asking(target: str = "123456789012", type: str = "aws_account", **more: Any) -> AskAccess:
    terms = dict.fromkeys(Terms.__struct_fields__, True) | more.pop("terms", {})
    return AskAccess(type, target, "the quarter ends", refuses_duplicates=False, terms=Terms(**terms), **more)


async def permit(acme: Company, cedar: str = PERMIT, **facts: Any) -> None:
    ada = Actor(acme.tenant, acme.ada, KNOWN, How(None, "key", "native", ""))
    draft = msgspec.convert({"name": f"policy {uuid4()}", "cedar": cedar} | facts, Draft)
    await Policies(acme.db, clock=acme.clock, new_id=uuid4).create(ada, draft)


async def register(acme: Company, external: str, workflow: UUID | None = None) -> UUID:
    id = uuid4()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(
            """INSERT INTO resource (tenant_id, id, type, name, external_id, workflow_id, created_at, updated_at)
               VALUES ($1, $2, 'aws_account', $3, $4, $5, $6, $6)""",
            acme.tenant,
            id,
            str(id),
            external,
            workflow,
            acme.clock(),
        )
    return id


async def test_without_a_workflow_one_who_may_approve_decides_and_nobody_else(acme: Company) -> None:
    await permit(acme)
    done = await acme.ask(asking=asking())
    [leaf] = done.request.tree.every_leaf()
    assert (leaf.kind, leaf.value) == (Kind.HOLDER, "request:approve")

    with pytest.raises(no.NotAnApprover):
        await acme.decide(acme.ana, done)
    with pytest.raises(no.OwnRequest):
        await acme.decide(acme.rhea, done)
    after = await acme.decide(acme.ada, done)

    assert after.request.status is Outcome.APPROVED
    await acme.check()


async def test_a_workflow_that_governs_the_target_goes_before_the_built_in_step(acme: Company) -> None:
    await permit(acme)
    await acme.workflow(acme.ben)

    done = await acme.ask(asking=asking())

    assert [leaf.value for leaf in done.request.tree.every_leaf()] == [str(acme.ben)]


async def test_where_a_permit_is_needed_nothing_goes_without_one(acme: Company) -> None:
    await acme.workflow(acme.ana)
    done = await acme.ask(asking=asking())
    ended = done.events[-1]
    assert isinstance(ended, Closed)
    assert (done.request.status, ended.note) == (Outcome.REJECTED, "no policy permits this")

    await permit(acme, PROD)
    assert (await acme.ask(asking=asking())).request.status is Outcome.REJECTED
    assert (await acme.ask(asking=asking(action="read"))).request.is_open
    assert (await acme.ask(asking=asking("999999999999", action="read"))).request.status is Outcome.REJECTED


async def test_access_that_must_end_lasts_as_asked_as_the_policy_says_or_as_usual(acme: Company) -> None:
    async def lasts(**more: Any) -> timedelta | None:
        duration = (await acme.ask(asking=asking(**more))).request.filing.duration
        return span(duration) if duration else None

    await permit(acme)
    assert await lasts() == timedelta(hours=1)
    assert await lasts(duration=Duration(90, "seconds")) == timedelta(seconds=90)
    assert await lasts(terms={"must_end": False}) is None
    async with acme.db.tx([acme.tenant]) as tx:
        settings = b'{"jitsudo": {"defaultDurationSeconds": 600}}'
        await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", acme.tenant, settings)
    assert await lasts() == timedelta(minutes=10)
    await permit(acme, max_duration_seconds=300)
    assert await lasts() == timedelta(minutes=5)
    await permit(acme, default_duration_seconds=200)
    assert await lasts() == timedelta(seconds=200)
    with pytest.raises(no.DurationTooLong):
        await lasts(duration=Duration(301, "seconds"))


async def test_a_resource_need_not_be_registered_and_is_the_same_one_every_time(acme: Company) -> None:
    await permit(acme, PERMIT, mode="auto")
    first, second = await acme.ask(asking=asking()), await acme.ask(acme.ben, asking=asking())
    target = first.request.filing.target
    assert target is not None
    assert (target.type, target.own_type, target.external_id) == ("resource", "aws_account", "123456789012")
    assert second.request.filing.target == target

    granted = await acme.rows("SELECT principal_id, target_id FROM access_grant WHERE tenant_id = $1")
    assert sorted(granted) == sorted([(acme.rhea, UUID(target.id)), (acme.ben, UUID(target.id))])
    with pytest.raises(no.NoSuchTarget):
        await acme.ask(asking=asking(terms={"any_resource": False}))
    with pytest.raises(no.NoSuchTarget):
        await acme.ask(asking=asking(str(uuid4()), "role"))


async def test_a_registered_resource_is_found_by_what_it_goes_by_outside_and_by_its_id(acme: Company) -> None:
    await permit(acme, PERMIT)
    own = await acme.workflow(acme.cyd)
    await acme.workflow(acme.ana)
    id = await register(acme, "123456789012", own)

    for name in ("123456789012", str(id), str(id).upper()):
        done = await acme.ask(asking=asking(name, terms={"any_resource": False}))
        assert done.request.filing.target is not None
        assert done.request.filing.target.id == str(id)
        assert done.request.filing.workflow == own
    bucket = (await acme.ask(asking=asking("123456789012", "aws_s3_bucket"))).request.filing.target
    assert bucket is not None
    assert bucket.id != str(id)


async def test_of_two_resources_that_go_by_one_name_neither_is_meant(acme: Company) -> None:
    await permit(acme, PERMIT)
    await register(acme, "123456789012")
    await register(acme, "123456789012")

    with pytest.raises(no.NoSuchTarget):
        await acme.ask(asking=asking())


async def test_broken_glass_gives_access_to_what_is_not_registered(acme: Company) -> None:
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", acme.tenant, b'{"breakGlass": {"enabled": true}}')

    done = await acme.ask(asking=asking(breaks_glass=True, action="admin", metadata={"ticket": 7}))

    assert done.request.status is Outcome.APPROVED
    assert (done.request.filing.action, done.request.filing.metadata) == ("admin", {"ticket": 7})
    assert len(await acme.rows("SELECT id FROM access_grant WHERE tenant_id = $1")) == 1


async def test_a_request_by_its_own_id_is_decided_in_the_built_in_step(acme: Company) -> None:
    await permit(acme)
    done = await acme.ask(asking=asking())

    after = await acme.decide(acme.ada, done, Choice.REJECT)

    assert after.request.status is Outcome.REJECTED
