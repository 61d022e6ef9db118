"""What anybody may look up, on real PostgreSQL. Olu is in every story, and is never shown another tenant's things."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from quorate.app import batch, inboxes
from quorate.app.actor import Actor, How
from quorate.app.filing import Start
from quorate.app.search import ACCESS, EVERY_KIND, Approver, Search
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Outcome, RequestKind
from quorate.domain.workflows import Count, Kind, Leaf, Node
from quorate.store import search as store
from quorate.store.database import Database
from tests.app.company import Company, group_leaf
from tests.app.directory import a_service, a_user
from tests.app.random_play import RandomCompany

NOBODY_KNOWS = UUID("3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a")


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
def search(acme: Company) -> Search:
    return Search(acme.db, acme.clock)


@pytest.fixture
async def stranger(db: Database, olu: UUID) -> Actor:
    """Olu, an administrator elsewhere."""
    return actor(olu, await a_user(db, olu, roles=[("admins", ["admin"])]), "admin")


def actor(tenant: UUID, who: UUID, *permissions: str) -> Actor:
    return Actor(tenant, who, frozenset(permissions), How(None, "key", "native", "127.0.0.1"))


async def tasks(search: Search, acme: Company, who: UUID) -> list[UUID]:
    """The requests whose tasks are in somebody's inbox."""
    page = await search.inbox(actor(acme.tenant, who), limit=100)
    assert page.total == len(page.items)
    return [task.held.request.id for task in page.items]


async def several(acme: Company, number: int) -> list[UUID]:
    """File requests a second apart; their ids, newest first."""
    made = []
    for _ in range(number):
        acme.clock.passes(seconds=1)
        made.append((await acme.ask(asking=acme.asking(refuses_duplicates=False))).request.id)
    return made[::-1]


@pytest.mark.parametrize("seed", range(6))
async def test_an_inbox_holds_exactly_what_the_rules_would_let_its_owner_decide(
    db: Database, tenant: UUID, seed: int
) -> None:
    world = RandomCompany(db, tenant, random.Random(seed))
    await world.settle(self_approval=seed % 3 == 0)
    search = Search(db, world.clock)

    for _ in range(10):
        for _ in range(10):
            await world.act()
        for who in world.everybody:
            page = await search.inbox(actor(tenant, who), limit=1000)
            listed = [task.id for task in page.items]
            decidable = await world.decidable(who)
            assert len(set(listed)) == len(listed) == page.total
            assert set(listed) == decidable.keys()
            for task, request in decidable.items():
                named = await search.approvers(actor(tenant, world.reader), request)
                assert (who in {one.id for one in named.items}) == (task in listed)


@pytest.mark.parametrize("seed", range(3))
async def test_a_list_and_its_total_are_what_filtering_every_request_would_give(
    db: Database, tenant: UUID, olu: UUID, seed: int
) -> None:
    draw = random.Random(seed)
    world = RandomCompany(db, tenant, draw)
    await world.settle(self_approval=False)
    search = Search(db, world.clock)
    for _ in range(100):
        await world.act()
    while not any(one.request.shown_at(world.clock()) is not one.request.status for one in await world.held()):
        await world.act()

    held = sorted(await world.held(), key=lambda one: (one.request.created_at, one.request.id), reverse=True)
    now = world.clock()
    for _ in range(60):
        status = draw.choice([None, *Outcome])
        kinds = draw.choice([EVERY_KIND, ACCESS, frozenset({RequestKind.GENERIC})])
        requester = draw.choice([None, None, draw.choice(world.everybody)])
        workflow = draw.choice([None, None, draw.choice(world.workflows)])
        target_type = draw.choice([None, None, "role", "group"])
        limit, offset = draw.choice([1, 3, 100]), draw.choice([0, 0, 2])
        filters = {"kinds": kinds, "status": status, "requester": requester, "workflow": workflow}
        page = await search.requests(tenant, **filters, target_type=target_type, limit=limit, offset=offset)
        wanted = [
            one
            for one in held
            if one.request.filing.kind in kinds
            and status in (None, one.request.shown_at(now))
            and requester in (None, one.request.filing.requester)
            and workflow in (None, one.request.filing.workflow)
            and target_type in (None, one.request.filing.target.type if one.request.filing.target else "")
        ]
        assert list(page.items) == wanted[offset : offset + limit]
        assert page.total == len(wanted)
        assert (await search.requests(olu, **filters, limit=limit)).total == 0


