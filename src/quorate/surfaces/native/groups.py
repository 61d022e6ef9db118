"""Groups, and who is in them.

Source: native contract b.7.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.app.catalogue import Found, Group, GroupFields, Member
from quorate.surfaces.http.answering import answer, etag, matches, moment, moment_or_none
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.roles import Listed
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, Note, as_id, as_id_if_said
from quorate.surfaces.native.shown import Id, Moment, Ok


class ChangedGroup(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shall change. `workflowId`: what governs who comes in by asking; `ownerId`: who answers for it."""

    name: Name | UnsetType = UNSET
    description: Note | UnsetType | None = UNSET
    external_id: Name | UnsetType | None = UNSET
    workflow_id: Name | UnsetType | None = UNSET
    owner_id: Name | UnsetType | None = UNSET

    def read(self) -> GroupFields:
        return GroupFields(
            name=self.name.strip() if self.name else self.name,
            description=self.description or "" if self.description is not UNSET else UNSET,
            external_id=self.external_id,
            workflow_id=as_id_if_said(self.workflow_id),
            owner_id=as_id_if_said(self.owner_id),
        )


class NewGroup(ChangedGroup, frozen=True, kw_only=True, rename="camel"):
    """A group to make."""

    name: Name


class MemberGiven(Struct, frozen=True, rename="camel"):
    """Who shall be in."""

    user_id: Name


class GroupShown(Struct, frozen=True, kw_only=True, rename="camel"):
    """A group. `memberCount`: who is in it just now, by right or by a grant."""

    id: Id
    tenant_id: Id
    name: str
    description: str | None
    member_count: int
    created_at: Moment
    updated_at: Moment
    workflow_id: Id | UnsetType = UNSET
    owner_id: Id | UnsetType = UNSET
    external_id: str | UnsetType = UNSET


class GroupList(Struct, frozen=True, rename="camel"):
    groups: list[GroupShown]
    total: int


class MemberShown(Struct, frozen=True, rename="camel"):
    """Somebody in a group. `standing`: by right; `endsAt`: when they will be out, null if never."""

    id: Id
    display_name: str
    email: str | None
    status: Literal["active", "suspended", "inactive"]
    standing: bool
    ends_at: Moment | None


class MemberList(Struct, frozen=True, rename="camel"):
    members: list[MemberShown]
    total: int


async def list_all(http: Call) -> Response:
    wanted = query(http, Listed)

    found, total = await http.services.groups.page(http.actor, wanted.limit, wanted.offset, text=wanted.search)

    return given(GroupList([_shown(http, one) for one in found], total))


async def read(http: Call) -> Response:
    return _whole(http, await http.services.groups.read(http.actor, as_id(http.path["id"])))


async def create(http: Call) -> Response:
    new = (await body(http, NewGroup)).read()

    return _whole(http, await http.services.groups.create(http.actor, new), 201)


async def update(http: Call) -> Response:
    change = (await body(http, ChangedGroup, optional=True)).read()
    if_match = http.headers.get("if-match")
    matches(if_match, "")  # What is no entity tag is refused before anything is looked up.

    changed = await http.services.groups.update(
        http.actor, as_id(http.path["id"]), change, lambda now: matches(if_match, _tag(now))
    )

    return _whole(http, changed)


async def delete(http: Call) -> Response:
    await http.services.groups.delete(http.actor, as_id(http.path["id"]))

    return said("Group deleted")


async def members(http: Call) -> Response:
    wanted = query(http, Paging)

    found, total = await http.services.groups.members(http.actor, as_id(http.path["id"]), wanted.limit, wanted.offset)

    return given(MemberList([_member(one) for one in found], total))


async def add_member(http: Call) -> Response:
    wanted = await body(http, MemberGiven)

    await http.services.groups.add_member(http.actor, as_id(http.path["id"]), as_id(wanted.user_id))

    return said("Member added")


async def remove_member(http: Call) -> Response:
    await http.services.groups.remove_member(http.actor, as_id(http.path["id"]), as_id(http.path["userId"]))

    return said("Member removed")


def _member(one: Member) -> MemberShown:
    return MemberShown(str(one.id), one.name, one.email, one.status, one.is_standing, moment_or_none(one.ends_at))


def _whole(http: Call, one: Found[Group], status: int = 200) -> Response:
    return answer(Ok(data=_shown(http, one)), status, {"ETag": _tag(one)})


def _shown(http: Call, one: Found[Group]) -> GroupShown:
    row = one.row
    return GroupShown(
        id=str(row.id),
        tenant_id=str(http.actor.tenant),
        name=row.name,
        description=row.description or None,
        member_count=one.members or 0,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        workflow_id=str(row.workflow_id) if row.workflow_id else UNSET,
        owner_id=str(row.owner_id) if row.owner_id else UNSET,
        external_id=row.external_id if row.external_id is not None else UNSET,
    )


def _tag(one: Found[Group]) -> str:
    return etag(one.row.id, one.row.version, one.members)
