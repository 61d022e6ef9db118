"""Roles, groups and resources: read, made, changed and deleted, and who is in them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

import asyncpg
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from quorate.app.actor import Actor
from quorate.app.directory import Change, Desk, said
from quorate.app.operations.own import Attempt, attempt
from quorate.domain import refusals as no
from quorate.domain.permissions import DIRECTORY_READ, DIRECTORY_WRITE, USUAL
from quorate.store import catalogue as store
from quorate.store import directory, members, people, workflows
from quorate.store.catalogue import Shelf
from quorate.store.directory import Group, Resource, Role
from quorate.store.members import Member, What
from quorate.store.tx import Tx

__all__ = [
    "Found",
    "Group",
    "GroupFields",
    "Groups",
    "Member",
    "Resource",
    "ResourceFields",
    "Resources",
    "Role",
    "RoleFields",
    "Roles",
]

Row = TypeVar("Row", Role, Group, Resource)


class Found(Struct, Generic[Row], frozen=True):
    """One of them; `members`: how many are in it just now, where that is counted."""

    row: Row
    members: int | None = None


class RoleFields(Struct, frozen=True, kw_only=True):
    """What a role shall be; what is UNSET stays as it is."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    permissions: tuple[str, ...] | UnsetType = UNSET
    workflow_id: UUID | UnsetType | None = UNSET
    owner_id: UUID | UnsetType | None = UNSET


