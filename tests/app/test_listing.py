"""Lists of requests hold what the rules say, on every page. Olu, from another tenant, is never shown anything."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from quorate.app import look
from quorate.app.actor import Actor, How
from quorate.app.filing import Start
from quorate.app.listing import Listing, Sort, Wanted
from quorate.domain import commands as do
from quorate.domain import lifecycle
from quorate.domain import refusals as no
from quorate.domain.conditions import Compare, Condition, Detail, Every, Field, Not, Of, Party, Says, Some
from quorate.domain.events import Outcome, RequestKind
from quorate.domain.people import People, mentioned
from quorate.domain.workflows import Count, Kind, Leaf, Node
from quorate.store.database import Database
from quorate.store.requests import Held
from tests.app.company import Company, group_leaf
from tests.app.directory import a_user
from tests.app.random_play import RandomCompany

OLDEST_FIRST = (Sort(Field.CREATED_AT),)


def actor(tenant: UUID, who: UUID, *permissions: str) -> Actor:
    return Actor(tenant, who, frozenset(permissions), How(None, "key", "native", "127.0.0.1"))


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
def listing(acme: Company) -> Listing:
    return Listing(acme.db, acme.clock)


@pytest.fixture
async def stranger(db: Database, olu: UUID) -> Actor:
    """Olu, an administrator elsewhere."""
    return actor(olu, await a_user(db, olu, roles=[("admins", ["admin"])]), "admin")


async def ids(listing: Listing, who: Actor, **wanted: Any) -> list[UUID]:
    """What a list holds, in order, found page by page; the total is that of the list."""
    found: list[UUID] = []
    after = None
    while True:
        page = await listing.page(who, Wanted(limit=7, after=after, count=True, **wanted))
        found += [held.request.id for held in page.items]
        assert page.total is not None
        if page.after is None:
            assert page.total == len(found) == len(set(found))
            return found
        after = page.after


async def by_offset(listing: Listing, who: Actor, **wanted: Any) -> list[UUID]:
    found: list[UUID] = []
    while items := (await listing.page(who, Wanted(limit=9, offset=len(found), **wanted))).items:
        found += [held.request.id for held in items]
    return found


def in_order(held: list[Held], *, newest_first: bool) -> list[UUID]:
    places = sorted(((one.request.created_at, one.request.id) for one in held), reverse=newest_first)
    return [id for _, id in places]


def has_to_do(party: Party, who: UUID, held: Held, people: People, decidable: set[UUID], at: datetime) -> bool:
    """What a party is, as the rules have it."""
    request = held.request
    match party:
        case Party.REQUESTER:
            return request.filing.requester == who
        case Party.BENEFICIARY:
            return request.filing.beneficiary == who
        case Party.CAN_DECIDE:
            return request.id in decidable
        case Party.APPROVER:
            human = people.human(who)
            over = request.walk if not request.is_open else request.walk[:-1]
            acted = any(human in state.spent | state.excluded for state in request.walk)
            named = any(who in mentioned(request.tree_of(state).every_leaf()) - state.spent for state in over)
            return request.id in decidable or acted or named
        case Party.INVOLVED:
            every = (Party.REQUESTER, Party.BENEFICIARY, Party.APPROVER)
            return any(has_to_do(one, who, held, people, decidable, at) for one in every)


@pytest.mark.parametrize("seed", range(3))
async def test_a_list_holds_exactly_what_somebody_has_to_do_with_and_may_read(
    db: Database, tenant: UUID, seed: int, stranger: Actor
) -> None:
    world = RandomCompany(db, tenant, random.Random(seed))
    await world.settle(self_approval=seed % 2 == 0)
    listing = Listing(db, world.clock)
    for _ in range(50):
        await world.act()

    at, held = world.clock(), await world.held()
    reader = actor(tenant, world.reader, "workflow:read")
    for who in world.everybody:
        async with db.tx([tenant]) as tx:
            people = await look.people_of(tx, who, [one.request for one in held], at)
        if not people.is_active(who):
            continue
        decidable = set((await world.decidable(who)).values())
        for party in Party:
            expected = [one for one in held if has_to_do(party, who, one, people, decidable, at)]
            of = (Of(party),)
            assert await ids(listing, actor(tenant, who), of=of) == in_order(expected, newest_first=True)
            oldest = await ids(listing, actor(tenant, who), of=of, sort=OLDEST_FIRST)
            assert oldest == in_order(expected, newest_first=False)
            assert await by_offset(listing, actor(tenant, who), of=of, sort=OLDEST_FIRST) == oldest
            named = await ids(listing, reader, where=Some((Of(party, who),)))
            assert named == in_order(expected, newest_first=True)
            person = people.person(who)
            assert all(lifecycle.may_read(one.request, person, people) for one in expected)
        both = [
            one
            for one in held
            if all(has_to_do(party, who, one, people, decidable, at) for party in (Party.BENEFICIARY, Party.APPROVER))
        ]
        asked = (Of(Party.APPROVER), Of(Party.BENEFICIARY))
        assert await ids(listing, actor(tenant, who), of=asked) == in_order(both, newest_first=True)
    for wanted in (None, {Outcome.PENDING}, {Outcome.EXPIRED, Outcome.PENDING}, {Outcome.EXPIRED, Outcome.REJECTED}):
        shown = [one for one in held if wanted is None or one.request.shown_at(at) in wanted]
        assert await ids(listing, reader, statuses=wanted) == in_order(shown, newest_first=True)
        generic = [one for one in shown if one.request.filing.kind is RequestKind.GENERIC]
        found = await ids(listing, reader, statuses=wanted, kinds={RequestKind.GENERIC}, where=Every())
        assert found == in_order(generic, newest_first=True)
    assert await ids(listing, stranger) == []


async def test_whoever_lists_more_than_their_own_needs_the_permission(acme: Company, listing: Listing) -> None:
    await acme.workflow(acme.ana)
    made = (await acme.ask()).request.id
    ana = actor(acme.tenant, acme.ana)

    for wanted in (
        Wanted(limit=1),
        Wanted(limit=1, of=(Of(Party.REQUESTER, acme.rhea),)),
        Wanted(limit=1, of=(Of(Party.INVOLVED),), where=Not(Of(Party.REQUESTER, acme.rhea))),
        Wanted(limit=1, where=Of(Party.APPROVER)),
    ):
        with pytest.raises(no.NotPermitted):
            await listing.page(ana, wanted)

    assert await ids(listing, ana, of=(Of(Party.CAN_DECIDE, acme.ana),)) == [made]
    reader = actor(acme.tenant, acme.mona, "workflow:read")
    assert await ids(listing, reader, of=(Of(Party.CAN_DECIDE, acme.ana),)) == [made]
    assert await ids(listing, reader, of=(Of(Party.CAN_DECIDE),)) == []
    with pytest.raises(no.NotPermitted):
        await listing.page(reader, Wanted(limit=1, permission="audit:read"))


async def test_whoever_was_an_approver_still_lists_what_they_decided_or_were_named_for(
    acme: Company, listing: Listing, stranger: Actor
) -> None:
    either = Node(Count(1), (Leaf(Kind.USER, str(acme.mona)), group_leaf(acme.security)))
    await acme.workflow(either)
    done = await acme.ask()
    await acme.decide(acme.ana, done)
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run("DELETE FROM group_member WHERE tenant_id = $1", acme.tenant)

    for who, sees in ((acme.ana, True), (acme.mona, True), (acme.ben, False), (acme.cyd, False)):
        found = await ids(listing, actor(acme.tenant, who), of=(Of(Party.APPROVER),))
        assert found == ([done.request.id] if sees else [])
    assert await ids(listing, stranger, of=(Of(Party.INVOLVED),)) == []


async def test_who_gave_a_say_away_and_who_was_given_it_are_both_approvers(acme: Company, listing: Listing) -> None:
    await acme.workflow(acme.ana)
    done = await acme.ask()
    await acme.door.take(acme.order(acme.ana, do.Reassign(acme.ana, acme.mona), request=done.request.id))

    for who in (acme.ana, acme.mona):
        assert await ids(listing, actor(acme.tenant, who), of=(Of(Party.APPROVER),)) == [done.request.id]
    await acme.cancel(acme.rhea, done)
    for who in (acme.ana, acme.mona):
        assert await ids(listing, actor(acme.tenant, who), of=(Of(Party.APPROVER),)) == [done.request.id]


@pytest.fixture
async def shelf(acme: Company) -> dict[str, UUID]:
    """Three generic requests with details, and one for access; by a name for each."""
    workflow = await acme.workflow(acme.ana)
    made = {}
    for name, details in {
        "roof": {"title": "Mend the Roof", "priority": "HIGH", "references": [{"id": "r1"}, {"id": "R2"}]},
        "moat": {"title": 'Dig a "moat" 100%_', "priority": "LOW", "references": [{"id": "r3"}]},
        "plain": {},
    }.items():
        acme.clock.passes(seconds=60)
        what = Start(workflow, {"userId": str(acme.rhea), "reason": "Because"}, details=details)
        made[name] = (await acme.ask(acme.ada, what)).request.id
    acme.clock.passes(seconds=60)
    made["access"] = (await acme.ask()).request.id
    return made


def title(compare: Compare, *values: str) -> Says:
    return Says(Field.TITLE, compare, values)


def of_reference(*values: str) -> Says:
    return Says(Detail(("references", "id")), Compare.EQUAL, values)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (title(Compare.EQUAL, "mend the ROOF"), {"roof"}),
        (title(Compare.CONTAINS, "THE"), {"roof"}),
        (title(Compare.CONTAINS, '"moat" 100%_'), {"moat"}),
        (title(Compare.CONTAINS, "_"), {"moat"}),
        (title(Compare.STARTS, "dig"), {"moat"}),
        (title(Compare.STARTS, "ig"), set()),
        (title(Compare.EQUAL, "auditors"), {"access"}),
        (Says(Field.DESCRIPTION, Compare.EQUAL, ("because",)), {"roof", "moat", "plain"}),
        (Says(Field.PRIORITY, Compare.EQUAL, ("medium", "low")), {"moat", "plain", "access"}),
        (of_reference("r2"), {"roof"}),
        (of_reference("r2", "r3"), {"roof", "moat"}),
        (Not(of_reference("r2")), {"moat", "plain", "access"}),
        (Says(Detail(("references",)), Compare.PRESENT), {"roof", "moat"}),
        (Says(Field.TARGET_TYPE, Compare.PRESENT), {"access"}),
        (Not(Says(Field.TARGET_ID, Compare.EQUAL, ("x",))), {"roof", "moat", "plain", "access"}),
        (Says(Field.KIND, Compare.EQUAL, ("generic",)), {"roof", "moat", "plain"}),
        (Says(Field.STATUS, Compare.EQUAL, ("PENDING",)), {"roof", "moat", "plain", "access"}),
        (Says(Field.CLOSED_AT, Compare.PRESENT), set()),
        (Says(Field.DECIDED_AT, Compare.PRESENT), set()),
        (Some((title(Compare.STARTS, "dig"), title(Compare.STARTS, "mend"))), {"roof", "moat"}),
        (Every((title(Compare.STARTS, "dig"), title(Compare.STARTS, "mend"))), set()),
        (Some(), set()),
        (Every(), {"roof", "moat", "plain", "access"}),
    ],
)
async def test_a_condition_is_a_matter_of_what_a_request_says(
    acme: Company, listing: Listing, shelf: dict[str, UUID], condition: Condition, found: set[str]
) -> None:
    reader = actor(acme.tenant, acme.mona, "workflow:read")

    assert set(await ids(listing, reader, where=condition)) == {shelf[name] for name in found}


async def test_moments_compare_as_instants(acme: Company, listing: Listing, shelf: dict[str, UUID]) -> None:
    reader = actor(acme.tenant, acme.mona, "workflow:read")
    before = as_shown(acme.clock() - timedelta(seconds=60))

    def made(compare: Compare) -> Says:
        return Says(Field.CREATED_AT, compare, (before,))

    names = {id: name for name, id in shelf.items()}
    for compare, found in {
        Compare.EQUAL: ["plain"],
        Compare.LESS: ["moat", "roof"],
        Compare.AT_MOST: ["plain", "moat", "roof"],
        Compare.MORE: ["access"],
        Compare.AT_LEAST: ["access", "plain"],
    }.items():
        assert [names[id] for id in await ids(listing, reader, where=made(compare))] == found
    assert [names[id] for id in await ids(listing, reader, created_since=before)] == ["access", "plain"]
    await acme.decide(acme.ana, await acme.ask(acme.ada, acme.asking(refuses_duplicates=False)))
    [decided] = await ids(listing, reader, where=Says(Field.DECIDED_AT, Compare.EQUAL, (as_shown(acme.clock()),)))
    assert decided not in names


def as_shown(at: datetime) -> datetime:
    """Cut a moment to the millisecond that callers are shown, and ask by."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


