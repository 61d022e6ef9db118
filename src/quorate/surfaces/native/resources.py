"""Resources: anything one can ask for that is neither a role nor a group.

Source: native contract b.7.
"""

from typing import Any

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.app.catalogue import Found, Resource, ResourceFields
from quorate.surfaces.http.answering import answer, etag, matches, moment
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.roles import Listed
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, Note, as_id, as_id_if_said
from quorate.surfaces.native.shown import Id, Moment, Ok


class ResourceFilter(Listed, frozen=True, kw_only=True, rename="camel"):
    """The query of the list of resources."""

    type: Name | None = None


class ChangedResource(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shall change. `workflowId`: what governs who gets it; `ownerId`: who answers for it. Else its parent's."""

    type: Name | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    description: Note | UnsetType | None = UNSET
    external_id: Name | UnsetType | None = UNSET
    parent_id: Name | UnsetType | None = UNSET
    workflow_id: Name | UnsetType | None = UNSET
    owner_id: Name | UnsetType | None = UNSET
    attributes: dict[str, Any] | UnsetType = UNSET

    def read(self) -> ResourceFields:
        return ResourceFields(
            type=self.type.strip() if self.type else self.type,
            name=self.name.strip() if self.name else self.name,
            description=self.description or "" if self.description is not UNSET else UNSET,
            external_id=self.external_id,
            parent_id=as_id_if_said(self.parent_id),
            workflow_id=as_id_if_said(self.workflow_id),
            owner_id=as_id_if_said(self.owner_id),
            attributes=self.attributes,
        )


class NewResource(ChangedResource, frozen=True, kw_only=True, rename="camel"):
    """A resource to make."""

    type: Name
    name: Name


class ResourceShown(Struct, frozen=True, kw_only=True, rename="camel"):
    """A resource."""

    id: Id
    tenant_id: Id
    type: str
    name: str
    description: str | None
    attributes: dict[str, Any]
    created_at: Moment
    updated_at: Moment
    workflow_id: Id | UnsetType = UNSET
    owner_id: Id | UnsetType = UNSET
    external_id: str | UnsetType = UNSET
    parent_id: Id | UnsetType = UNSET


class ResourceList(Struct, frozen=True, rename="camel"):
    resources: list[ResourceShown]
    total: int


async def list_all(http: Call) -> Response:
    wanted = query(http, ResourceFilter)

    found, total = await http.services.resources.page(
        http.actor, wanted.limit, wanted.offset, text=wanted.search, type=wanted.type
    )

    return given(ResourceList([_shown(http, one) for one in found], total))


async def read(http: Call) -> Response:
    return _whole(http, await http.services.resources.read(http.actor, as_id(http.path["id"])))


async def create(http: Call) -> Response:
    new = (await body(http, NewResource)).read()

    return _whole(http, await http.services.resources.create(http.actor, new), 201)


async def update(http: Call) -> Response:
    change = (await body(http, ChangedResource, optional=True)).read()
    if_match = http.headers.get("if-match")
    matches(if_match, "")  # What is no entity tag is refused before anything is looked up.

    changed = await http.services.resources.update(
        http.actor, as_id(http.path["id"]), change, lambda now: matches(if_match, _tag(now))
    )

    return _whole(http, changed)


async def delete(http: Call) -> Response:
    await http.services.resources.delete(http.actor, as_id(http.path["id"]))

    return said("Resource deleted")


def _whole(http: Call, one: Found[Resource], status: int = 200) -> Response:
    return answer(Ok(data=_shown(http, one)), status, {"ETag": _tag(one)})


def _shown(http: Call, one: Found[Resource]) -> ResourceShown:
    row = one.row
    return ResourceShown(
        id=str(row.id),
        tenant_id=str(http.actor.tenant),
        type=row.type,
        name=row.name,
        description=row.description or None,
        attributes=dict(row.attributes),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        workflow_id=str(row.workflow_id) if row.workflow_id else UNSET,
        owner_id=str(row.owner_id) if row.owner_id else UNSET,
        external_id=row.external_id if row.external_id is not None else UNSET,
        parent_id=str(row.parent_id) if row.parent_id else UNSET,
    )


def _tag(one: Found[Resource]) -> str:
    return etag(one.row.id, one.row.version)
