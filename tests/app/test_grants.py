"""What was approved becomes access, ends by itself, can be given back and taken back; nothing is ended by mistake."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quorate.app.actor import Actor, How
from quorate.app.grants import Access, Grants, end_due, revoke_all, revoke_supporting
from quorate.app.orders import Done
from quorate.domain import refusals as no
from quorate.domain.events import Duration, Outcome
from quorate.domain.grants import State
from quorate.domain.permissions import KNOWN
from quorate.store import signin, view
from quorate.store.database import Database
from tests.app.company import Company, group_leaf
from tests.conftest import new_tenant


class World:
    """A company whose role of auditors can be asked for, one approval by Ana away."""

    def __init__(self, acme: Company) -> None:
        self.acme, self.clock = acme, acme.clock
        self.forgotten: list[UUID] = []
        self.grants = Grants(
            acme.db, clock=acme.clock, new_id=uuid4, forget=lambda _, account: self.forgotten.append(account)
        )

    async def given(self, hours: int | None = None, type: str = "role", target: UUID | None = None) -> Done:
        """Ask for something and have it approved."""
        duration = Duration(hours, "hours") if hours else None
        asking = self.acme.asking(duration=duration, refuses_duplicates=False)
        if target is not None:
            asking = replace(asking, type=type, target=str(target))
        return await self.acme.decide(self.acme.ana, await self.acme.ask(asking=asking))

    async def access(self, user: UUID | None = None) -> list[Access]:
        return await self.grants.access(self.actor(self.acme.ada, KNOWN), user or self.acme.rhea)

    async def states(self) -> list[State]:
        found, _ = await self.grants.page(self.actor(self.acme.rhea), None, None, limit=100, offset=0)
        return [one.state_at(self.clock()) for one in found]

    def actor(self, account: UUID, permissions: frozenset[str] = frozenset()) -> Actor:
        return Actor(self.acme.tenant, account, permissions, How(None, "key", "native", "127.0.0.1"))

    async def events(self) -> list[tuple[str, datetime]]:
        rows = await self.acme.rows(
            "SELECT type, at FROM event WHERE tenant_id = $1 AND subject_kind = 'grant' ORDER BY id"
        )
        return [(row[0], row[1]) for row in rows]

    async def holds_role(self) -> bool:
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            account = (self.acme.tenant, self.acme.rhea)
            seen = (await view.read(tx, [account], [], self.clock()))[self.acme.tenant]
        return "auditors" in seen.persons[self.acme.rhea].roles

    async def wherever_it_is_read(self) -> dict[str, bool]:
        """Say whether Rhea has the role: to who decides, to who signs in or calls, and to who asks what she has."""
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            account = await signin.account(tx, self.acme.tenant, self.acme.rhea, self.clock())
        assert account is not None
        return {
            "deciding": await self.holds_role(),
            "calling": "auditors" in account.roles,
            "shown": "auditors" in {one.name for one in await self.access()},
        }


@pytest.fixture
async def world(db: Database, tenant: UUID) -> World:
    acme = await Company(db, tenant).settle()
    await acme.workflow(acme.ana)
    return World(acme)


async def test_a_role_approved_for_an_hour_is_effective_at_once_and_gone_after_the_hour(world: World) -> None:
    assert not await world.holds_role()
    done = await world.given(hours=1)

    assert done.request.status is Outcome.APPROVED
    assert await world.holds_role()
    [access] = await world.access()
    assert (access.name, access.standing, access.ends_at) == ("auditors", False, world.clock() + timedelta(hours=1))

    world.clock.passes(hours=1)
    assert not await world.holds_role(), "though no worker has come round"
    assert await world.access() == []
    assert await world.states() == [State.EXPIRED]


async def test_the_hour_starts_at_the_final_approval_and_a_late_worker_stamps_the_true_end(world: World) -> None:
    asking = world.acme.asking(duration=Duration(1, "hours"))
    asked = await world.acme.ask(asking=asking)
    world.clock.passes(hours=5)
    await world.acme.decide(world.acme.ana, asked)
    approved_at = world.clock()
    world.clock.passes(hours=7)

    assert await end_due(world.acme.db, world.acme.tenant, world.clock, uuid4, 10) == 1
    assert await end_due(world.acme.db, world.acme.tenant, world.clock, uuid4, 10) == 0

    assert await world.events() == [("Granted", approved_at), ("GrantExpired", approved_at + timedelta(hours=1))]
    assert await world.acme.rows("SELECT kind FROM timer WHERE tenant_id = $1 AND kind = 'grant'") == []


async def test_a_grant_without_a_duration_lasts_until_it_is_revoked(world: World) -> None:
    await world.given()
    world.clock.passes(days=10_000)

    assert await world.holds_role()


async def test_a_grant_that_ends_never_takes_away_what_another_supports(world: World) -> None:
    await world.given(hours=1)
    world.clock.passes(minutes=30)
    await world.given(hours=2)

    world.clock.passes(minutes=45)
    await end_due(world.acme.db, world.acme.tenant, world.clock, uuid4, 10)

    assert await world.holds_role()
    assert sorted(await world.states()) == [State.ACTIVE, State.EXPIRED]


async def test_a_grant_that_ends_leaves_standing_membership_alone(world: World) -> None:
    async with world.acme.db.tx([world.acme.tenant]) as tx:
        await tx.run(
            "INSERT INTO role_member VALUES ($1, $2, $3)", world.acme.tenant, world.acme.auditors, world.acme.rhea
        )
    await world.given(hours=1)
    [access] = await world.access()
    assert (access.standing, len(access.grants), access.ends_at) == (True, 1, None)

    world.clock.passes(hours=2)

    assert await world.holds_role()


async def test_a_granted_group_gives_its_say(world: World) -> None:
    acme = world.acme
    await world.given(hours=1, type="group", target=acme.security)
    world.clock.passes(minutes=1)
    await acme.workflow(group_leaf(acme.security))
    asked = await acme.ask(acme.ben)

    assert (await acme.decide(acme.rhea, asked)).request.status is Outcome.APPROVED


async def test_a_resource_is_recorded(world: World) -> None:
    acme, resource, at = world.acme, uuid4(), world.clock()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(
            "INSERT INTO resource (tenant_id, id, type, name, created_at, updated_at)"
            " VALUES ($1, $2, 'aws_account', 'prod', $3, $3)",
            acme.tenant,
            resource,
            at,
        )
    await world.given(hours=1, type="resource", target=resource)

    [access] = await world.access()
    assert (access.type, access.id, access.name) == ("resource", resource, "prod")


GONE = {
    "whoever it was for": "UPDATE principal SET status = 'inactive' WHERE tenant_id = $1 AND name = 'Rhea'",
    "the role, while it was filed": "UPDATE role SET deleted_at = now() WHERE tenant_id = $1",
    "the role's name, while it was filed": "UPDATE role SET name = name || ' of old' WHERE tenant_id = $1",
}


@pytest.mark.parametrize("change", GONE.values(), ids=GONE)
async def test_what_has_gone_before_the_approval_gives_no_grant_and_history_says_so(world: World, change: str) -> None:
    asked = await world.acme.ask()
    async with world.acme.db.tx([world.acme.tenant]) as tx:
        await tx.run(change, world.acme.tenant)
    async with world.acme.db.tx([world.acme.tenant]) as tx:  # As if the change had not seen a request still on its way.
        await tx.run("DELETE FROM timer WHERE tenant_id = $1 AND kind = 'target'", world.acme.tenant)

    done = await world.acme.decide(world.acme.ana, asked)

    assert done.request.status is Outcome.APPROVED
    assert [type for type, _ in await world.events()] == ["GrantFailed"]
    assert await world.states() == []


async def test_a_grant_is_given_back_once(world: World) -> None:
    await world.given()
    [grant], _ = await world.grants.page(world.actor(world.acme.rhea), None, None, limit=1, offset=0)

    world.clock.passes(minutes=1)
    after = await world.grants.revoke(world.actor(world.acme.rhea), grant.id, "done")

    assert (after.revoked_by, after.reason, after.revoked_at) == (world.acme.rhea, "done", world.clock())
    assert not await world.holds_role()
    assert world.forgotten == [world.acme.rhea]
    with pytest.raises(no.GrantEnded):
        await world.grants.revoke(world.actor(world.acme.rhea), grant.id, None)


async def test_only_the_holder_and_those_who_may_take_a_grant_away(world: World, db: Database, olu: UUID) -> None:
    acme = world.acme
    await world.given()
    [grant], _ = await world.grants.page(world.actor(acme.rhea), None, None, limit=1, offset=0)
    theirs = World(await Company(db, olu, acme.clock, acme.door).settle())

    for stranger in (acme.ana, acme.ben):
        with pytest.raises(no.NotPermitted):
            await world.grants.revoke(world.actor(stranger), grant.id, None)
        with pytest.raises(no.NotPermitted):
            await world.grants.revoke(world.actor(stranger), uuid4(), None)
        with pytest.raises(no.NotPermitted):
            await world.grants.read(world.actor(stranger), grant.id)
    with pytest.raises(no.NoSuchGrant):
        await theirs.grants.revoke(theirs.actor(theirs.acme.ada, KNOWN), grant.id, None)
    with pytest.raises(no.NoSuchGrant):
        await theirs.grants.read(theirs.actor(theirs.acme.ada, KNOWN), grant.id)
    assert (await theirs.grants.page(theirs.actor(theirs.acme.ada, KNOWN), None, None, limit=9, offset=0)) == ([], 0)

    assert (await world.grants.revoke(world.actor(acme.ada, KNOWN), grant.id, None)).revoked_by == acme.ada


async def test_a_membership_that_is_taken_away_takes_what_supports_it_and_nothing_else(world: World) -> None:
    acme = world.acme
    await world.given()
    await world.given(type="group", target=acme.security)
    async with acme.db.tx([acme.tenant]) as tx:
        gone = await revoke_supporting(
            tx, acme.tenant, acme.rhea, ("role", acme.auditors), world.clock(), "removed", uuid4
        )

    assert [one.target.name for one in gone] == ["auditors"]
    assert [one.type for one in await world.access()] == ["group"]


async def test_suspension_pauses_access_and_deactivation_revokes_it(world: World) -> None:
    acme = world.acme
    await world.given()
    status = "UPDATE principal SET status = $3 WHERE tenant_id = $1 AND id = $2"
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(status, acme.tenant, acme.rhea, "suspended")
    assert await world.access() == []
    assert await world.states() == [State.ACTIVE]
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(status, acme.tenant, acme.rhea, "active")
    assert len(await world.access()) == 1

    async with acme.db.tx([acme.tenant]) as tx:
        await revoke_all(tx, acme.tenant, [acme.rhea], world.clock(), "deactivated", uuid4)

    assert await world.states() == [State.REVOKED]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plays=st.lists(
        st.one_of(
            st.tuples(st.just("give"), st.sampled_from([None, 1, 2, 5])),
            st.tuples(st.just("wait"), st.integers(10, 150)),
            st.tuples(st.just("revoke"), st.integers(0, 5)),
            st.tuples(st.just("stand"), st.booleans()),
            st.tuples(st.just("tell"), st.none()),
        ),
        min_size=3,
        max_size=14,
    )
)
async def test_overlapping_grants_of_one_role_support_it_exactly_while_one_of_them_lives(
    db: Database, owner: Database, plays: list[tuple[str, object]]
) -> None:
    """Random play against the plainest model there is: a list of spans, and a flag."""
    tenant = await new_tenant(owner)
    acme = await Company(db, tenant).settle()
    await acme.workflow(acme.ana)
    world = World(acme)
    spans: list[list[datetime | None]] = []
    ids: list[UUID] = []
    standing = False
    for play, value in plays:
        match play, value:
            case "give", hours:
                assert hours is None or isinstance(hours, int)
                await world.given(hours=hours)
                spans.append([world.clock(), world.clock() + timedelta(hours=hours) if hours else None])
                found, _ = await world.grants.page(world.actor(acme.rhea), None, None, limit=100, offset=0)
                ids.append(next(one.id for one in found if one.id not in ids))
            case "wait", int(minutes):
                world.clock.passes(minutes=minutes)
            case "revoke", int(any_one) if ids:
                which = any_one % len(ids)
                end = spans[which][1]
                if end is None or end > world.clock():
                    await world.grants.revoke(world.actor(acme.rhea), ids[which], None)
                    spans[which][1] = world.clock()
            case "stand", bool(now) if now is not standing:
                sql = "INSERT INTO role_member VALUES ($1, $2, $3)" if now else _LEAVE
                async with acme.db.tx([acme.tenant]) as tx:
                    await tx.run(sql, acme.tenant, acme.auditors, acme.rhea)
                standing = now
            case _:
                await end_due(db, tenant, world.clock, uuid4, 100)
        live = [end for _, end in spans if end is None or end > world.clock()]
        assert set((await world.wherever_it_is_read()).values()) == {standing or bool(live)}
        assert (await world.states()).count(State.ACTIVE) == len(live)


_LEAVE = "DELETE FROM role_member WHERE tenant_id = $1 AND role_id = $2 AND principal_id = $3"
