"""Definitions: who may change them is asked in the transaction that does."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from quorate.app.actor import Actor, How
from quorate.app.definitions import read_steps
from quorate.app.orders import Done
from quorate.app.workflows import Change, Definition, Draft, Workflows
from quorate.domain.refusals import (
    AccountInactive,
    NotPermitted,
    NoWorkflow,
    PreconditionFailed,
    Refusal,
    StepsFrozen,
    WorkflowInUse,
    WorkflowState,
)
from quorate.domain.workflows import Status
from quorate.store.database import Database
from tests.app.company import Company
from tests.app.directory import a_service, change

_SUSPEND = "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2"
ALL = frozenset({"admin"})


def actor(tenant: UUID, principal: UUID, *permissions: str) -> Actor:
    """Somebody whose permissions were read a moment ago."""
    return Actor(tenant, principal, frozenset(permissions) or ALL, How(None, "key", "native", "192.0.2.1"))


def draft(name: str = "Standard", approver: str = "manager") -> Draft:
    steps, problems = read_steps([{"order": 1, "name": "One", "approverType": "role", "approverValue": approver}])
    assert not problems
    return Draft(name=name, description=None, steps=steps)


@pytest.fixture
async def company(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
def workflows(company: Company) -> Workflows:
    return Workflows(company.db, clock=company.clock, new_id=uuid4)


async def test_a_permission_that_was_taken_away_counts_at_once_whatever_the_caller_was_told(
    company: Company, workflows: Workflows, olu: UUID
) -> None:
    ada, rhea = actor(company.tenant, company.ada), actor(company.tenant, company.rhea)
    made = (await workflows.create(ada, draft())).id
    told_otherwise: list[Callable[[Actor], Awaitable[object]]] = [
        lambda who: workflows.create(who, draft("Other")),
        lambda who: workflows.update(who, made, Change(name="Other")),
        lambda who: workflows.activate(who, made),
        lambda who: workflows.deactivate(who, made),
        lambda who: workflows.delete(who, made),
        lambda who: workflows.read(who, made),
        lambda who: workflows.page(who, 10, 0),
    ]
    before = await company.rows("SELECT count(*) FROM event WHERE tenant_id = $1")

    for use in told_otherwise:
        with pytest.raises(NotPermitted):
            await use(rhea)
        with pytest.raises(AccountInactive):
            await use(actor(olu, company.ada))
    await change(company.db, company.tenant, _SUSPEND, company.ada)
    for use in told_otherwise:
        with pytest.raises(AccountInactive):
            await use(ada)

    assert await company.rows("SELECT count(*) FROM event WHERE tenant_id = $1") == before
    kept = await company.rows("SELECT name, status, version FROM workflow WHERE tenant_id = $1")
    assert kept == [("Standard", "draft", 1)]


async def test_a_service_may_nothing_while_its_owner_may_not(company: Company, workflows: Workflows) -> None:
    bot = await a_service(company.db, company.tenant, owner=company.ben, permissions=["workflow:write"])
    await workflows.create(actor(company.tenant, bot), draft())
    await change(company.db, company.tenant, _SUSPEND, company.ben)

    with pytest.raises(AccountInactive):
        await workflows.create(actor(company.tenant, bot), draft("Second"))


async def test_a_tag_is_held_against_the_workflow_as_it_is_before_anything_else(
    company: Company, workflows: Workflows
) -> None:
    ada = actor(company.tenant, company.ada)
    made = (await workflows.create(ada, draft())).id
    await workflows.activate(ada, made)
    change_steps = Change(steps=draft().steps, name="Other")

    with pytest.raises(PreconditionFailed):
        await workflows.update(ada, made, change_steps, lambda now: now.workflow.version == 1)
    with pytest.raises(StepsFrozen):
        await workflows.update(ada, made, change_steps, lambda now: now.workflow.version == 2)

    assert (await workflows.read(ada, made)).workflow.name == "Standard"


async def test_saying_what_is_so_already_changes_nothing(company: Company, workflows: Workflows) -> None:
    ada = actor(company.tenant, company.ada)
    made = await workflows.create(ada, draft())
    company.clock.passes(hours=1)

    same = await workflows.update(ada, made.id, Change(name="Standard", steps=draft().steps, auto_approve="none"))

    assert same == made
    assert await workflows.read(ada, made.id) == made


async def test_every_activation_is_remembered_by_when_it_was(company: Company, workflows: Workflows) -> None:
    ada = actor(company.tenant, company.ada)
    made = (await workflows.create(ada, draft())).id
    first = await workflows.activate(ada, made)
    company.clock.passes(hours=1)
    stopped = await workflows.deactivate(ada, made)
    company.clock.passes(hours=1)

    again = await workflows.activate(ada, made)

    assert first.activated_at == stopped.activated_at == first.updated_at
    assert again.activated_at == again.updated_at == company.clock()
    assert again.workflow.status is Status.ACTIVE


async def test_a_clock_that_went_back_takes_no_change_back_in_time(company: Company, workflows: Workflows) -> None:
    ada = actor(company.tenant, company.ada)
    made = await workflows.create(ada, draft())
    company.clock.passes(hours=-1)

    assert (await workflows.activate(ada, made.id)).updated_at == made.updated_at
    await workflows.deactivate(ada, made.id)
    await workflows.delete(ada, made.id)

    told = await company.rows("SELECT DISTINCT at FROM event WHERE tenant_id = $1 AND subject_kind = 'workflow'")
    assert told == [(made.created_at,)]


async def test_of_two_who_change_a_workflow_at_once_the_second_sees_what_the_first_made_of_it(
    company: Company, workflows: Workflows
) -> None:
    ada = actor(company.tenant, company.ada)
    made = (await workflows.create(ada, draft())).id

    async with company.db.tx([company.tenant]) as tx:
        await tx.run("SELECT FROM workflow WHERE tenant_id = $1 AND id = $2 FOR UPDATE", company.tenant, made)
        tasks = [
            asyncio.create_task(work)
            for work in (
                workflows.activate(ada, made),
                workflows.activate(ada, made),
                workflows.update(ada, made, Change(description="d"), lambda now: now.workflow.version == 1),
            )
        ]
        await _waiting(company.db, len(tasks))
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    activations = [end for end in ends[:2] if isinstance(end, Definition)]
    assert len(activations) == 1
    assert [type(end) for end in ends[:2] if isinstance(end, Refusal)] == [WorkflowState]
    assert isinstance(ends[2], PreconditionFailed) or activations[0].workflow.version == 3
    told = await company.rows("SELECT seq FROM event WHERE tenant_id = $1 AND subject_kind = 'workflow' ORDER BY seq")
    assert told in ([(1,), (2,)], [(1,), (2,), (3,)])


async def _waiting(db: Database, many: int) -> None:
    """Wait until so many transactions wait for a lock."""
    async with asyncio.timeout(2):
        while True:
            [row] = await db.across("SELECT count(*) AS many FROM pg_locks WHERE NOT granted")
            if row["many"] >= many:
                return


async def test_what_is_filed_while_its_workflow_is_retired_is_refused_or_runs_to_its_end(
    company: Company, workflows: Workflows
) -> None:
    # Who files does not hold the workflow's row, which everybody who files would wait for; so a request may come
    # to be while its workflow is deleted. It has its route, and loses nothing.
    ada = actor(company.tenant, company.ada)
    for _ in range(12):
        made = (await workflows.create(ada, draft("Contested"))).id
        await workflows.activate(ada, made)

        async def retire(id: UUID = made) -> None:
            await workflows.deactivate(ada, id)
            await workflows.delete(ada, id)

        asked, retired = await asyncio.gather(company.ask(), retire(), return_exceptions=True)

        if isinstance(asked, NoWorkflow):
            assert retired is None
            continue
        assert isinstance(asked, Done)
        assert (await company.decide(company.ada, asked)).request.status == "approved"
        assert asked.request.filing.workflow_name == "Contested"
        if retired is not None:
            assert isinstance(retired, WorkflowInUse)
            await workflows.delete(ada, made)
    await company.check()


async def test_a_workflow_with_a_pending_request_is_deleted_only_after_it(
    company: Company, workflows: Workflows
) -> None:
    ada = actor(company.tenant, company.ada)
    made = (await workflows.create(ada, draft())).id
    await workflows.activate(ada, made)
    asked = await company.ask()
    await workflows.deactivate(ada, made)

    with pytest.raises(WorkflowInUse):
        await workflows.delete(ada, made)
    await company.cancel(company.rhea, asked)
    await workflows.delete(ada, made)
