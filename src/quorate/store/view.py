"""People as the door needs them: one statement for a whole batch, read after the lock, in the same transaction."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record

from quorate.domain.people import Crowd, Person
from quorate.domain.workflows import Kind
from quorate.store import given
from quorate.store.tx import Tx

_SEPARATOR = "\x1f"
_BETWEEN = "E'\\x1f'"  # The same in SQL.
MOST_NAMED = 1000  # Past so many, a crowd is a number; source: design §3.


class TenantView(NamedTuple):
    """What was read about the people of one tenant."""

    persons: dict[UUID, Person]
    crowds: dict[tuple[Kind, str], Crowd]


async def read(
    tx: Tx,
    accounts: Collection[tuple[UUID, UUID]],
    crowds: Collection[tuple[UUID, Kind, str]],
    at: datetime,
) -> dict[UUID, TenantView]:
    """Read accounts with all that may stand behind their decisions, and who is behind group, role and holder leaves.

    Beside each (tenant, account) come those who delegate to it at `at`, the owners of services, and the managers of
    all of them. A group that is no UUID names nobody.
    """
    values: list[object] = [list(tx.tenants), at, [tenant for tenant, _ in accounts], [id for _, id in accounts]]
    text = _PERSONS
    if crowds:
        text += _CROWDS
        values += [
            [tenant for tenant, _, _ in crowds],
            [kind.value for _, kind, _ in crowds],
            [value for _, _, value in crowds],
            [_as_id(kind, value) for _, kind, value in crowds],
        ]
    found = {tenant: TenantView({}, {}) for tenant in tx.tenants}
    for row in await tx.all(text, *values):
        here = found[row["tenant_id"]]
        if row["what"] == "person":
            here.persons[row["id"]] = _person(row)
        else:
            here.crowds[Kind(row["name"]), row["email"]] = _crowd(row)
    return found


def _as_id(kind: Kind, value: str) -> UUID | None:
    if kind is Kind.HOLDER:
        return None
    try:
        return UUID(value)
    except ValueError:
        return None


def _person(row: Record) -> Person:
    return Person(
        id=row["id"],
        is_service=row["is_service"],
        active=row["active"],
        name=row["name"],
        email=row["email"],
        owner=row["owner_id"],
        manager=row["manager_id"],
        roles=frozenset((*(row["roles"] or ()), *(row["role_ids"] or ()))),
        groups=frozenset(row["groups"] or ()),
        permissions=frozenset((*row["permissions"], *_split(row["role_permissions"]))),
        delegators=tuple(row["delegators"] or ()),
        password_stamp=row["password_stamp"],
        sign_counts=dict(zip(row["ids"] or (), row["sign_counts"] or (), strict=True)),
    )


def _split(permissions: str | None) -> list[str]:
    return permissions.split(_SEPARATOR) if permissions else []


def _crowd(row: Record) -> Crowd:
    humans = dict(zip(row["ids"] or (), row["delegators"] or (), strict=True))
    return Crowd(humans, row["members"])


# One row shape for both kinds of row; what a kind does not need is null. A crowd's humans travel in `delegators`, its
# leaf in `name` (kind) and `email` (value).
_PERSONS = f"""
WITH asked AS (
    SELECT DISTINCT * FROM unnest($3::uuid[], $4::uuid[]) AS a (tenant_id, id) WHERE a.tenant_id = ANY ($1)
), delegated AS (
    SELECT d.tenant_id, d.to_id, d.from_id
      FROM asked a
      JOIN delegation d ON d.tenant_id = a.tenant_id AND d.to_id = a.id AND d.starts_at <= $2 AND d.ends_at > $2
), acting AS (
    SELECT * FROM asked UNION SELECT tenant_id, from_id FROM delegated
), behind AS (
    SELECT p.tenant_id, p.owner_id AS id
      FROM acting a JOIN principal p ON p.tenant_id = a.tenant_id AND p.id = a.id
     WHERE p.owner_id IS NOT NULL
    UNION SELECT * FROM acting
), known AS (
    SELECT p.tenant_id, p.manager_id AS id
      FROM behind b JOIN principal p ON p.tenant_id = b.tenant_id AND p.id = b.id
     WHERE p.manager_id IS NOT NULL
    UNION SELECT * FROM behind
)
SELECT 'person' AS what, p.tenant_id, p.id, p.kind = 'service' AS is_service,
       p.status = 'active' AND p.deleted_at IS NULL AS active, p.name, p.email, p.owner_id, p.manager_id,
       mine.roles, mine.role_ids, mine.role_permissions,
       ARRAY(SELECT g.id::text
               FROM (SELECT m.group_id AS id
                       FROM group_member m WHERE m.tenant_id = p.tenant_id AND m.principal_id = p.id
                     UNION SELECT * FROM ({given.targets("group", "p.tenant_id", "p.id", "$2")}) given) held
               JOIN user_group g ON g.tenant_id = p.tenant_id AND g.id = held.id
              WHERE g.deleted_at IS NULL) AS groups,
       p.permissions,
       ARRAY(SELECT d.from_id FROM delegated d WHERE d.tenant_id = p.tenant_id AND d.to_id = p.id) AS delegators,
       p.password_stamp, factor.ids, factor.sign_counts, NULL::bigint AS members
  FROM known k
  JOIN principal p ON p.tenant_id = k.tenant_id AND p.id = k.id
 CROSS JOIN LATERAL (
       SELECT array_agg(r.name) AS roles, array_agg(r.id::text) AS role_ids,
              string_agg(array_to_string(r.permissions, {_BETWEEN}), {_BETWEEN}) AS role_permissions
         FROM (SELECT m.role_id AS id
                 FROM role_member m WHERE m.tenant_id = p.tenant_id AND m.principal_id = p.id
               UNION SELECT * FROM ({given.targets("role", "p.tenant_id", "p.id", "$2")}) given) held
         JOIN role r ON r.tenant_id = p.tenant_id AND r.id = held.id
        WHERE r.deleted_at IS NULL) mine
 CROSS JOIN LATERAL (
       SELECT array_agg(c.id ORDER BY c.id) AS ids, array_agg(c.sign_count ORDER BY c.id) AS sign_counts
         FROM credential c
        WHERE c.tenant_id = p.tenant_id AND c.principal_id = p.id AND c.kind IN ('passkey', 'totp')
          AND c.revoked_at IS NULL) factor
