"""What signing in reads and writes: whose a secret is, what a principal may, and sessions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import Struct

from quorate.store.database import Database
from quorate.store.tx import Tx


class Credential(Struct, frozen=True):
    """A stored key or client secret, found by the SHA-256 of the secret."""

    tenant: UUID
    id: UUID
    principal: UUID
    kind: str
    client_id: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = None


class Account(Struct, frozen=True):
    """A principal as signing in sees it; `permissions` are those of its roles and, of a service, its own.

    `active` says whether it may act: it is active, not deleted, and so is a service's owner. `until`: when the first
    of the grants behind its roles ends, and it must be read again.
    """

    tenant: UUID
    id: UUID
    is_service: bool
    status: str
    active: bool
    login: str | None
    name: str
    email: str | None
    name_parts: Mapping[str, Any]
    password_hash: str | None
    password_stamp: UUID | None
    roles: tuple[str, ...]
    permissions: frozenset[str]
    until: datetime | None = None

    def __repr__(self) -> str:
        return f"Account(tenant={self.tenant}, id={self.id})"  # The hash stays out of logs.


class Session(Struct, frozen=True):
    """What a password or a program's credential opened; a refresh token, or the session's own token, keeps it open.

    `password_stamp`, `credential` or `provider_stamp` says what opened it. `awaits_factor`: it opens nothing until a
    second factor has been shown. `is_trusted`: the provider that opened it, if one did, is still what it was.
    """

    id: UUID
    principal: UUID
    secret_hash: bytes
    previous_hash: bytes | None
    password_stamp: UUID | None
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    credential: UUID | None = None
    awaits_factor: bool = False
    provider_stamp: UUID | None = None
    is_trusted: bool = True

    def __repr__(self) -> str:
        return f"Session(id={self.id})"


async def credentials_by_hash(db: Database, secret_hash: bytes) -> list[Credential]:
    """Find whose secret this is: one key at most, but perhaps several clients. Revoked and expired ones too."""
    return (await credentials_by_hashes(db, [secret_hash]))[0]


async def credentials_by_hashes(db: Database, hashes: Sequence[bytes]) -> list[list[Credential]]:
    """Find whose secrets these are, each as `credentials_by_hash` does, in the same order."""
    rows = await db.across(
        """
        SELECT given.place, c.tenant_id, c.id, c.principal_id, c.kind, c.client_id, c.expires_at, c.revoked_at,
               c.last_used_at
          FROM unnest($1::bytea[]) WITH ORDINALITY AS given (hash, place)
         CROSS JOIN LATERAL credential_by_hash(given.hash) c
        """,
        list(hashes),
    )
    found: list[list[Credential]] = [[] for _ in hashes]
    for place, *values in (row.values() for row in rows):
        found[place - 1].append(Credential(*values))
    return found


async def only_tenant(db: Database) -> UUID | None:
    """Find the tenant when there is just one."""
    rows = await db.across("SELECT id FROM tenant_by(NULL)")
    return rows[0]["id"] if len(rows) == 1 else None


async def tenants_of_login(db: Database, login: str, most: int) -> list[UUID]:
    """Find the tenants in which somebody signs in with this, whatever its case."""
    rows = await db.across("SELECT tenant_id FROM tenants_of_login($1, $2)", login, most)
    return [row["tenant_id"] for row in rows]


async def slug(tx: Tx, tenant: UUID) -> str | None:
    """Read a tenant's short name; None when there is no such tenant."""
    row = await tx.one("SELECT slug FROM tenant WHERE id = $1", tenant)
    return None if row is None else str(row["slug"])


async def account(tx: Tx, tenant: UUID, key: UUID, at: datetime) -> Account | None:
    """Read an account by id as it is at a moment, deleted or not; None when there never was one in this tenant."""
    row = await tx.one(_ACCOUNT + "WHERE p.tenant_id = $1 AND p.id = $2", tenant, key, at)
    return None if row is None else _account(row)


async def accounts(tx: Tx, keys: Collection[tuple[UUID, UUID]], at: datetime) -> dict[tuple[UUID, UUID], Account]:
    """Read accounts by (tenant, id), each as `account` does. Who never was is absent."""
    rows = await tx.all(
        _ACCOUNT
        + """
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, id)) k
            ON p.tenant_id = k.tenant_id AND p.id = k.id
        """,
        *_within(tx, keys),
        at,
    )
    return {(row["tenant_id"], row["id"]): _account(row) for row in rows}