async def test_a_list_can_be_of_named_requests_or_of_one_target(
    acme: Company, listing: Listing, shelf: dict[str, UUID], stranger: Actor
) -> None:
    reader = actor(acme.tenant, acme.mona, "workflow:read")

    assert await ids(listing, reader, ids=(shelf["roof"], uuid4())) == [shelf["roof"]]
    assert await ids(listing, reader, target_type="role", target_id=str(acme.auditors)) == [shelf["access"]]
    assert await ids(listing, reader, target_type="group") == []
    assert await ids(listing, stranger, ids=tuple(shelf.values())) == []


async def test_what_was_put_out_of_sight_can_be_left_out(
    acme: Company, listing: Listing, shelf: dict[str, UUID]
) -> None:
    reader, gone = actor(acme.tenant, acme.mona, "workflow:read"), shelf["access"]
    await acme.door.take(acme.order(acme.rhea, do.Discard(acme.rhea), request=gone))

    assert await ids(listing, reader, discarded=True) == [gone]
    assert gone not in await ids(listing, reader, discarded=False)
    assert gone in await ids(listing, reader)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ((Sort(Field.TITLE),), ["access", "moat", "roof", "plain"]),
        ((Sort(Field.PRIORITY), Sort(Field.CREATED_AT, ascending=False)), ["moat", "access", "plain", "roof"]),
        ((Sort(Field.CREATED_AT, ascending=False),), ["access", "plain", "moat", "roof"]),
        ((Sort(Field.DUE_AT, ascending=False),), ["access", "plain", "moat", "roof"]),
        ((Sort(Field.STATUS), Sort(Field.CREATED_AT)), ["roof", "moat", "plain", "access"]),
    ],
)
async def test_a_list_can_be_in_another_order_by_offset(
    acme: Company, listing: Listing, shelf: dict[str, UUID], sort: tuple[Sort, ...], order: list[str]
) -> None:
    reader = actor(acme.tenant, acme.mona, "workflow:read")

    found = [name for id in await by_offset(listing, reader, sort=sort) for name in shelf if shelf[name] == id]

    assert found == order
