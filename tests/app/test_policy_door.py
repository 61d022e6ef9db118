"""What policies say to a native submission: forbid refuses, no rule leaves it to the workflow, auto where allowed."""

from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app.actor import Actor, How
from quorate.app.cedar.policies import Draft, Policies
from quorate.domain import refusals as no
from quorate.domain.events import Cause, Closed, Duration, Outcome
from quorate.domain.permissions import KNOWN
from quorate.store import grants
from quorate.store.database import Database
from tests.app.company import Company

PERMIT = "permit(principal, action, resource);"
AUTO = '@approval_mode("auto") permit(principal, action, resource);'
FORBID = '@notice("Auditors are chosen by the board") forbid(principal, action, resource == Role::"{role}");'


class Ruled:
    """A company with policies."""

    def __init__(self, acme: Company) -> None:
        self.acme = acme
        self.policies = Policies(acme.db, clock=acme.clock, new_id=uuid4)

    async def policy(self, cedar: str, **facts: int) -> None:
        ada = Actor(self.acme.tenant, self.acme.ada, KNOWN, How(None, "key", "native", ""))
        text = cedar.replace("{role}", str(self.acme.auditors))
        await self.policies.create(ada, msgspec.convert(facts | {"name": f"policy {uuid4()}", "cedar": text}, Draft))

    async def lets_policies_approve(self, workflow: UUID) -> None:
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            await tx.run(
                "UPDATE workflow SET auto_approve = 'policy' WHERE tenant_id = $1 AND id = $2",
                self.acme.tenant,
                workflow,
            )

    async def has_access(self) -> bool:
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            return bool(await grants.access(tx, self.acme.tenant, self.acme.rhea, self.acme.clock()))


@pytest.fixture
async def ruled(db: Database, tenant: UUID) -> Ruled:
    return Ruled(await Company(db, tenant).settle())


async def test_without_policies_and_where_no_rule_fits_the_workflow_decides(ruled: Ruled) -> None:
    acme = ruled.acme
    await acme.workflow(acme.ana)
    assert (await acme.ask()).request.is_open
    await ruled.policy('permit(principal, action, resource == Group::"other");')

    assert (await acme.ask(acme.ben)).request.is_open


async def test_a_forbid_keeps_the_request_as_rejected_with_what_the_rule_wants_to_be_said(ruled: Ruled) -> None:
    acme = ruled.acme
    await acme.workflow(acme.ana)
    await ruled.policy(AUTO)
    await ruled.policy(FORBID)

    done = await acme.ask()

    ended = done.events[-1]
    assert isinstance(ended, Closed)
    assert (ended.status, ended.cause, ended.note) == (
        Outcome.REJECTED,
        Cause.POLICY,
        "Auditors are chosen by the board",
    )
    assert not await ruled.has_access()
    assert (await acme.held(done.request.id)).request.status is Outcome.REJECTED
    await acme.check()


async def test_an_error_in_a_rule_refuses_too(ruled: Ruled) -> None:
    await ruled.acme.workflow(ruled.acme.ana)
    await ruled.policy(
        "permit(principal, action, resource) when"
        " { context has duration_seconds && context.duration_seconds * 9223372036854775807 > 1 };"
    )

    done = await ruled.acme.ask(asking=ruled.acme.asking(duration=Duration(5, "hours")))

    assert done.request.status is Outcome.REJECTED


async def test_auto_approves_only_where_the_workflow_says_so_or_none_applies(ruled: Ruled) -> None:
    acme = ruled.acme
    await ruled.policy(AUTO)
    none_applies = await acme.ask()
    assert none_applies.request.status is Outcome.APPROVED
    assert await ruled.has_access()

    workflow = await acme.workflow(acme.ana)
    assert (await acme.ask(acme.ben)).request.is_open
    await ruled.lets_policies_approve(workflow)
    assert (await acme.ask(acme.cyd)).request.status is Outcome.APPROVED
    await acme.check()


async def test_require_leaves_it_to_the_workflow_and_needs_one(ruled: Ruled) -> None:
    await ruled.policy(PERMIT)

    with pytest.raises(no.NoWorkflow):
        await ruled.acme.ask()

    await ruled.lets_policies_approve(await ruled.acme.workflow(ruled.acme.ana))
    assert (await ruled.acme.ask()).request.is_open


async def test_a_policy_bounds_how_long_access_lasts_and_how_long_a_decision_may_take(ruled: Ruled) -> None:
    acme = ruled.acme
    await acme.workflow(acme.ana)
    await ruled.policy(PERMIT, max_duration_seconds=7200, default_duration_seconds=3600, approval_timeout_seconds=600)

    with pytest.raises(no.DurationTooLong):
        await acme.ask(asking=acme.asking(duration=Duration(3, "hours")))
    asked = await acme.ask()

    assert asked.request.filing.duration == Duration(1, "hours")
    acme.clock.passes(seconds=600)
    with pytest.raises(no.AlreadyClosed):
        await acme.decide(acme.ana, asked)


async def test_a_change_of_policies_counts_for_the_next_request(ruled: Ruled) -> None:
    acme = ruled.acme
    await acme.workflow(acme.ana)
    assert (await acme.ask()).request.is_open
    await ruled.policy(FORBID)

    assert (await acme.ask(acme.ben)).request.status is Outcome.REJECTED


async def test_olus_policies_are_her_own(ruled: Ruled, db: Database, olu: UUID) -> None:
    acme = ruled.acme
    theirs = Ruled(await Company(db, olu, acme.clock, acme.door).settle())
    await theirs.policy("forbid(principal, action, resource);")
    await acme.workflow(acme.ana)
    await theirs.acme.workflow(theirs.acme.ana)

    assert (await acme.ask()).request.is_open
    assert (await theirs.acme.ask()).request.status is Outcome.REJECTED


async def test_what_a_tenant_has_for_policies_is_read_once(ruled: Ruled) -> None:
    acme = ruled.acme
    await acme.workflow(acme.ana)
    compiled = []
    for asker in (acme.rhea, acme.ben):
        await acme.ask(asker)
        async with acme.db.tx([acme.tenant]) as tx:
            compiled.append((await acme.door.shelf.ready(tx))[acme.tenant].compiled)

    assert compiled[0] is compiled[1]
    assert len(acme.door.shelf) == 1
