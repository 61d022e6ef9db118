"""A step that nobody can decide is never silent: a directory change that takes a say away is noticed."""

from uuid import UUID, uuid4

import pytest

from quorate.app import batch
from quorate.domain.events import FellBack, Outcome
from quorate.domain.workflows import Count, Kind, Leaf, Node
from quorate.store import history
from quorate.store.database import Database
from tests.app.company import Company, group_leaf
from tests.store.servers import on_both


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


SAYS_GONE = {
    "the user is suspended": "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = ANY ($2)",
    "the user is deleted": "UPDATE principal SET deleted_at = now() WHERE tenant_id = $1 AND id = ANY ($2)",
    "they left the group": "DELETE FROM group_member WHERE tenant_id = $1 AND principal_id = ANY ($2)",
    "the group is deleted": "UPDATE user_group SET deleted_at = now() WHERE tenant_id = $1 AND $2::uuid[] IS NOT NULL",
}


@on_both
@pytest.mark.parametrize("change", SAYS_GONE.values(), ids=SAYS_GONE)
async def test_a_step_whose_approvers_are_all_gone_goes_to_the_fallback(acme: Company, change: str) -> None:
    await acme.workflow(group_leaf(acme.security))
    asked = await acme.ask()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(change, acme.tenant, [acme.ana, acme.ben, acme.cyd])

    assert await _rechecked(acme) == 1

    assert isinstance((await _events(acme, asked.request.id))[-1], FellBack)
    assert (await acme.decide(acme.ada, asked)).request.status is Outcome.APPROVED
    assert await _rechecked(acme) == 0


async def test_a_step_that_others_can_still_decide_is_left_as_it_is(acme: Company) -> None:
    await acme.workflow(group_leaf(acme.security))
    asked = await acme.ask()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(SAYS_GONE["the user is suspended"], acme.tenant, [acme.ana, acme.ben])

    assert await _rechecked(acme) == 1

    assert not any(isinstance(event, FellBack) for event in await _events(acme, asked.request.id))
    await acme.check()


@pytest.mark.parametrize(
    "leaf",
    [Leaf(Kind.MANAGER, "requester"), Leaf(Kind.ROLE, "owners"), Leaf(Kind.HOLDER, "request:approve")],
    ids=lambda leaf: leaf.kind.value,
)
async def test_every_way_to_lose_a_say_is_noticed(acme: Company, leaf: Leaf) -> None:
    owners = uuid4()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(
            "INSERT INTO role (tenant_id, id, name, permissions, created_at, updated_at)"
            " VALUES ($1, $2, 'owners', ARRAY['request:approve'], now(), now())",
            acme.tenant,
            owners,
        )
        await tx.run("INSERT INTO role_member VALUES ($1, $2, $3)", acme.tenant, owners, acme.mona)
    await acme.workflow(leaf)
    asked = await acme.ask()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run("DELETE FROM role_member WHERE tenant_id = $1 AND principal_id = $2", acme.tenant, acme.mona)
        await tx.run("UPDATE principal SET manager_id = NULL WHERE tenant_id = $1 AND id = $2", acme.tenant, acme.rhea)

    assert await _rechecked(acme) == 1

    # The administrator holds every permission, and so can decide for the holders without any fallback.
    fell_back = isinstance((await _events(acme, asked.request.id))[-1], FellBack)
    assert fell_back is (leaf.kind is not Kind.HOLDER)
    assert (await acme.decide(acme.ada, asked)).request.status is Outcome.APPROVED


async def test_a_decider_who_was_suspended_counts_again_when_they_come_back(acme: Company) -> None:
    await acme.workflow(Node(Count(2), (group_leaf(acme.security),)))
    asked = await acme.ask()
    await acme.decide(acme.ana, asked)
    status = "UPDATE principal SET status = $3 WHERE tenant_id = $1 AND id = $2"
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(status, acme.tenant, acme.ana, "suspended")
    assert (await acme.decide(acme.ben, asked)).request.is_open, "a suspended account's decision does not count"

    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(status, acme.tenant, acme.ana, "active")
    await _rechecked(acme)

    assert (await acme.held(asked.request.id)).request.status is Outcome.APPROVED
    await acme.check()


async def _rechecked(acme: Company) -> int:
    return await batch.lapse_due(acme.db, acme.tenant, "recheck", acme.clock, uuid4, 100)


async def _events(acme: Company, request: UUID) -> list[object]:
    async with acme.db.tx([acme.tenant]) as tx:
        return [past.event for past in await history.of_request(tx, acme.tenant, request)]
