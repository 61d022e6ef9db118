"""Lists of what somebody has to do with are read from indexes, no further than the page, and each fence holds alone."""

from collections.abc import AsyncIterator

import pytest

from quorate.domain.conditions import Field, Of, Party
from quorate.store import listing
from quorate.store.bound import Place
from quorate.store.conditions import Person
from quorate.store.database import Database
from quorate.store.listing import Only, Sort
from quorate.store.migrate import migrate
from tests.store.servers import Server, on_both
from tests.store.test_search import AFTER, MANY, NOW, OLU, SOMEBODY, TENANT, WAYS, Explaining, scans

pytestmark = on_both

PAST = """
    SET session_replication_role = replica;
    INSERT INTO past_approver (tenant_id, person_id, has_acted, request_created_at, request_id)
    SELECT tenant_id, lpad(to_hex(10 + abs(hashtext(id::text)) % 20), 32, '0')::uuid, status = 'approved', created_at,
           id
      FROM request WHERE status <> 'pending';
    ANALYZE;
"""
NEWEST, OLDEST = (Sort(Field.CREATED_AT, ascending=False),), (Sort(Field.CREATED_AT),)
PEOPLE = {SOMEBODY: Person(SOMEBODY, SOMEBODY, tuple(WAYS))}


@pytest.fixture(scope="module")
async def filled(postgres: Server) -> str:
    """The address of a database with enough in it for the planner to choose as it would in earnest."""
    name = await postgres.fresh()
    await migrate(postgres.owner(name))
    await postgres.run(MANY, name)
    await postgres.run(PAST, name)
    return postgres.admin(name)


@pytest.fixture(scope="module")
async def full(filled: str) -> AsyncIterator[Database]:
    """That database, as the server program sees it."""
    database = Database(filled)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def bare(filled: str) -> AsyncIterator[Database]:
    """That database as a superuser, whom row security does not hold."""
    database = Database(filled, role=None)
    yield database
    await database.close()


def of(*parties: Party, statuses: frozenset[str] | None = None) -> Only:
    return Only(of=tuple(Of(party, SOMEBODY) for party in parties), people=PEOPLE, statuses=statuses)


LISTS = {
    "by somebody": (of(Party.REQUESTER), {"request_by_requester"}),
    "for somebody": (of(Party.BENEFICIARY), {"request_by_requester", "request_for_another"}),
    "to be decided": (of(Party.CAN_DECIDE), {"inbox_newest_first"}),
    "of an approver": (of(Party.APPROVER), {"inbox_newest_first", "past_approver_key"}),
    "approved, of an approver": (of(Party.APPROVER, statuses=frozenset({"approved"})), {"past_approver_key"}),
    "of somebody": (of(Party.INVOLVED), {"request_by_requester", "inbox_newest_first", "past_approver_key"}),
    "of an approver, for them": (of(Party.APPROVER, Party.BENEFICIARY), {"request_by_requester", "past_approver_key"}),
    "pending and expired": (Only(statuses=frozenset({"pending", "expired"})), {"request_by_status", "timer"}),
    "everything": (Only(), {"request_newest_first"}),
}


@pytest.mark.parametrize("sort", [NEWEST, OLDEST], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("after", [None, AFTER], ids=["from the top", "from a place"])
@pytest.mark.parametrize(("only", "indexes"), LISTS.values(), ids=LISTS)
async def test_a_list_is_looked_up_and_never_scanned_for(
    full: Database, only: Only, indexes: set[str], after: Place | None, sort: tuple[Sort, ...]
) -> None:
    async with full.tx([TENANT]) as tx:
        explaining = Explaining(tx)
        page = await listing.page(explaining, TENANT, only, NOW, sort=sort, limit=25, after=after)
        await listing.count(explaining, TENANT, only, NOW)

    [paged, *_] = [plan for plan in explaining.plans if "Limit" in plan]
    assert scans(paged) == []
    assert all(index in paged for index in indexes)
    assert "Hash" not in paged.replace("HashAggregate", "")
    assert "Merge Join" not in paged
    places = [(one.request.created_at, one.request.id) for one in page]
    assert places == sorted(places, reverse=sort is NEWEST)


async def test_what_is_over_is_not_looked_for_in_inboxes(full: Database) -> None:
    only, _ = LISTS["approved, of an approver"]
    async with full.tx([TENANT]) as tx:
        explaining = Explaining(tx)
        page = await listing.page(explaining, TENANT, only, NOW, sort=NEWEST, limit=25)

    assert not any("inbox" in plan for plan in explaining.plans)
    assert {one.request.status for one in page} == {"approved"}


@pytest.mark.parametrize("only", [only for only, _ in LISTS.values()], ids=LISTS)
async def test_each_fence_between_tenants_holds_alone(full: Database, bare: Database, only: Only) -> None:
    async with bare.tx([OLU]) as tx:
        queried = await listing.page(tx, TENANT, only, NOW, sort=NEWEST, limit=500)
        number = await listing.count(tx, TENANT, only, NOW)
    async with full.tx([OLU]) as tx:
        fenced = await listing.page(tx, TENANT, only, NOW, sort=NEWEST, limit=500)
        none = await listing.count(tx, TENANT, only, NOW)

    assert {one.request.tenant for one in queried} <= {TENANT}
    assert (len(queried), bool(number)) == (min(number, 500), bool(queried))
    assert (fenced, none) == ([], 0)
