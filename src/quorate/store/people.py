"""The directory's people: users and services, what they are in, what they may, and who stands in for whom.

What has members, and what can be asked for, is in `directory`; what people sign in with is in `credentials`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from quorate.store.rows import decoded, encoded
from quorate.store.tenants import directory_changed
from quorate.store.tx import Tx


class Principal(Struct, frozen=True, kw_only=True):
    """A user or a service, without the password. `deleted_at` set: kept because old requests name them."""

    id: UUID
    kind: Literal["user", "service"]
    name: str
    login: str | None = None
    email: str | None = None
    name_parts: Mapping[str, Any] | None = None
    status: Literal["active", "suspended", "inactive"] = "active"
    manager_id: UUID | None = None
    owner_id: UUID | None = None
    permissions: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = {}
    preferences: Mapping[str, Any] = {}
    version: int = 1
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class Password(Struct, frozen=True):
    """A user's password; the stamp changes with it, so that proofs given with an older one can be told."""

    id: UUID
    password_hash: str
    password_stamp: UUID

    def __repr__(self) -> str:
        return f"Password(id={self.id})"  # The hash stays out of logs.


class Delegation(Struct, frozen=True, kw_only=True):
    """From when until when one user may use another's say."""

    id: UUID
    from_id: UUID
    to_id: UUID
    starts_at: datetime
    ends_at: datetime
    created_at: datetime


async def principals(tx: Tx, tenant: UUID) -> list[Principal]:
    """Read everybody who is not deleted: users by login, then services by name."""
    rows = await tx.all(_PRINCIPAL + "AND deleted_at IS NULL ORDER BY kind DESC, lower(login), name", tenant)
    return [decoded(Principal, row, *_PRINCIPAL_JSON) for row in rows]


async def principals_by_id(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, Principal]:
    """Read these, deleted ones too."""
    rows = await tx.all(_PRINCIPAL + "AND id = ANY ($2)", tenant, list(ids))
    return {row["id"]: decoded(Principal, row, *_PRINCIPAL_JSON) for row in rows}


async def users_by_login(tx: Tx, tenant: UUID, logins: Collection[str]) -> dict[str, Principal]:
    """Read live users by login, whatever its case; the answer is keyed by the login as it was asked for."""
    rows = await tx.all(
        """
        SELECT asked.login AS asked, p.id, p.kind, p.name, p.login, p.email, p.name_parts, p.status, p.manager_id,
               p.owner_id, p.permissions, p.metadata, p.preferences, p.version, p.created_at, p.updated_at, p.deleted_at
          FROM unnest($2::text[]) AS asked (login)
          JOIN principal p ON p.tenant_id = $1 AND lower(p.login) = lower(asked.login) AND p.deleted_at IS NULL
        """,
        tenant,
        list(logins),
    )
    return {row["asked"]: decoded(Principal, row, *_PRINCIPAL_JSON) for row in rows}


async def services_by_name(tx: Tx, tenant: UUID, names: Collection[str]) -> dict[str, Principal]:
    """Read live services by name."""
    rows = await tx.all(
        _PRINCIPAL + "AND name = ANY ($2) AND kind = 'service' AND deleted_at IS NULL",
        tenant,
        list(names),
    )
    return {row["name"]: decoded(Principal, row, *_PRINCIPAL_JSON) for row in rows}


async def put_principals(tx: Tx, tenant: UUID, principals: Collection[Principal]) -> set[UUID]:
    """Make users and services, or change those that are there; answers which are new or changed.

    `version` is counted here; `kind` and `created_at` never change, whatever the values say.

    Raises:
        asyncpg.UniqueViolationError: `one_live_user_per_login` or `one_live_service_per_name`.
        asyncpg.ForeignKeyViolationError: a manager or an owner does not exist in this tenant.
    """
    rows = await tx.all(
        """
        INSERT INTO principal AS p (tenant_id, id, kind, name, login, email, name_parts, status, manager_id, owner_id,
                                    permissions, metadata, preferences, created_at, updated_at, deleted_at)
        SELECT $1, id, kind, name, login, email, name_parts, status, manager_id, owner_id,
               permissions, metadata, preferences, created_at, updated_at, deleted_at
          FROM jsonb_to_recordset($2) AS given (
                   id uuid, kind text, name text, login text, email text, name_parts jsonb, status text,
                   manager_id uuid, owner_id uuid, permissions text[], metadata jsonb, preferences jsonb,
                   created_at timestamptz, updated_at timestamptz, deleted_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET name = excluded.name, login = excluded.login, email = excluded.email,
               name_parts = excluded.name_parts, status = excluded.status, manager_id = excluded.manager_id,
               owner_id = excluded.owner_id, permissions = excluded.permissions, metadata = excluded.metadata,
               preferences = excluded.preferences, deleted_at = excluded.deleted_at, updated_at = excluded.updated_at,
               version = p.version + 1
         WHERE (p.name, p.login, p.email, p.name_parts, p.status, p.manager_id, p.owner_id, p.permissions,
                p.metadata, p.preferences, p.deleted_at)
               IS DISTINCT FROM
               (excluded.name, excluded.login, excluded.email, excluded.name_parts, excluded.status,
                excluded.manager_id, excluded.owner_id, excluded.permissions, excluded.metadata, excluded.preferences,
                excluded.deleted_at)
        RETURNING id
        """,
        tenant,
        encoded(principals),
    )
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}