async def test_an_inbox_is_read_page_by_page_newest_first(acme: Company, search: Search, stranger: Actor) -> None:
    await acme.workflow(group_leaf(acme.security))
    made = await several(acme, 5)
    ana = actor(acme.tenant, acme.ana)

    pages = [await search.inbox(ana, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[task.held.request.id for task in page.items] for page in pages] == [made[:2], made[2:4], made[4:], []]
    assert {page.total for page in pages} == {5}
    assert (await search.inbox(stranger, limit=10)).total == 0


async def test_inboxes_that_are_read_together_stay_apart(
    acme: Company, search: Search, db: Database, olu: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both tenants keep them under the same words: whoever holds the permission, and the role by its name."""
    theirs = await Company(db, olu, acme.clock, acme.door).settle()
    made: dict[UUID, list[UUID]] = {}
    for company in (acme, theirs):
        for leaf in (Leaf(Kind.HOLDER, "workflow:write"), Leaf(Kind.ROLE, "admins")):
            await company.workflow(leaf)
            asked = await company.ask(asking=company.asking(refuses_duplicates=False))
            made.setdefault(company.tenant, []).append(asked.request.id)
    lots = []
    read = store.inboxes

    async def counted(tx: Any, glances: Any, at: Any) -> Any:
        lots.append(len(glances))
        return await read(tx, glances, at)

    monkeypatch.setattr(store, "inboxes", counted)
    askers = [(acme.tenant, acme.ada), (olu, theirs.ada), (acme.tenant, theirs.ada), (olu, acme.ada)] * 5
    pages = await asyncio.gather(*(search.inbox(actor(*asker), limit=10) for asker in askers))

    assert max(lots) > len(set(askers))
    for (tenant, who), page in zip(askers, pages, strict=True):
        own = who == {acme.tenant: acme.ada, olu: theirs.ada}[tenant]
        assert {task.held.request.id for task in page.items} == (set(made[tenant]) if own else set())
        assert page.total == len(page.items)


async def test_who_has_a_long_inbox_keeps_only_others_like_that_waiting(
    acme: Company, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "LONG", 2)
    await acme.workflow(group_leaf(acme.security))
    made = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(3)]
    lots: list[list[int]] = []
    read = store.inboxes

    async def counted(tx: Any, glances: Any, at: Any) -> Any:
        found = await read(tx, glances, at)
        lots.append([total for _, total in found])
        return found

    monkeypatch.setattr(store, "inboxes", counted)

    async def everybody() -> list[int]:
        lots.clear()
        askers = [actor(acme.tenant, who) for who in (acme.ana, acme.mona)] * 10
        return [page.total for page in await asyncio.gather(*(search.inbox(one, limit=10) for one in askers))]

    assert await everybody() == [3, 0] * 10
    assert any({3, 0} <= set(lot) for lot in lots)
    assert await everybody() == [3, 0] * 10
    assert not any({3, 0} <= set(lot) for lot in lots)
    for asked in made:
        await acme.cancel(acme.rhea, asked)
    assert await everybody() == [0, 0] * 10
    await everybody()
    assert max(map(len, lots)) > 10, "they wait together again"


async def test_a_task_says_which_step_it_is_of(acme: Company, search: Search) -> None:
    await acme.workflow(acme.mona, acme.ana)
    moved = await acme.decide(acme.mona, await acme.ask())

    [task] = (await search.inbox(actor(acme.tenant, acme.ana), limit=10)).items

    assert (task.id, task.state) == (moved.held.tasks[1], moved.request.walk[1])
    assert task.held == moved.held
    assert await tasks(search, acme, acme.mona) == []


async def test_a_generic_request_waits_in_the_inbox_too(acme: Company, search: Search) -> None:
    workflow = await acme.workflow(acme.ana)
    made = await acme.ask(acme.ada, Start(workflow, {"userId": str(acme.rhea)}))
    assert await tasks(search, acme, acme.ana) == [made.request.id]


async def test_an_inbox_follows_the_directory(acme: Company, search: Search) -> None:
    await acme.workflow(Node(Count(2), (Leaf(Kind.ROLE, "auditors"), group_leaf(acme.security))))
    [made] = await several(acme, 1)
    assert await tasks(search, acme, acme.cyd) == [made]
    assert await tasks(search, acme, acme.mona) == []

    await acme.rows("DELETE FROM group_member WHERE tenant_id = $1 AND principal_id = $2 RETURNING 1", acme.cyd)
    await acme.rows(
        "INSERT INTO role_member (tenant_id, role_id, principal_id) VALUES ($1, $2, $3) RETURNING 1",
        acme.auditors,
        acme.mona,
    )

    assert await tasks(search, acme, acme.cyd) == []
    assert await tasks(search, acme, acme.mona) == [made]


async def test_a_manager_sees_what_is_for_a_report_and_for_a_service_of_a_report(acme: Company, search: Search) -> None:
    await acme.workflow(Leaf(Kind.MANAGER, "requester"))
    service = await a_service(acme.db, acme.tenant, owner=acme.rhea)
    theirs = await acme.ask(service)
    reports = await acme.ask()

    assert sorted(await tasks(search, acme, acme.mona)) == sorted([theirs.request.id, reports.request.id])


async def test_a_delegate_sees_what_the_delegator_could_decide_while_the_delegation_lasts(
    acme: Company, search: Search
) -> None:
    await acme.workflow(acme.ana, override=False)
    [made] = await several(acme, 1)
    now = acme.clock()
    for giver, taker in ((acme.ana, acme.ben), (acme.ben, acme.cyd)):
        await acme.rows(
            """
            INSERT INTO delegation (tenant_id, id, from_id, to_id, starts_at, ends_at, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $5) RETURNING 1
            """,
            uuid4(),
            giver,
            taker,
            now,
            now + timedelta(hours=1),
        )

    assert await tasks(search, acme, acme.ben) == [made]
    assert await tasks(search, acme, acme.cyd) == []  # What one was lent cannot be lent on.
    acme.clock.passes(hours=1)
    assert await tasks(search, acme, acme.ben) == []
    assert await tasks(search, acme, acme.ana) == [made]


async def test_who_is_suspended_sees_nothing_and_lends_nothing(acme: Company, search: Search) -> None:
    await acme.workflow(group_leaf(acme.security))
    await several(acme, 1)
    service = await a_service(acme.db, acme.tenant, owner=acme.ana)
    await acme.rows(
        "INSERT INTO group_member (tenant_id, group_id, principal_id) VALUES ($1, $2, $3) RETURNING 1",
        acme.security,
        service,
    )
    assert len(await tasks(search, acme, service)) == 1

    await acme.rows("UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2 RETURNING 1", acme.ana)

    assert await tasks(search, acme, acme.ana) == []
    assert await tasks(search, acme, service) == []


async def test_time_ends_what_is_listed_before_any_worker_writes_it(acme: Company, search: Search, olu: UUID) -> None:
    await acme.workflow(acme.ana)
    made = await several(acme, 3)

    async def totals() -> list[int]:
        counted = [None, Outcome.PENDING, Outcome.EXPIRED]
        return [(await search.requests(acme.tenant, status=status, limit=1)).total for status in counted]

    assert await totals() == [3, 3, 0]
    acme.clock.passes(hours=48, seconds=-2)  # The first of the three was filed two seconds before the last.
    assert await totals() == [3, 2, 1]
    assert await tasks(search, acme, acme.ana) == made[:2]
    page = await search.requests(acme.tenant, status=Outcome.EXPIRED, limit=5)
    assert [one.request.id for one in page.items] == made[2:]
    assert page.items[0].request.status is Outcome.PENDING

    await batch.lapse_due(acme.db, acme.tenant, "request", acme.clock, uuid4, 10)

    assert await totals() == [3, 2, 1]
    assert (await search.pending(acme.tenant, limit=5)).total == 2
    assert (await search.pending(olu, limit=5)).total == 0


async def test_a_list_by_keyset_passes_over_nothing(acme: Company, search: Search) -> None:
    await acme.workflow(acme.ana)
    made = await several(acme, 5)
    acme.clock.passes(hours=49)
    seen: list[UUID] = []
    after = None
    while (page := await search.requests(acme.tenant, status=Outcome.EXPIRED, limit=2, after=after)).items:
        seen += [one.request.id for one in page.items]
        after = (page.items[-1].request.created_at, page.items[-1].request.id)
        assert page.total == 5
    assert seen == made


async def test_a_request_is_shown_to_whom_it_concerns_and_to_readers(
    acme: Company, search: Search, stranger: Actor
) -> None:
    await acme.workflow(acme.ana, acme.ben)
    moved = await acme.decide(acme.ana, await acme.ask())
    id = moved.request.id

    for who in (acme.rhea, acme.ana, acme.ben, acme.ada):
        assert await search.request(actor(acme.tenant, who), str(id).upper()) == moved.held
    for known in (id, str(id), NOBODY_KNOWS, "wf9z8y7x-6w5v-4321-uvwx-000000000000", f"{{{id}}}", ""):
        with pytest.raises(no.NotPermitted) as refused:
            await search.request(actor(acme.tenant, acme.cyd), known)
        assert refused.value.permission == "workflow:read"
    for unknown in (NOBODY_KNOWS, "wf9z8y7x-6w5v-4321-uvwx-000000000000", id.hex):
        with pytest.raises(no.NoSuchRequest):
            await search.request(actor(acme.tenant, acme.ada), unknown)
    with pytest.raises(no.NoSuchRequest):
        await search.request(stranger, id)


async def test_what_the_caller_may_is_read_from_the_directory_and_not_from_the_credential(
    acme: Company, search: Search
) -> None:
    await acme.workflow(acme.ana)
    [made] = await several(acme, 1)
    with pytest.raises(no.NotPermitted):
        await search.request(actor(acme.tenant, acme.cyd, "admin"), made)


async def test_an_instance_may_be_of_any_kind_and_an_access_request_may_not(acme: Company, search: Search) -> None:
    workflow = await acme.workflow(acme.ana)
    made = await acme.ask(acme.ada, Start(workflow, {}))
    ada = actor(acme.tenant, acme.ada)

    assert await search.instance(ada, made.request.id) == made.held
    with pytest.raises(no.NoSuchRequest):
        await search.request(ada, made.request.id)


async def test_a_history_is_read_in_order_and_only_in_its_tenant(acme: Company, search: Search, olu: UUID) -> None:
    await acme.workflow(acme.ana)
    done = await acme.decide(acme.ana, await acme.ask())

    past = await search.history(acme.tenant, done.request.id)

    assert [type(one.event).__name__ for one in past] == ["Submitted", "StepOpened", "Decided", "Closed"]
    assert await search.history(olu, done.request.id) == []


async def test_the_approvers_of_a_request_are_those_who_can_decide_now(
    acme: Company, search: Search, stranger: Actor
) -> None:
    await acme.workflow(Node(Count(2), (group_leaf(acme.security), Leaf(Kind.MANAGER, "requester"))))
    asked = await acme.ask()
    rhea = actor(acme.tenant, acme.rhea)

    async def listed() -> list[tuple[str, str]]:
        page = await search.approvers(rhea, asked.request.id)
        assert page.total == len(page.items)
        assert all(isinstance(one, Approver) for one in page.items)
        return [(one.name, one.via) for one in page.items]

    group = f"group:{acme.security}"
    assert await listed() == [("Ana", group), ("Ben", group), ("Cyd", group), ("Mona", "manager")]
    await acme.decide(acme.ben, asked)
    assert await listed() == [("Ana", group), ("Cyd", group), ("Mona", "manager")]
    with pytest.raises(no.NoSuchRequest):
        await search.approvers(stranger, asked.request.id)
    await acme.decide(acme.ana, asked, Choice.REJECT)
    assert await listed() == []


async def test_the_approvers_of_a_step_that_nobody_could_decide_are_those_who_joined(
    acme: Company, search: Search
) -> None:
    await acme.workflow(Leaf(Kind.ROLE, "nobody has this"))
    asked = await acme.ask()

    page = await search.approvers(actor(acme.tenant, acme.rhea), asked.request.id)

    assert [(one.name, one.via) for one in page.items] == [("Ada", "fallback:holder:admin")]


async def test_names_are_of_this_tenant_only(acme: Company, search: Search, olu: UUID) -> None:
    assert await search.people(acme.tenant, {acme.rhea, NOBODY_KNOWS}) == {acme.rhea: ("Rhea", None)}
    assert await search.people(olu, {acme.rhea}) == {}


async def test_where_people_may_decide_what_is_their_own_they_still_may_not_as_a_fallback(
    acme: Company, search: Search
) -> None:
    await acme.rows("UPDATE tenant SET settings = '{\"selfApproval\": true}' WHERE id = $1 RETURNING 1")
    await acme.workflow(Leaf(Kind.ROLE, "nobody has this"))
    fallen_back = await acme.ask(acme.ada)
    assert await tasks(search, acme, acme.ada) == []

    await acme.cancel(acme.ada, fallen_back)
    acme.clock.passes(seconds=1)
    await acme.workflow(acme.ada)
    direct = await acme.ask(acme.ada)
    assert await tasks(search, acme, acme.ada) == [direct.request.id]