async def account_by_login(tx: Tx, tenant: UUID, login: str, at: datetime) -> Account | None:
    """Read a live user by login, whatever its case, as they are at a moment."""
    row = await tx.one(
        _ACCOUNT + "WHERE p.tenant_id = $1 AND lower(p.login) = lower($2) AND p.deleted_at IS NULL", tenant, login, at
    )
    return None if row is None else _account(row)


async def accounts_by_email(tx: Tx, tenant: UUID, email: str, at: datetime) -> list[Account]:
    """Read the live users, at most two, who have this for a login or an e-mail address, whatever its case."""
    rows = await tx.all(
        _ACCOUNT
        + """
        WHERE p.tenant_id = $1 AND p.kind = 'user' AND p.deleted_at IS NULL
          AND (lower(p.login) = lower($2) OR lower(p.email) = lower($2))
        LIMIT 2
        """,
        tenant,
        email,
        at,
    )
    return [_account(row) for row in rows]


async def hold(tx: Tx, tenant: UUID, key: UUID) -> None:
    """Hold an account until the transaction ends, so that what is told of its sign-ins has an order."""
    await tx.one("SELECT 1 FROM principal WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE", tenant, key)


async def user_by_login(tx: Tx, tenant: UUID, login: str) -> UUID | None:
    """Find the id of a live user by login, whatever its case."""
    row = await tx.one(
        "SELECT id FROM principal WHERE tenant_id = $1 AND lower(login) = lower($2) AND deleted_at IS NULL",
        tenant,
        login,
    )
    return None if row is None else row["id"]


async def credential(tx: Tx, tenant: UUID, key: UUID) -> Credential | None:
    """Read a credential by id."""
    row = await tx.one(
        """
        SELECT tenant_id, id, principal_id, kind, client_id, expires_at, revoked_at
          FROM credential
         WHERE tenant_id = $1 AND id = $2
        """,
        tenant,
        key,
    )
    return None if row is None else Credential(*row.values())


NOTED_EVERY = timedelta(minutes=1)


def is_long_unused(key: Credential, at: datetime) -> bool:
    """Say whether it is to be noted again that this was used: not all day for a busy key."""
    return key.last_used_at is None or key.last_used_at < at - NOTED_EVERY


async def used(tx: Tx, keys: Collection[tuple[UUID, UUID]], at: datetime) -> None:
    """Note of credentials by (tenant, id) that they were used, where that is not noted yet.

    One that somebody else holds is passed over.
    """
    await tx.run(
        """
        UPDATE credential
           SET last_used_at = $3
          FROM (SELECT c.tenant_id, c.id
                  FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, id)
                  JOIN credential c ON c.tenant_id = k.tenant_id AND c.id = k.id
                 WHERE c.last_used_at IS NULL OR c.last_used_at < $4
                   FOR NO KEY UPDATE OF c SKIP LOCKED) stale
         WHERE credential.tenant_id = stale.tenant_id AND credential.id = stale.id
        """,
        *_within(tx, keys),
        at,
        at - NOTED_EVERY,
    )


async def rehash(tx: Tx, tenant: UUID, key: UUID, before: str, after: str) -> None:
    """Replace a password's hash by one with newer parameters, unless the password was changed meanwhile.

    The password stays the same, so its stamp does too.
    """
    await tx.run(
        "UPDATE principal SET password_hash = $4 WHERE tenant_id = $1 AND id = $2 AND password_hash = $3",
        tenant,
        key,
        before,
        after,
    )