async def put_passwords(tx: Tx, tenant: UUID, passwords: Collection[Password], at: datetime) -> None:
    """Give users these passwords. Whoever is not a user of this tenant is left alone."""
    await tx.run(
        """
        UPDATE principal p
           SET password_hash = given.password_hash, password_stamp = given.password_stamp, updated_at = $3
          FROM jsonb_to_recordset($2) AS given (id uuid, password_hash text, password_stamp uuid)
         WHERE p.tenant_id = $1 AND p.id = given.id AND p.kind = 'user'
        """,
        tenant,
        encoded(passwords),
        at,
    )
    await directory_changed(tx, tenant)


async def password_hashes(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the password hashes of these users; who has no password is absent."""
    rows = await tx.all(
        "SELECT id, password_hash FROM principal WHERE tenant_id = $1 AND id = ANY ($2) AND password_hash IS NOT NULL",
        tenant,
        list(ids),
    )
    return {row["id"]: row["password_hash"] for row in rows}


async def permissions_of(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, frozenset[str]]:
    """Read what these may do: their roles' permissions and, of a service, its own. Unknown ids are absent."""
    rows = await tx.all(
        """
        SELECT p.id, p.permissions || ARRAY(
                   SELECT unnest(r.permissions)
                     FROM role_member m
                     JOIN role r ON r.tenant_id = m.tenant_id AND r.id = m.role_id AND r.deleted_at IS NULL
                    WHERE m.tenant_id = p.tenant_id AND m.principal_id = p.id) AS permissions
          FROM principal p
         WHERE p.tenant_id = $1 AND p.id = ANY ($2)
        """,
        tenant,
        list(ids),
    )
    return {row["id"]: frozenset(row["permissions"]) for row in rows}


async def roles_of(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Read which roles these hold; everybody asked for is in the answer."""
    rows = await tx.all(
        "SELECT principal_id, role_id FROM role_member WHERE tenant_id = $1 AND principal_id = ANY ($2)",
        tenant,
        list(ids),
    )
    return _grouped(ids, [(row["principal_id"], row["role_id"]) for row in rows])


async def groups_of(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Read which groups these are in; everybody asked for is in the answer."""
    rows = await tx.all(
        "SELECT principal_id, group_id FROM group_member WHERE tenant_id = $1 AND principal_id = ANY ($2)",
        tenant,
        list(ids),
    )
    return _grouped(ids, [(row["principal_id"], row["group_id"]) for row in rows])


async def set_roles(tx: Tx, tenant: UUID, roles: Mapping[UUID, Collection[UUID]]) -> set[UUID]:
    """Let each of these principals hold exactly these roles; answers whose changed.

    Raises:
        asyncpg.ForeignKeyViolationError: a principal or a role does not exist in this tenant.
    """
    members, held = _pairs(roles)
    gone = await tx.all(
        """
        DELETE FROM role_member
         WHERE tenant_id = $1 AND principal_id = ANY ($2)
           AND (principal_id, role_id) NOT IN (SELECT * FROM unnest($3::uuid[], $4::uuid[]))
        RETURNING principal_id
        """,
        tenant,
        list(roles),
        members,
        held,
    )
    added = await tx.all(
        """
        INSERT INTO role_member (tenant_id, principal_id, role_id)
        SELECT $1, given.principal_id, given.role_id
          FROM unnest($2::uuid[], $3::uuid[]) AS given (principal_id, role_id)
         ORDER BY 2, 3
            ON CONFLICT DO NOTHING
        RETURNING principal_id
        """,
        tenant,
        members,
        held,
    )
    return await _whose_changed(tx, tenant, [row["principal_id"] for row in [*gone, *added]])


async def set_groups(tx: Tx, tenant: UUID, groups: Mapping[UUID, Collection[UUID]]) -> set[UUID]:
    """Let each of these principals be in exactly these groups; answers whose changed.

    Raises:
        asyncpg.ForeignKeyViolationError: a principal or a group does not exist in this tenant.
    """
    members, entered = _pairs(groups)
    gone = await tx.all(
        """
        DELETE FROM group_member
         WHERE tenant_id = $1 AND principal_id = ANY ($2)
           AND (principal_id, group_id) NOT IN (SELECT * FROM unnest($3::uuid[], $4::uuid[]))
        RETURNING principal_id
        """,
        tenant,
        list(groups),
        members,
        entered,
    )
    added = await tx.all(
        """
        INSERT INTO group_member (tenant_id, principal_id, group_id)
        SELECT $1, given.principal_id, given.group_id
          FROM unnest($2::uuid[], $3::uuid[]) AS given (principal_id, group_id)
         ORDER BY 2, 3
            ON CONFLICT DO NOTHING
        RETURNING principal_id
        """,
        tenant,
        members,
        entered,
    )
    return await _whose_changed(tx, tenant, [row["principal_id"] for row in [*gone, *added]])


async def delegations(tx: Tx, tenant: UUID) -> list[Delegation]:
    """Read all delegations, past ones too, by when they start."""
    rows = await tx.all(
        """
        SELECT id, from_id, to_id, starts_at, ends_at, created_at
          FROM delegation
         WHERE tenant_id = $1
         ORDER BY starts_at, id
        """,
        tenant,
    )
    return [decoded(Delegation, row) for row in rows]


async def put_delegations(tx: Tx, tenant: UUID, delegations: Collection[Delegation]) -> set[UUID]:
    """Make delegations, or change those that are there; answers which are new or changed.

    Raises:
        asyncpg.ForeignKeyViolationError: a user does not exist in this tenant.
        asyncpg.CheckViolationError: `nobody_delegates_to_themselves`, `a_delegation_starts_before_it_ends`.
    """
    rows = await tx.all(
        """
        INSERT INTO delegation AS d (tenant_id, id, from_id, to_id, starts_at, ends_at, created_at)
        SELECT $1, id, from_id, to_id, starts_at, ends_at, created_at
          FROM jsonb_to_recordset($2) AS given (id uuid, from_id uuid, to_id uuid, starts_at timestamptz,
                                                ends_at timestamptz, created_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET from_id = excluded.from_id, to_id = excluded.to_id, starts_at = excluded.starts_at,
               ends_at = excluded.ends_at
         WHERE (d.from_id, d.to_id, d.starts_at, d.ends_at)
               IS DISTINCT FROM (excluded.from_id, excluded.to_id, excluded.starts_at, excluded.ends_at)
        RETURNING id
        """,
        tenant,
        encoded(delegations),
    )
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}


async def remove_delegations(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> set[UUID]:
    """Remove delegations; answers which were there."""
    rows = await tx.all("DELETE FROM delegation WHERE tenant_id = $1 AND id = ANY ($2) RETURNING id", tenant, list(ids))
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}


_PRINCIPAL_JSON = ("name_parts", "metadata", "preferences")
_PRINCIPAL = """
SELECT id, kind, name, login, email, name_parts, status, manager_id, owner_id, permissions, metadata, preferences,
       version, created_at, updated_at, deleted_at
  FROM principal
 WHERE tenant_id = $1
"""


async def _whose_changed(tx: Tx, tenant: UUID, ids: list[UUID]) -> set[UUID]:
    if ids:
        await directory_changed(tx, tenant)
    return set(ids)


def _pairs(sets: Mapping[UUID, Collection[UUID]]) -> tuple[list[UUID], list[UUID]]:
    pairs = [(member, entered) for member, all_entered in sets.items() for entered in all_entered]
    return [member for member, _ in pairs], [entered for _, entered in pairs]


def _grouped(ids: Collection[UUID], pairs: list[tuple[UUID, UUID]]) -> dict[UUID, frozenset[UUID]]:
    found: dict[UUID, set[UUID]] = {id: set() for id in ids}
    for member, entered in pairs:
        found[member].add(entered)
    return {id: frozenset(entered) for id, entered in found.items()}
