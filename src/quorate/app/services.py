"""Services: programs with permissions of their own, each perhaps somebody's."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from quorate.app.actor import Actor
from quorate.app.directory import Change, Desk, said
from quorate.app.operations.own import attempt
from quorate.app.people import end_account, settle_status, user_there
from quorate.domain import refusals as no
from quorate.domain.permissions import DIRECTORY_READ, DIRECTORY_WRITE
from quorate.store import accounts, members, people
from quorate.store.accounts import Search
from quorate.store.people import Principal


class ServiceFields(Struct, frozen=True, kw_only=True):
    """What a service shall be; what is UNSET stays as it is. `status` is active, suspended or inactive."""

    name: str | UnsetType = UNSET
    owner_id: UUID | UnsetType | None = UNSET
    permissions: tuple[str, ...] | UnsetType = UNSET
    status: Any = UNSET


class Services:
    """The use cases. Reading needs `directory:read`, all else `directory:write`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, actor: Actor, search: Search, limit: int, offset: int) -> tuple[list[Principal], int]:
        """Read a page of services, newest first, and how many there are in all. Raises: NotPermitted."""
        async with self._desk.look(actor, DIRECTORY_READ) as look:
            return await accounts.page(look.tx, look.tenant, "service", search, limit, offset)

    async def read(self, actor: Actor, id: UUID) -> Principal:
        """Raises: NotPermitted, NoSuchTarget."""
        async with self._desk.look(actor, DIRECTORY_READ) as look:
            return await service_there(look, id)

    async def create(self, actor: Actor, fields: ServiceFields) -> Principal:
        """Raises: NotPermitted, GivesMore, BadReference, DuplicateName."""
        try:
            async with self._desk.change(actor, attempt("POST", "services"), DIRECTORY_WRITE) as change:
                return await make_service(change, fields)
        except asyncpg.UniqueViolationError:
            raise no.DuplicateName(str(fields.name)) from None

    async def update(
        self, actor: Actor, id: UUID, fields: ServiceFields, admits: Callable[[Principal], bool] = lambda _: True
    ) -> Principal:
        """Change what is said, all of it or nothing. Saying what is so already changes nothing.

        Raises: NotPermitted, NoSuchTarget, PreconditionFailed, BadReference, DuplicateName;
            GivesMore: permissions join or leave it that the caller lacks, or whose it is or whether it may act
            changes, and it may do more than the caller.
        """
        try:
            async with self._desk.change(actor, attempt("PUT", "services", id), DIRECTORY_WRITE) as change:
                now = await accounts.lock(change.tx, change.tenant, "service", id)
                if now is None:
                    raise no.NoSuchTarget("service", str(id))
                if not admits(now):
                    raise no.PreconditionFailed
                after = replace(now, **said(fields))
                if after == now:
                    return now
                change.demand_holding(frozenset(after.permissions) ^ frozenset(now.permissions))
                if now.owner_id != after.owner_id or now.status != after.status:
                    change.demand_holding(after.permissions)
                    await change.demand_holding_all_of(id)
                await _guard(change, now, after)
                at = max(change.at, now.updated_at)
                await people.put_principals(change.tx, change.tenant, [replace(after, updated_at=at)])
                await settle_status(change, now, after)
                before = _shown(now)
                body = {key: value for key, value in _shown(after).items() if before[key] != value}
                await change.happened("service", id, "service.updated", body, at)
                return await service_there(change, id)
        except asyncpg.UniqueViolationError:
            raise no.DuplicateName(str(fields.name)) from None

    async def delete(self, actor: Actor, id: UUID) -> None:
        """Delete a service: its keys and grants are revoked, and its name may be used again.

        Raises: NotPermitted, NoSuchTarget; GivesMore: it may do more than the caller.
        """
        async with self._desk.change(actor, attempt("DELETE", "services", id), DIRECTORY_WRITE) as change:
            now = await accounts.lock(change.tx, change.tenant, "service", id)
            if now is None:
                raise no.NoSuchTarget("service", str(id))
            await change.demand_holding_all_of(id)
            at = max(change.at, now.updated_at)
            await people.put_principals(change.tx, change.tenant, [replace(now, deleted_at=at, updated_at=at)])
            await members.remove_everywhere(change.tx, change.tenant, id)
            await end_account(change, id, "the service was deleted")
            await change.happened("service", id, "service.deleted", {"name": now.name}, at)


async def make_service(change: Change, fields: ServiceFields) -> Principal:
    """Make a service within a change. Raises: GivesMore, BadReference."""
    id = change.new_id()
    blank = Principal(id=id, kind="service", name="", created_at=change.at, updated_at=change.at)
    new = replace(blank, **said(fields))
    change.demand_holding(new.permissions)
    await _guard(change, blank, new)
    await people.put_principals(change.tx, change.tenant, [new])
    await change.happened("service", id, "service.created", _shown(new), change.at)
    return await service_there(change, id)


async def service_there(look: Change, id: UUID) -> Principal:
    """Read a live service, whatever its status. Raises: NoSuchTarget."""
    found = (await people.principals_by_id(look.tx, look.tenant, [id])).get(id)
    if found is None or found.kind != "service" or found.deleted_at is not None:
        raise no.NoSuchTarget("service", str(id))
    return found


async def _guard(change: Change, before: Principal, after: Principal) -> None:
    """Refuse an owner who cannot be one. Raises: BadReference."""
    owner = after.owner_id
    if owner is None or owner == before.owner_id:
        return
    found = await user_there(change, owner)
    if found is None or found.status != "active":
        raise no.BadReference("ownerId", "there is no such active user in this tenant")


def _shown(one: Principal) -> dict[str, Any]:
    """What history keeps of a service."""
    return {
        "name": one.name,
        "ownerId": str(one.owner_id) if one.owner_id else None,
        "permissions": list(one.permissions),
        "status": one.status,
    }
