"""What there is to ask for that stands under something else, and what things and people are called."""

from collections.abc import Collection
from uuid import UUID

from asyncpg import Record
from msgspec import Struct

from quorate.store.catalogue import RESOURCES
from quorate.store.directory import Resource
from quorate.store.rows import decoded
from quorate.store.tx import Tx

_COLUMNS = ", ".join(f"r.{name}" for name in RESOURCES.columns.split(", "))


class Names(Struct, frozen=True):
    """Logins (of services: names) of accounts, and names of groups and roles, by id; of those who are gone too."""

    accounts: dict[UUID, str]
    sets: dict[UUID, str]


async def offered(tx: Tx, tenant: UUID, most: int) -> list[Resource]:
    """Read live resources that stand under another, by name, and those others: at most so many."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM resource r
         WHERE r.tenant_id = $1 AND r.deleted_at IS NULL
           AND (r.parent_id IS NOT NULL
                OR EXISTS (SELECT FROM resource c WHERE c.tenant_id = $1 AND c.parent_id = r.id))
         ORDER BY r.name, r.id
         LIMIT $2
        """,
        tenant,
        most,
    )
    return [_resource(row) for row in rows]


async def under(
    tx: Tx, tenant: UUID, outer: str, inner: str, outer_id: UUID | None, inner_id: UUID | None
) -> list[Resource]:
    """Find live resources that go by `inner`, under one that goes by `outer`: by external id, or by id."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM resource p JOIN resource r ON r.tenant_id = $1 AND r.parent_id = p.id
         WHERE p.tenant_id = $1 AND p.deleted_at IS NULL AND r.deleted_at IS NULL
           AND (p.external_id = $2 OR p.id = $4) AND (r.external_id = $3 OR r.id = $5)
         LIMIT 2
        """,
        tenant,
        outer,
        inner,
        outer_id,
        inner_id,
    )
    return [_resource(row) for row in rows]


async def with_outer(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, Resource]:
    """Read resources by id, deleted or not, and those that they stand under."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM resource r
         WHERE r.tenant_id = $1
           AND (r.id = ANY ($2) OR r.id IN (SELECT c.parent_id FROM resource c
                                             WHERE c.tenant_id = $1 AND c.id = ANY ($2)))
        """,
        tenant,
        list(ids),
    )
    return {row["id"]: _resource(row) for row in rows}


async def names(tx: Tx, tenant: UUID, accounts: Collection[UUID], sets: Collection[UUID]) -> Names:
    """Read what accounts sign in with, and what groups and roles are called."""
    logins = await tx.all(
        "SELECT id, coalesce(login, name) AS name FROM principal WHERE tenant_id = $1 AND id = ANY ($2)",
        tenant,
        list(accounts),
    )
    called = await tx.all(
        """
        SELECT id, name FROM user_group WHERE tenant_id = $1 AND id = ANY ($2)
         UNION ALL
        SELECT id, name FROM role WHERE tenant_id = $1 AND id = ANY ($2)
        """,
        tenant,
        list(sets),
    )
    return Names({row["id"]: row["name"] for row in logins}, {row["id"]: row["name"] for row in called})


async def managers(tx: Tx, tenant: UUID, accounts: Collection[UUID]) -> dict[UUID, UUID]:
    """Name the managers of accounts; of a service, its owner's."""
    rows = await tx.all(
        """
        SELECT p.id, coalesce(o.manager_id, p.manager_id) AS manager
          FROM principal p LEFT JOIN principal o ON o.tenant_id = p.tenant_id AND o.id = p.owner_id
         WHERE p.tenant_id = $1 AND p.id = ANY ($2) AND coalesce(o.manager_id, p.manager_id) IS NOT NULL
        """,
        tenant,
        list(accounts),
    )
    return {row["id"]: row["manager"] for row in rows}


def _resource(row: Record) -> Resource:
    return decoded(Resource, row, *RESOURCES.json)
