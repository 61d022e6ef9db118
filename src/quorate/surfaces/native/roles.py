"""Roles, and the permissions there are.

Source: native contract b.7.
"""

from typing import Annotated, Any, Final, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from quorate.app.catalogue import Found, Role, RoleFields
from quorate.surfaces.http.answering import answer, etag, matches, moment
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, Note, as_id, as_id_if_said
from quorate.surfaces.native.shown import Id, Moment, Ok

Permission = Literal[
    "act:for",
    "admin",
    "audit:read",
    "directory:read",
    "directory:write",
    "grant:revoke",
    "key:write",
    "policy:write",
    "request:approve",
    "request:for-others",
    "webhook:write",
    "workflow:read",
    "workflow:write",
]
PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)  # A test holds them against those the domain knows.
Permissions = Annotated[list[Permission], Meta(max_length=len(PERMISSIONS))]


class Listed(Paging, frozen=True, kw_only=True, rename="camel"):
    """The query of a list of roles or groups. `search` is looked for in names and descriptions."""

    search: Name | None = None


class ChangedRole(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shall change. `workflowId`: what governs who is given the role; `ownerId`: who answers for it."""

    name: Name | UnsetType = UNSET
    description: Note | UnsetType | None = UNSET
    permissions: Permissions | UnsetType = UNSET
    workflow_id: Name | UnsetType | None = UNSET
    owner_id: Name | UnsetType | None = UNSET

    def read(self) -> RoleFields:
        return RoleFields(
            name=self.name.strip() if self.name else self.name,
            description=self.description or "" if self.description is not UNSET else UNSET,
            permissions=tuple(dict.fromkeys(self.permissions)) if self.permissions is not UNSET else UNSET,
            workflow_id=as_id_if_said(self.workflow_id),
            owner_id=as_id_if_said(self.owner_id),
        )


class NewRole(ChangedRole, frozen=True, kw_only=True, rename="camel"):
    """A role to make."""

    name: Name


class RoleShown(Struct, frozen=True, kw_only=True, rename="camel"):
    """A role."""

    id: Id
    tenant_id: Id
    name: str
    description: str | None
    permissions: tuple[str, ...]
    is_system: bool
    created_at: Moment
    updated_at: Moment
    workflow_id: Id | UnsetType = UNSET
    owner_id: Id | UnsetType = UNSET


class RoleList(Struct, frozen=True, rename="camel"):
    roles: list[RoleShown]
    total: int


class PermissionShown(Struct, frozen=True, rename="camel"):
    name: Permission


class PermissionList(Struct, frozen=True, rename="camel"):
    permissions: list[PermissionShown]
    total: int


async def list_all(http: Call) -> Response:
    wanted = query(http, Listed)

    found, total = await http.services.roles.page(http.actor, wanted.limit, wanted.offset, text=wanted.search)

    return given(RoleList([_shown(http, one) for one in found], total))


async def read(http: Call) -> Response:
    return _whole(http, await http.services.roles.read(http.actor, as_id(http.path["id"])))


async def create(http: Call) -> Response:
    new = (await body(http, NewRole)).read()

    return _whole(http, await http.services.roles.create(http.actor, new), 201)


async def update(http: Call) -> Response:
    change = (await body(http, ChangedRole, optional=True)).read()
    if_match = http.headers.get("if-match")
    matches(if_match, "")  # What is no entity tag is refused before anything is looked up.

    changed = await http.services.roles.update(
        http.actor, as_id(http.path["id"]), change, lambda now: matches(if_match, _tag(now))
    )

    return _whole(http, changed)


async def delete(http: Call) -> Response:
    await http.services.roles.delete(http.actor, as_id(http.path["id"]))

    return said("Role deleted")


async def permissions(_: Call) -> Response:
    return given(PermissionList([PermissionShown(name) for name in PERMISSIONS], len(PERMISSIONS)))


def _whole(http: Call, one: Found[Role], status: int = 200) -> Response:
    return answer(Ok(data=_shown(http, one)), status, {"ETag": _tag(one)})


def _shown(http: Call, one: Found[Role]) -> RoleShown:
    row = one.row
    return RoleShown(
        id=str(row.id),
        tenant_id=str(http.actor.tenant),
        name=row.name,
        description=row.description or None,
        permissions=row.permissions,
        is_system=row.is_system,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        workflow_id=str(row.workflow_id) if row.workflow_id else UNSET,
        owner_id=str(row.owner_id) if row.owner_id else UNSET,
    )


def _tag(one: Found[Any]) -> str:
    return etag(one.row.id, one.row.version)
