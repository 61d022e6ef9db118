"""Users: read, made, changed, suspended and reactivated, and deleted. Programs are in `services`."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from quorate.app.actor import Actor
from quorate.app.directory import Change, Desk, said
from quorate.app.operations.own import attempt
from quorate.app.verify import Passwords
from quorate.domain import refusals as no
from quorate.domain.permissions import DIRECTORY_READ, DIRECTORY_WRITE
from quorate.store import accounts, credentials, delegations, members, people
from quorate.store.accounts import Search, Standing
from quorate.store.people import Password, Principal

__all__ = ["Account", "Search", "Standing", "UserFields", "Users", "settle_status"]

NAME_PARTS: Final = ("firstName", "fatherName", "grandfatherName", "familyName")
_SETTLES_WHO_ACTS: Final = frozenset({"login", "email", "password", "status"})


class Account(Struct, frozen=True):
    """An account, and what it is just now."""

    principal: Principal
    standing: Standing


class UserFields(Struct, frozen=True, kw_only=True):
    """What a user shall be; what is UNSET stays as it is. Of `name_parts` only those given change.

    `name` None: made from the parts. `status` is active, suspended or inactive.
    """

    login: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET
    name_parts: Mapping[str, str | None] | UnsetType = UNSET
    manager_id: UUID | UnsetType | None = UNSET
    status: Any = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    preferences: dict[str, Any] | UnsetType = UNSET


class Users:
    """The use cases. Reading others needs `directory:read`, all changes `directory:write`."""

    def __init__(self, desk: Desk, passwords: Passwords) -> None:
        self._desk, self._passwords = desk, passwords

    async def page(self, actor: Actor, search: Search, limit: int, offset: int) -> tuple[list[Account], int]:
        """Read a page of users, newest first, and how many there are in all. Raises: NotPermitted."""
        async with self._desk.look(actor, DIRECTORY_READ) as look:
            rows, total = await accounts.page(look.tx, look.tenant, "user", search, limit, offset)
            now = await accounts.standing(look.tx, look.tenant, [row.id for row in rows], look.at)
            return [Account(row, now[row.id]) for row in rows], total

    async def read(self, actor: Actor, id: UUID) -> Account:
        """Raises: NotPermitted: neither oneself nor `directory:read`; NoSuchUser."""
        async with self._desk.look(actor, None if id == actor.principal else DIRECTORY_READ) as look:
            return await _account(look, id)

    async def create(self, actor: Actor, fields: UserFields, password: str | None = None) -> Account:
        """Make a user, who is in nothing and may do nothing yet.

        Raises: TooOften: too many passwords are being hashed; NotPermitted, LoginTaken, BadReference.
        """
        hashed = None if password is None else await self._passwords.hash(password)
        id = self._desk.new_id()
        async with self._desk.change(actor, attempt("POST", "users"), DIRECTORY_WRITE) as change:
            blank = Principal(id=id, kind="user", name="", created_at=change.at, updated_at=change.at)
            new = _after(blank, fields)
            await _guard(change, blank, new)
            await _put(change, new)
            if hashed is not None:
                given = Password(id, hashed, change.new_id())
                await people.put_passwords(change.tx, change.tenant, [given], change.at)
            body = {"userId": str(id), "status": new.status, "managerId": _text(new.manager_id)}
            await change.happened("user", id, "user.created", body, change.at)
            return await _account(change, id)

    async def update(
        self,
        actor: Actor,
        id: UUID,
        fields: UserFields,
        password: str | None = None,
        admits: Callable[[Account], bool] = lambda _: True,
    ) -> Account:
        """Change what is said, all of it or nothing. Saying what is so already changes nothing.

        `admits`: whether the caller means the user as it now is.

        Raises: TooOften; NotPermitted, NoSuchUser, PreconditionFailed, LoginTaken, BadReference, LastAdministrator;
            GivesMore: what they sign in with, or whether they may act, changes, and they may do more than the caller.
        """
        hashed = None if password is None else await self._passwords.hash(password)
        async with self._desk.change(actor, attempt("PUT", "users", id), DIRECTORY_WRITE) as change:
            now = await _locked(change, id)
            found = await _account(change, id)
            if not admits(found):
                raise no.PreconditionFailed
            after = _after(now, fields)
            changed = _differing(now, after) + (["password"] if hashed is not None else [])
            if not changed:
                return found
            if _SETTLES_WHO_ACTS & set(changed):
                await change.demand_holding_all_of(id)
            await _guard(change, now, after)
            await self._write(change, now, after, changed)
            if hashed is not None:
                given = Password(id, hashed, change.new_id())
                await people.put_passwords(change.tx, change.tenant, [given], max(change.at, now.updated_at))
                await accounts.end_sessions(change.tx, change.tenant, id, change.at)
            return await _account(change, id)

    async def suspend(self, actor: Actor, id: UUID) -> Account:
        """Let a user do nothing for now: sessions end, keys answer as if they were none, grants wait.

        Raises: NotPermitted, NoSuchUser, LastAdministrator; AccountState: it is not active; GivesMore: they may do
            more than the caller.
        """
        async with self._desk.change(actor, attempt("POST", "users", id, "suspend"), DIRECTORY_WRITE) as change:
            now = await _locked(change, id)
            await change.demand_holding_all_of(id)
            if now.status != "active":
                raise no.AccountState(id, now.status, "suspend")
            await self._write(change, now, replace(now, status="suspended"), ["status"])
            return await _account(change, id)

    async def reactivate(self, actor: Actor, id: UUID) -> Account:
        """Let a user act again, with the keys they had.

        Raises: NotPermitted, NoSuchUser; AccountState: it is active; GivesMore: they may do more than the caller.
        """
        async with self._desk.change(actor, attempt("POST", "users", id, "reactivate"), DIRECTORY_WRITE) as change:
            now = await _locked(change, id)
            if now.status == "active":
                raise no.AccountState(id, now.status, "reactivate")
            await self._write(change, now, replace(now, status="active"), ["status"])
            return await _account(change, id)

    async def delete(self, actor: Actor, id: UUID) -> None:
        """Delete a user: out of everything, keys and grants revoked, sessions ended. Old requests keep the name.

        Raises: NotPermitted, NoSuchUser, LastAdministrator; GivesMore: they may do more than the caller.
        """
        async with self._desk.change(actor, attempt("DELETE", "users", id), DIRECTORY_WRITE) as change:
            now = await _locked(change, id)
            await change.demand_holding_all_of(id)
            at = max(change.at, now.updated_at)
            async with change.keeping_an_administrator():
                gone = replace(now, deleted_at=at, updated_at=at)
                await people.put_principals(change.tx, change.tenant, [gone])
            await members.remove_everywhere(change.tx, change.tenant, id)
            await delegations.remove_of(change.tx, change.tenant, id)
            await end_account(change, id, "the user was deleted")
            await change.happened("user", id, "user.deleted", {"userId": str(id)}, at)

    async def _write(self, change: Change, now: Principal, after: Principal, changed: list[str]) -> None:
        at = max(change.at, now.updated_at)
        async with change.keeping_an_administrator():
            await _put(change, replace(after, updated_at=at))
        await settle_status(change, now, after)
        body: dict[str, Any] = {"userId": str(now.id), "changed": changed}
        if "status" in changed:
            body["status"] = after.status
        if "managerId" in changed:
            body["managerId"] = _text(after.manager_id)
        what = "updated"
        if now.status != after.status:
            what = {"suspended": "suspended", "active": "reactivated"}.get(after.status, what)
        await change.happened("user", now.id, f"user.{what}", body, at)


async def settle_status(change: Change, before: Principal, after: Principal) -> None:
    """Do what a new status asks for: who may not act has no sessions; who is deactivated has no grants.

    Raises: GivesMore: an account comes back that may do more than the caller, by itself or by a service it owns.
    """
    if before.status == after.status:
        return
    if after.status == "active":
        await change.demand_holding_all_of(after.id)
        change.demand_holding(await accounts.permissions_of_owned(change.tx, change.tenant, after.id, change.at))
        return
    await accounts.end_sessions(change.tx, change.tenant, after.id, change.at)
    if after.status == "inactive":
        await change.revoke_everything(after.id, "the account was deactivated")


async def end_account(change: Change, id: UUID, reason: str) -> None:
    """End what a deleted account signs in with, and what it was granted."""
    kept = await credentials.credentials_of(change.tx, change.tenant, [id])
    await credentials.revoke_credentials(change.tx, change.tenant, [one.id for one in kept], change.at)
    await accounts.end_sessions(change.tx, change.tenant, id, change.at)
    await change.revoke_everything(id, reason)


async def user_there(change: Change, id: UUID) -> Principal | None:
    """Read a live user, whatever their status."""
    found = (await people.principals_by_id(change.tx, change.tenant, [id])).get(id)
    return found if found is not None and found.kind == "user" and found.deleted_at is None else None


async def _guard(change: Change, before: Principal, after: Principal) -> None:
    """Refuse a manager who cannot be one. Raises: BadReference."""
    manager = after.manager_id
    if manager is None or manager == before.manager_id:
        return
    if manager == after.id:
        raise no.BadReference("managerId", "nobody is their own manager")
    if await user_there(change, manager) is None:
        raise no.BadReference("managerId", "there is no such user in this tenant")


async def _put(change: Change, row: Principal) -> None:
    """Raises: LoginTaken. The transaction is lost then."""
    try:
        await people.put_principals(change.tx, change.tenant, [row])
    except asyncpg.UniqueViolationError:
        raise no.LoginTaken(str(row.login)) from None


async def _locked(change: Change, id: UUID) -> Principal:
    found = await accounts.lock(change.tx, change.tenant, "user", id)
    if found is None:
        raise no.NoSuchUser(id)
    return found


async def _account(look: Change, id: UUID) -> Account:
    found = await user_there(look, id)
    if found is None:
        raise no.NoSuchUser(id)
    return Account(found, (await accounts.standing(look.tx, look.tenant, [id], look.at))[id])


def _after(now: Principal, fields: UserFields) -> Principal:
    values = said(fields)
    if values.get("email") and "login" not in values and now.login and now.login == now.email:
        values["login"] = values["email"]  # Who signs in with their address goes on to.
    parts = dict(now.name_parts or {})
    before = _called(parts)
    parts = {part: word for part, word in {**parts, **(values.pop("name_parts", None) or {})}.items() if word}
    name = values.pop("name", UNSET)
    if name is UNSET and now.name != before and now.name:
        name = now.name  # Somebody chose it; it does not follow the parts.
    values["name"] = name or _called(parts) or values.get("email") or now.email or values.get("login") or now.name
    return replace(now, name_parts=parts or None, **values)


def _called(parts: Mapping[str, Any]) -> str:
    return " ".join(str(parts[part]) for part in NAME_PARTS if parts.get(part))


def _differing(now: Principal, after: Principal) -> list[str]:
    """Name, in the words of the API, what differs."""
    words = {
        "login": "login",
        "email": "email",
        "name": "displayName",
        "name_parts": "name",
        "manager_id": "managerId",
        "status": "status",
        "metadata": "metadata",
        "preferences": "preferences",
    }
    return [word for field, word in words.items() if (getattr(now, field) or None) != (getattr(after, field) or None)]


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