async def open_session(tx: Tx, tenant: UUID, session: Session) -> None:
    """Keep a new session, and forget those of the same principal that are long over."""
    await tx.run(
        "DELETE FROM session WHERE tenant_id = $1 AND principal_id = $2 AND expires_at < $3",
        tenant,
        session.principal,
        session.created_at,
    )
    await tx.run(
        """
        INSERT INTO session (tenant_id, id, principal_id, secret_hash, password_stamp, created_at, expires_at,
                             credential_id, awaits_factor, provider_stamp)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        tenant,
        session.id,
        session.principal,
        session.secret_hash,
        session.password_stamp,
        session.created_at,
        session.expires_at,
        session.credential,
        session.awaits_factor,
        session.provider_stamp,
    )


async def session(tx: Tx, tenant: UUID, key: UUID) -> Session | None:
    """Read a session."""
    row = await tx.one(_SESSION, tenant, key)
    return None if row is None else Session(*row.values())


async def lock_session(tx: Tx, tenant: UUID, key: UUID) -> Session | None:
    """Read a session and hold it until the transaction ends."""
    row = await tx.one(_SESSION + "FOR UPDATE", tenant, key)
    return None if row is None else Session(*row.values())


async def renew_session(tx: Tx, tenant: UUID, key: UUID, secret_hash: bytes, expires_at: datetime) -> None:
    """Give a session its next secret."""
    await tx.run(
        """
        UPDATE session SET previous_hash = secret_hash, secret_hash = $3, expires_at = $4
         WHERE tenant_id = $1 AND id = $2
        """,
        tenant,
        key,
        secret_hash,
        expires_at,
    )


async def prolong_session(tx: Tx, tenant: UUID, key: UUID, expires_at: datetime) -> None:
    """Let a session that is not over last longer, under the same secret."""
    await tx.run(
        "UPDATE session SET expires_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        key,
        expires_at,
    )


async def factor_shown(tx: Tx, tenant: UUID, key: UUID) -> None:
    """Let a session that waited for a second factor count."""
    await tx.run("UPDATE session SET awaits_factor = false WHERE tenant_id = $1 AND id = $2", tenant, key)


async def end_session(tx: Tx, tenant: UUID, key: UUID, at: datetime) -> None:
    await tx.run(
        "UPDATE session SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL", tenant, key, at
    )


_SESSION = """
SELECT id, principal_id, secret_hash, previous_hash, password_stamp, created_at, expires_at, ended_at, credential_id,
       awaits_factor, provider_stamp,
       provider_stamp IS NULL OR EXISTS (
           SELECT FROM identity_provider p
            WHERE p.tenant_id = session.tenant_id AND p.stamp = session.provider_stamp) AS is_trusted
  FROM session
 WHERE tenant_id = $1 AND id = $2
"""


def _within(tx: Tx, keys: Collection[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    """Give the keys that are of the transaction's tenants, tenants and ids apart."""
    ours = [key for key in keys if key[0] in tx.tenants]
    return [tenant for tenant, _ in ours], [id for _, id in ours]


_ACCOUNT = """
SELECT p.tenant_id, p.id, p.kind = 'service' AS is_service, p.status,
       p.status = 'active' AND p.deleted_at IS NULL
           AND (p.owner_id IS NULL OR EXISTS (
               SELECT FROM principal o
                WHERE o.tenant_id = p.tenant_id AND o.id = p.owner_id
                  AND o.status = 'active' AND o.deleted_at IS NULL)) AS active,
       p.login, p.name, p.email, p.name_parts, p.password_hash, p.password_stamp,
       ARRAY(
           SELECT DISTINCT held.name
             FROM role_holder m
             JOIN role held ON held.tenant_id = m.tenant_id AND held.id = m.role_id AND held.deleted_at IS NULL
            WHERE m.tenant_id = p.tenant_id AND m.principal_id = p.id AND m.starts_at <= $3 AND m.ends_at > $3
            ORDER BY held.name) AS roles,
       p.permissions || ARRAY(
           SELECT unnest(held.permissions)
             FROM role_holder m
             JOIN role held ON held.tenant_id = m.tenant_id AND held.id = m.role_id AND held.deleted_at IS NULL
            WHERE m.tenant_id = p.tenant_id AND m.principal_id = p.id AND m.starts_at <= $3 AND m.ends_at > $3
           ) AS permissions,
       (SELECT min(g.ends_at) FROM access_grant g
         WHERE g.tenant_id = p.tenant_id AND g.principal_id = p.id AND g.target_type = 'role'
           AND g.revoked_at IS NULL AND g.ends_at > $3) AS until
  FROM principal p
"""


def _account(row: Record) -> Account:
    values = dict(row)
    return Account(
        tenant=values.pop("tenant_id"),
        name_parts=msgspec.json.decode(values.pop("name_parts") or b"{}"),
        roles=tuple(values.pop("roles")),
        permissions=frozenset(values.pop("permissions")),
        **values,
    )
