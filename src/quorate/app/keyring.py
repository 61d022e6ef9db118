"""Keys of users and services: several may be good at once, so that one can be replaced without a gap."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import asyncpg
from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.directory import Change, Desk
from quorate.app.keys import mint, secret_hash
from quorate.app.operations.own import attempt
from quorate.app.operations.rules import demand_approved
from quorate.app.people import user_there
from quorate.app.services import ServiceFields, make_service, service_there
from quorate.domain import refusals as no
from quorate.domain.permissions import DIRECTORY_WRITE, KEY_WRITE
from quorate.domain.refusals import Refusal
from quorate.store import credentials, signin
from quorate.store.credentials import StoredCredential
from quorate.store.people import Principal

MOST: Final = 100  # live keys a holder

Kind = Literal["user", "service"]


class Key(Struct, frozen=True):
    """A key without its secret."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class Made(Struct, frozen=True):
    """A new key and its secret, which nobody will be shown again."""

    key: Key
    secret: str

    def __repr__(self) -> str:
        return f"Made(key={self.key})"  # The secret stays out of logs.


@dataclass(eq=False)
class TooManyKeys(Refusal):
    """The holder has as many live keys as it may have."""

    code = "too_many_keys"
    most: int


class Keyring:
    """The use cases: for oneself, for a service one owns, and with `key:write` for others."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, actor: Actor, kind: Kind, holder: UUID, limit: int, offset: int) -> tuple[list[Key], int]:
        """Read a page of keys that are not revoked, newest first, and how many there are in all.

        Raises: NotPermitted: neither their own nor `key:write`, whether or not the holder exists;
            NoSuchUser, NoSuchTarget.
        """
        async with self._desk.look(actor) as look:
            await _holder(look, kind, holder)
            found, total = await credentials.keys_of(look.tx, look.tenant, holder, limit, offset)
            return [_key(one) for one in found], total

    async def create(
        self, actor: Actor, kind: Kind, holder: UUID, name: str, expires_at: datetime | None = None
    ) -> Made:
        """Make a key.

        Raises: NotPermitted, NoSuchUser, NoSuchTarget; BadReference: it would have expired already;
            GivesMore: the holder may do more than the caller; TooManyKeys.
        """
        async with self._desk.change(actor, attempt("POST", f"{kind}s", holder, "keys")) as change:
            await _holder(change, kind, holder)
            await change.demand_holding_all_of(holder)
            if expires_at is not None and expires_at <= change.at:
                raise no.BadReference("expiresAt", "must be in the future")
            _, there = await credentials.keys_of(change.tx, change.tenant, holder, 0, 0)
            if there >= MOST:
                raise TooManyKeys(MOST)
            return await _make(change, kind, holder, name, expires_at)

    async def create_with_service(self, actor: Actor, name: str, permissions: tuple[str, ...]) -> Made:
        """Make a service that belongs to the person who makes it, and a key of it, both of this name, or neither.

        Raises: NotPermitted, GivesMore, DuplicateName; ApprovalRequired: one of the two needs it.
        """
        try:
            async with self._desk.change(actor, attempt("POST", "services"), DIRECTORY_WRITE) as change:
                change.demand(KEY_WRITE)
                owner = change.acting.owner if change.acting.is_service else change.acting.id
                fields = ServiceFields(name=name, owner_id=owner, permissions=permissions)
                service = await make_service(change, fields)
                await demand_approved(change.tx, actor, attempt("POST", "services", service.id, "keys"))
                return await _make(change, "service", service.id, name, None)
        except asyncpg.UniqueViolationError:
            raise no.DuplicateName(name) from None

    async def holder(self, actor: Actor, key: UUID) -> UUID | None:
        """Name the account whose credential this is, or was."""
        async with self._desk.db.tx({actor.tenant}) as tx:
            found = await signin.credential(tx, actor.tenant, key)
        return found.principal if found else None

    async def revoke(self, actor: Actor, kind: Kind, holder: UUID, id: UUID) -> None:
        """End a key for good.

        Raises: NotPermitted, NoSuchUser; NoSuchTarget: the holder has no such key, or no longer; GivesMore: the
            holder may do more than the caller, who does not own it.
        """
        async with self._desk.change(actor, attempt("DELETE", f"{kind}s", holder, "keys", id)) as change:
            of = await _holder(change, kind, holder)
            if of.owner_id != actor.principal:
                await change.demand_holding_all_of(holder)
            found = await credentials.key_of(change.tx, change.tenant, holder, id)
            if found is None:
                raise no.NoSuchTarget("key", str(id))
            await credentials.revoke_credentials(change.tx, change.tenant, [id], change.at)
            body = {"name": found.name, f"{kind}Id": str(holder)}
            await change.happened("key", id, "key.revoked", body, change.at)


async def _make(change: Change, kind: Kind, holder: UUID, name: str, expires_at: datetime | None) -> Made:
    id = change.new_id()
    secret = mint(id)
    new = StoredCredential(
        id=id,
        principal_id=holder,
        kind="key",
        name=name,
        secret_hash=secret_hash(secret),
        expires_at=expires_at,
        created_at=change.at,
    )
    await credentials.put_credentials(change.tx, change.tenant, [new])
    until = expires_at.isoformat() if expires_at else None
    body = {"name": name, f"{kind}Id": str(holder), "expiresAt": until}
    await change.happened("key", id, "key.created", body, change.at)
    return Made(_key(new), secret)


async def _holder(look: Change, kind: Kind, id: UUID) -> Principal:
    """Find whose keys these are, if they are the caller's affair.

    Raises: NotPermitted, before it is known whether there is such a holder; NoSuchUser, NoSuchTarget.
    """
    me = look.acting
    mine = id == me.id and me.is_service is (kind == "service")
    if kind == "service" and not mine and not me.may(KEY_WRITE):
        found = await _owned(look, id)
        if found is None:
            raise no.NotPermitted(KEY_WRITE)
        return found
    if not mine:
        look.demand(KEY_WRITE)
    if kind == "service":
        return await service_there(look, id)
    user = await user_there(look, id)
    if user is None:
        raise no.NoSuchUser(id)
    return user


async def _owned(look: Change, id: UUID) -> Principal | None:
    """Read a service if it is the caller's own."""
    try:
        found = await service_there(look, id)
    except no.NoSuchTarget:
        return None
    return found if found.owner_id == look.acting.id else None


def _key(one: StoredCredential) -> Key:
    return Key(one.id, one.name, one.created_at, one.expires_at, one.last_used_at)