"""

_CROWDS = f"""
UNION ALL
SELECT 'crowd', c.tenant_id, NULL, NULL, NULL, c.kind, c.value, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       CASE WHEN count(m.id) <= {MOST_NAMED} THEN array_agg(m.human ORDER BY m.id) FILTER (WHERE m.id IS NOT NULL) END,
       NULL,
       CASE WHEN count(m.id) <= {MOST_NAMED} THEN array_agg(m.id ORDER BY m.id) FILTER (WHERE m.id IS NOT NULL) END,
       NULL, count(m.id)
  FROM (SELECT DISTINCT * FROM unnest($5::uuid[], $6::text[], $7::text[], $8::uuid[])
               AS c (tenant_id, kind, value, id) WHERE c.tenant_id = ANY ($1)) c
  LEFT JOIN LATERAL (
       SELECT p.id, coalesce(p.owner_id, p.id) AS human
         FROM (SELECT gm.principal_id AS id
                 FROM user_group g JOIN group_member gm ON gm.tenant_id = g.tenant_id AND gm.group_id = g.id
                WHERE c.kind = 'group' AND g.tenant_id = c.tenant_id AND g.id = c.id AND g.deleted_at IS NULL
               UNION
               SELECT gm.id
                 FROM user_group g
                CROSS JOIN LATERAL ({given.holders("group", "g.id", "g.tenant_id", "$2")}) gm
                WHERE c.kind = 'group' AND g.tenant_id = c.tenant_id AND g.id = c.id AND g.deleted_at IS NULL
               UNION
               SELECT rm.id
                 FROM (SELECT r.tenant_id, r.id FROM role r
                        WHERE c.kind = 'role' AND r.tenant_id = c.tenant_id AND r.name = c.value
                          AND r.deleted_at IS NULL
                       UNION
                       SELECT r.tenant_id, r.id FROM role r
                        WHERE c.kind = 'role' AND r.tenant_id = c.tenant_id AND r.id = c.id AND r.deleted_at IS NULL
                       UNION
                       SELECT r.tenant_id, r.id FROM role r
                        WHERE c.kind = 'holder' AND r.tenant_id = c.tenant_id AND r.permissions <> '{{}}'
                          AND r.deleted_at IS NULL AND r.permissions && ARRAY[c.value, 'admin']) r
                CROSS JOIN LATERAL (
                      SELECT m.principal_id AS id
                        FROM role_member m WHERE m.tenant_id = r.tenant_id AND m.role_id = r.id
                      UNION SELECT * FROM ({given.holders("role", "r.id", "r.tenant_id", "$2")}) given) rm
               UNION
               SELECT s.id FROM principal s
                WHERE c.kind = 'holder' AND s.tenant_id = c.tenant_id AND s.kind = 'service' AND s.permissions <> '{{}}'
                  AND s.deleted_at IS NULL AND s.permissions && ARRAY[c.value, 'admin']) named
         JOIN principal p ON p.tenant_id = c.tenant_id AND p.id = named.id
         LEFT JOIN principal o ON o.tenant_id = p.tenant_id AND o.id = p.owner_id
        WHERE p.status = 'active' AND p.deleted_at IS NULL
          AND (p.owner_id IS NULL OR (o.status = 'active' AND o.deleted_at IS NULL))) m ON true
 GROUP BY c.tenant_id, c.kind, c.value
"""