class GroupFields(Struct, frozen=True, kw_only=True):
    """What a group shall be; what is UNSET stays as it is."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    external_id: str | UnsetType | None = UNSET
    workflow_id: UUID | UnsetType | None = UNSET
    owner_id: UUID | UnsetType | None = UNSET


class ResourceFields(Struct, frozen=True, kw_only=True):
    """What a resource shall be; what is UNSET stays as it is."""

    type: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    external_id: str | UnsetType | None = UNSET
    parent_id: UUID | UnsetType | None = UNSET
    workflow_id: UUID | UnsetType | None = UNSET
    owner_id: UUID | UnsetType | None = UNSET
    attributes: dict[str, Any] | UnsetType = UNSET


class _Catalogue(ABC, Generic[Row]):
    """What the three have in common. Reading needs `directory:read`, all else `directory:write`."""

    noun: ClassVar[Literal["role", "group", "resource"]]
    shelf: Shelf[Row]

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(
        self, actor: Actor, limit: int, offset: int, *, text: str | None = None, type: str | None = None
    ) -> tuple[list[Found[Row]], int]:
        """Read a page, newest first, and how many there are in all. Raises: NotPermitted."""
        async with self._desk.look(actor, DIRECTORY_READ) as look:
            rows, total = await self.shelf.page(look.tx, look.tenant, limit, offset, text=text, type=type)
            return await self._found(look, rows), total

    async def read(self, actor: Actor, id: UUID) -> Found[Row]:
        """Raises: NotPermitted, NoSuchTarget."""
        async with self._desk.look(actor, DIRECTORY_READ) as look:
            row = self._there(await self.shelf.read(look.tx, look.tenant, id), id)
            return (await self._found(look, [row]))[0]

    async def _create(self, actor: Actor, fields: Struct, make: Callable[[UUID, datetime], Row]) -> Found[Row]:
        """Make one. Raises: NotPermitted, DuplicateName, BadReference, and what `_guard` does."""
        async with self._desk.change(actor, attempt("POST", self._at), DIRECTORY_WRITE) as change:
            new = replace(make(self._desk.new_id(), change.at), **said(fields))
            await self._guard(change, None, new)
            await self._write(change, new)
            await change.happened(self.noun, new.id, f"{self.noun}.created", self._shown(new), change.at)
            return (await self._found(change, [await self._again(change, new.id)]))[0]

    async def _update(self, actor: Actor, id: UUID, fields: Struct, admits: Callable[[Found[Row]], bool]) -> Found[Row]:
        """Change what is said, all of it or nothing. Saying what is so already changes nothing.

        `admits`: whether the caller means it as it now is.

        Raises: NotPermitted, NoSuchTarget, PreconditionFailed, DuplicateName, BadReference, and what `_guard` does.
        """
        async with self._desk.change(actor, attempt("PUT", self._at, id), DIRECTORY_WRITE) as change:
            now = self._there(await self.shelf.lock(change.tx, change.tenant, id), id)
            found = (await self._found(change, [now]))[0]
            if not admits(found):
                raise no.PreconditionFailed
            after = replace(now, **said(fields))
            if after == now:
                return found
            at = max(change.at, now.updated_at)
            async with change.keeping_an_administrator():
                await self._guard(change, now, after)
                await self._write(change, replace(after, updated_at=at))
            before = self._shown(now)
            body = {key: value for key, value in self._shown(after).items() if before[key] != value}
            await change.happened(self.noun, id, f"{self.noun}.updated", body, at)
            return (await self._found(change, [await self._again(change, id)]))[0]

    async def delete(self, actor: Actor, id: UUID) -> None:
        """Delete it: its name may be used again, old requests keep naming it, and grants of it are revoked.

        Raises: NotPermitted, NoSuchTarget, LastAdministrator, SystemRole, HasChildren; GivesMore: a role carries
            what the caller does not hold.
        """
        async with self._desk.change(actor, attempt("DELETE", self._at, id), DIRECTORY_WRITE) as change:
            now = self._there(await self.shelf.lock(change.tx, change.tenant, id), id)
            await self._may_go(change, now)
            at = max(change.at, now.updated_at)
            async with change.keeping_an_administrator():
                await self._write(change, replace(now, deleted_at=at, updated_at=at))
            await change.revoke_all_of((self.noun, id), f"the {self.noun} was deleted")
            await change.happened(self.noun, id, f"{self.noun}.deleted", {"name": now.name}, at)

    @property
    def _at(self) -> str:
        """Where they are in the paths of operations."""
        return f"{self.noun}s"

    async def _found(self, look: Change, rows: Sequence[Row]) -> list[Found[Row]]:
        return [Found(row) for row in rows]

    async def _guard(self, change: Change, before: Row | None, after: Row) -> None:
        """Refuse what it must not become. Raises: BadReference: its workflow or its owner does not exist."""
        had = (before.workflow_id, before.owner_id) if before else (None, None)
        workflow, owner = after.workflow_id, after.owner_id
        if workflow is not None and workflow != had[0]:
            await self._must_govern(change, workflow)
        if owner is not None and owner != had[1]:
            found = (await people.principals_by_id(change.tx, change.tenant, [owner])).get(owner)
            if found is None or found.kind != "user" or found.deleted_at is not None:
                raise no.BadReference("ownerId", "there is no such user in this tenant")

    async def _must_govern(self, change: Change, workflow: UUID) -> None:
        if await workflows.read(change.tx, change.tenant, workflow) is None:
            raise no.BadReference("workflowId", "there is no such workflow in this tenant")

    async def _may_go(self, change: Change, now: Row) -> None:
        """Refuse to delete what must stay."""

    async def _write(self, change: Change, row: Row) -> None:
        """Raises: DuplicateName. The transaction is lost then."""
        try:
            await self._put(change.tx, change.tenant, [row])
        except asyncpg.UniqueViolationError as taken:
            of_others = getattr(row, "external_id", None)
            is_name = taken.constraint_name != "one_live_group_per_external_id"
            raise no.DuplicateName(row.name if is_name else str(of_others)) from None

    @abstractmethod
    async def _put(self, tx: Tx, tenant: UUID, rows: Collection[Row]) -> None:
        """Write rows of this kind."""

    def _shown(self, row: Row) -> dict[str, Any]:
        """What history keeps of one."""
        return {
            "name": row.name,
            "description": row.description,
            "workflowId": str(row.workflow_id) if row.workflow_id else None,
            "ownerId": str(row.owner_id) if row.owner_id else None,
        }

    async def _again(self, change: Change, id: UUID) -> Row:
        return self._there(await self.shelf.read(change.tx, change.tenant, id), id)

    def _there(self, row: Row | None, id: UUID) -> Row:
        if row is None:
            raise no.NoSuchTarget(self.noun, str(id))
        return row


class _Peopled(_Catalogue[Row]):
    """Roles and groups have members, and are told by name who came and went."""

    joined: ClassVar[str]
    left: ClassVar[str]

    async def members(self, actor: Actor, id: UUID, limit: int, offset: int) -> tuple[list[Member], int]:
        """Read a page of who is in it just now, by right or by a grant. Raises: NotPermitted, NoSuchTarget."""
        async with self._desk.look(actor, DIRECTORY_READ) as look:
            self._there(await self.shelf.read(look.tx, look.tenant, id), id)
            return await members.page(look.tx, look.tenant, self._what, id, look.at, limit, offset)

    async def add_member(self, actor: Actor, id: UUID, user: UUID) -> None:
        """Let a user in by right; one who is in already stays in.

        Raises: NotPermitted, NoSuchTarget, NoSuchUser; GivesMore: a role carries what the caller does not hold.
        """
        async with self._desk.change(actor, self._joining(id, user), DIRECTORY_WRITE) as change:
            row = await self._with(change, id, user)
            self._demand_holding(change, row)
            if await members.add(change.tx, change.tenant, self._what, id, user):
                await change.happened(self.noun, id, self.joined, self._who(row, user), change.at)

    async def remove_member(self, actor: Actor, id: UUID, user: UUID) -> None:
        """Put a user out, and revoke the grants that would keep them in.

        Raises: NotPermitted, LastAdministrator; NoSuchTarget: there is no such role or group, or they are not in it;
            NoSuchUser; GivesMore: a role carries what the caller does not hold.
        """
        async with self._desk.change(actor, self._leaving(id, user), DIRECTORY_WRITE) as change:
            row = await self._with(change, id, user)
            self._demand_holding(change, row)
            async with change.keeping_an_administrator():
                stood = await members.remove(change.tx, change.tenant, self._what, id, user)
            granted = await change.revoke_supporting(user, (self.noun, id), f"put out of the {self.noun}")
            if not stood and not granted:
                raise no.NoSuchTarget("membership", str(user))
            if stood:
                await change.happened(self.noun, id, self.left, self._who(row, user), change.at)

    @property
    def _what(self) -> What:
        assert self.noun != "resource", "nobody is in a resource"
        return self.noun

    async def _with(self, change: Change, id: UUID, user: UUID) -> Row:
        row = self._there(await self.shelf.lock(change.tx, change.tenant, id), id)
        found = (await people.principals_by_id(change.tx, change.tenant, [user])).get(user)
        if found is None or found.deleted_at is not None or found.kind != "user":
            raise no.NoSuchUser(user)
        return row

    @abstractmethod
    def _joining(self, id: UUID, user: UUID) -> Attempt:
        """Name letting a user in as an operation."""

    @abstractmethod
    def _leaving(self, id: UUID, user: UUID) -> Attempt:
        """Name putting a user out as an operation."""

    def _demand_holding(self, change: Change, row: Row) -> None:
        """Refuse to give or take what the caller does not hold. Who is in a group may do nothing for it."""

    def _who(self, row: Row, user: UUID) -> dict[str, Any]:
        return {"userId": str(user), f"{self.noun}Id": str(row.id), f"{self.noun}Name": row.name}


class Roles(_Peopled[Role]):
    """A role carries permissions, so whoever makes, changes, assigns or takes one must hold them."""

    noun = "role"
    shelf = store.ROLES
    joined, left = "role.assigned", "role.revoked"

    async def create(self, actor: Actor, fields: RoleFields) -> Found[Role]:
        """Make a role; where nothing is said of permissions it carries what is usual for its name.

        Raises: NotPermitted, DuplicateName, BadReference, GivesMore.
        """
        if fields.permissions is UNSET:
            fields = replace(fields, permissions=USUAL.get(str(fields.name), ()))
        return await self._create(actor, fields, lambda id, at: Role(id=id, name="", created_at=at, updated_at=at))

    async def update(
        self, actor: Actor, id: UUID, fields: RoleFields, admits: Callable[[Found[Role]], bool] = lambda _: True
    ) -> Found[Role]:
        """Raises: NotPermitted, NoSuchTarget, PreconditionFailed, DuplicateName, BadReference, GivesMore,
        LastAdministrator, SystemRole.
        """
        return await self._update(actor, id, fields, admits)

    async def _put(self, tx: Tx, tenant: UUID, rows: Collection[Role]) -> None:
        await directory.put_roles(tx, tenant, rows)

    async def _guard(self, change: Change, before: Role | None, after: Role) -> None:
        """Permissions that join or leave it must be the caller's, and all where another workflow shall govern it, or
        another answer for it.
        """
        await super()._guard(change, before, after)
        if before is not None and before.is_system:
            raise no.SystemRole(before.id)
        had = frozenset(before.permissions) if before else frozenset()
        if before is not None and (before.workflow_id, before.owner_id) != (after.workflow_id, after.owner_id):
            change.demand_holding(after.permissions)
        change.demand_holding(frozenset(after.permissions) ^ had)

    async def _may_go(self, change: Change, now: Role) -> None:
        if now.is_system:
            raise no.SystemRole(now.id)
        change.demand_holding(now.permissions)

    def _joining(self, id: UUID, user: UUID) -> Attempt:
        return attempt("POST", "users", user, "roles")

    def _leaving(self, id: UUID, user: UUID) -> Attempt:
        return attempt("DELETE", "users", user, "roles", id)

    def _demand_holding(self, change: Change, row: Role) -> None:
        change.demand_holding(row.permissions)

    def _shown(self, row: Role) -> dict[str, Any]:
        return super()._shown(row) | {"permissions": list(row.permissions)}


class Groups(_Peopled[Group]):
    """A group carries no permissions."""

    noun = "group"
    shelf = store.GROUPS
    joined, left = "group.member_added", "group.member_removed"

    async def create(self, actor: Actor, fields: GroupFields) -> Found[Group]:
        """Raises: NotPermitted, DuplicateName, BadReference."""
        return await self._create(actor, fields, lambda id, at: Group(id=id, name="", created_at=at, updated_at=at))

    async def update(
        self, actor: Actor, id: UUID, fields: GroupFields, admits: Callable[[Found[Group]], bool] = lambda _: True
    ) -> Found[Group]:
        """Raises: NotPermitted, NoSuchTarget, PreconditionFailed, DuplicateName, BadReference."""
        return await self._update(actor, id, fields, admits)

    async def _found(self, look: Change, rows: Sequence[Group]) -> list[Found[Group]]:
        counted = await members.count(look.tx, look.tenant, "group", [row.id for row in rows], look.at)
        return [Found(row, counted.get(row.id, 0)) for row in rows]

    def _joining(self, id: UUID, user: UUID) -> Attempt:
        return attempt("POST", "groups", id, "members")

    def _leaving(self, id: UUID, user: UUID) -> Attempt:
        return attempt("DELETE", "groups", id, "members", user)

    async def _put(self, tx: Tx, tenant: UUID, rows: Collection[Group]) -> None:
        await directory.put_groups(tx, tenant, rows)

    def _shown(self, row: Group) -> dict[str, Any]:
        return super()._shown(row) | {"externalId": row.external_id}


class Resources(_Catalogue[Resource]):
    """Anything else one can ask for. One may stand under another."""

    noun = "resource"
    shelf = store.RESOURCES

    async def create(self, actor: Actor, fields: ResourceFields) -> Found[Resource]:
        """Raises: NotPermitted, DuplicateName, BadReference."""
        return await self._create(
            actor, fields, lambda id, at: Resource(id=id, type="", name="", created_at=at, updated_at=at)
        )

    async def update(
        self,
        actor: Actor,
        id: UUID,
        fields: ResourceFields,
        admits: Callable[[Found[Resource]], bool] = lambda _: True,
    ) -> Found[Resource]:
        """Raises: NotPermitted, NoSuchTarget, PreconditionFailed, DuplicateName, BadReference."""
        return await self._update(actor, id, fields, admits)

    async def _put(self, tx: Tx, tenant: UUID, rows: Collection[Resource]) -> None:
        await directory.put_resources(tx, tenant, rows)

    async def _guard(self, change: Change, before: Resource | None, after: Resource) -> None:
        await super()._guard(change, before, after)
        parent = after.parent_id
        if parent is None or (before is not None and before.parent_id == parent):
            return
        line = await store.line_of(change.tx, change.tenant, parent)
        if not line:
            raise no.BadReference("parentId", "there is no such resource in this tenant")
        if after.id in line:
            raise no.BadReference("parentId", "is the resource itself, or stands under it")

    async def _may_go(self, change: Change, now: Resource) -> None:
        if await store.has_children(change.tx, change.tenant, now.id):
            raise no.HasChildren(now.id)

    def _shown(self, row: Resource) -> dict[str, Any]:
        return super()._shown(row) | {
            "type": row.type,
            "externalId": row.external_id,
            "parentId": str(row.parent_id) if row.parent_id else None,
            "attributes": dict(row.attributes),
        }
