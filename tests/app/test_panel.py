"""Who has a say in a request, account by account."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quorate.app import panel
from quorate.app.orders import Done
from quorate.app.panel import Keeping, Member, Panel, Panels
from quorate.domain.evidence import Demand
from quorate.domain.workflows import Count, Kind, Leaf, Node
from quorate.store.database import Database
from tests.app.company import Company, group_leaf
from tests.app.directory import a_service, change

NOWHERE = Database("postgresql://nobody@127.0.0.1:1/nothing")  # To read anything of it fails.


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


async def members(acme: Company, done: Done) -> list[Member]:
    panels, _ = await Panels(acme.db, acme.clock).of(acme.tenant, [done.request])
    return sorted(panels[done.request.id].members, key=lambda one: one.id)


def each(*ids: UUID, **demand: bool) -> list[Member]:
    return [Member(id, Demand(**demand)) for id in sorted(ids)]


async def test_a_group_is_told_member_by_member_as_it_is_now(acme: Company) -> None:
    await acme.workflow(group_leaf(acme.security))
    done = await acme.ask()
    assert await members(acme, done) == each(acme.ana, acme.ben, acme.cyd)

    await change(acme.db, acme.tenant, "DELETE FROM group_member WHERE tenant_id = $1 AND principal_id = $2", acme.ben)
    await change(
        acme.db, acme.tenant, "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2", acme.cyd
    )

    assert await members(acme, done) == each(acme.ana)


async def test_whoever_asks_or_has_decided_is_not_among_those_who_can(acme: Company) -> None:
    await acme.workflow(Node(Count(2), (group_leaf(acme.security), Leaf(Kind.USER, str(acme.rhea)))))
    done = await acme.ask()

    decided = await acme.decide(acme.ana, done)

    assert await members(acme, decided) == each(acme.ben, acme.cyd)


async def test_nobody_is_of_the_panel_once_it_is_over(acme: Company) -> None:
    await acme.workflow(acme.ana)
    done = await acme.decide(acme.ana, await acme.ask())

    assert await members(acme, done) == []


async def test_who_may_use_anothers_say_is_of_the_panel(acme: Company, olu: UUID) -> None:
    await acme.workflow(acme.ana)
    done, at = await acme.ask(), acme.clock()
    for to, ends in ((acme.mona, timedelta(days=1)), (acme.ada, timedelta())):
        await change(
            acme.db,
            acme.tenant,
            """INSERT INTO delegation (tenant_id, id, from_id, to_id, starts_at, ends_at, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $5)""",
            uuid4(),
            acme.ana,
            to,
            at - timedelta(seconds=1),
            at + ends,
        )

    assert await members(acme, done) == each(acme.ana, acme.mona)


async def test_what_a_member_must_show_is_all_that_stands_above_them_on_any_path(acme: Company) -> None:
    ana, ben = (Leaf(Kind.USER, str(one)) for one in (acme.ana, acme.ben))
    bot = await a_service(acme.db, acme.tenant)
    by_password = Node(Count(1), (ana, ben), Demand(password=True))
    by_key = Node(Count(1), (ana,), Demand(second_factor=True))
    await acme.workflow(Node(Count(2), (by_password, by_key, Leaf(Kind.SERVICE, str(bot))), overlap=True))
    done = await acme.ask()

    found, _ = await Panels(acme.db, acme.clock).of(acme.tenant, [done.request])

    panel = found[done.request.id]
    assert panel.members == (
        Member(acme.ana, Demand(password=True, second_factor=True)),
        Member(acme.ben, Demand(password=True)),
        Member(bot),
    )
    assert panel.services == {bot}


async def test_the_panels_of_many_requests_are_told_at_once(acme: Company) -> None:
    await acme.workflow(acme.ana, acme.ben)
    first, second = await acme.ask(), await acme.ask(acme.cyd)
    second = await acme.decide(acme.ana, second)

    found, _ = await Panels(acme.db, acme.clock).of(acme.tenant, [first.request, second.request])

    assert {id: [one.id for one in panel.members] for id, panel in found.items()} == {
        first.request.id: [acme.ana],
        second.request.id: [acme.ben],
    }


async def test_of_a_request_that_a_decision_ended_nothing_is_read_again(acme: Company) -> None:
    await acme.workflow(group_leaf(acme.security))
    done = await acme.decide(acme.ana, await acme.ask(bot := await a_service(acme.db, acme.tenant)))

    found, keeping = await Panels(NOWHERE, acme.clock).after(done)

    assert found == Panel((), frozenset({bot}))
    assert keeping == Keeping(timedelta(days=30), retains=False)


async def test_what_an_account_is_is_asked_once_and_of_its_own_tenant(acme: Company, olu: UUID) -> None:
    """The same id is a person here and a program there."""
    theirs = await Company(acme.db, olu).settle()
    bot = await a_service(acme.db, acme.tenant)
    await change(
        acme.db,
        olu,
        "INSERT INTO principal (tenant_id, id, kind, name, login, created_at, updated_at)"
        " VALUES ($1, $2, 'user', 'Bo', 'bo@olympia.example', now(), now())",
        bot,
    )
    await acme.workflow(Leaf(Kind.SERVICE, str(bot)))
    await theirs.workflow(bot)
    here, there, panels = await acme.ask(), await theirs.ask(), Panels(acme.db, acme.clock)

    for _ in range(2):
        mine, _ = await panels.of(acme.tenant, [here.request])
        others, _ = await panels.of(olu, [there.request])
        assert mine[here.request.id].services == {bot}
        assert others[there.request.id].services == set()


async def test_what_is_forgotten_for_want_of_room_is_asked_again(
    acme: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel, "MOST_REMEMBERED", 1)
    bot = await a_service(acme.db, acme.tenant)
    await acme.workflow(Node(Count(2), (Leaf(Kind.USER, str(acme.ana)), Leaf(Kind.SERVICE, str(bot)))))
    done, panels = await acme.ask(), Panels(acme.db, acme.clock)

    for _ in range(2):
        found, _ = await panels.of(acme.tenant, [done.request])
        assert found[done.request.id].services == {bot}


async def test_how_long_what_is_over_is_kept_is_the_tenants_to_say(acme: Company, owner: Database, olu: UUID) -> None:
    said = b'{"operationExpirySeconds": 60, "retainExpiredRequests": true}'
    await change(owner, acme.tenant, "UPDATE tenant SET settings = $2 WHERE id = $1", said)
    panels = Panels(acme.db, acme.clock)

    assert await panels.keeping(acme.tenant) == Keeping(timedelta(seconds=60), retains=True)
    assert (await panels.of(acme.tenant, []))[1] == await panels.keeping(acme.tenant)
    assert await panels.keeping(olu) == Keeping(timedelta(days=30), retains=False)
