"""Services: the programs of a tenant.

Source: native contract b.8.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.app.me import Principal
from quorate.app.people import Search
from quorate.app.services import ServiceFields
from quorate.surfaces.http.answering import answer, etag, matches, moment
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.roles import Permissions
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, as_id, as_id_if_said
from quorate.surfaces.native.shown import Id, Moment, Ok
from quorate.surfaces.native.users import Status, UserFilter


class ChangedService(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shall change. `ownerId`: the user whose service it is, behind all it decides."""

    name: Name | UnsetType = UNSET
    owner_id: Name | UnsetType | None = UNSET
    permissions: Permissions | UnsetType = UNSET
    status: Status | UnsetType = UNSET

    def read(self) -> ServiceFields:
        return ServiceFields(
            name=self.name.strip() if self.name else self.name,
            owner_id=as_id_if_said(self.owner_id),
            permissions=tuple(dict.fromkeys(self.permissions)) if self.permissions is not UNSET else UNSET,
            status=self.status,
        )


class NewService(ChangedService, frozen=True, kw_only=True, rename="camel"):
    """A service to make."""

    name: Name


class ServiceShown(Struct, frozen=True, rename="camel"):
    """A service."""

    id: Id
    tenant_id: Id
    name: str
    owner_id: Id | None
    permissions: tuple[str, ...]
    status: Literal["active", "suspended", "inactive"]
    created_at: Moment
    updated_at: Moment


class ServiceList(Struct, frozen=True, rename="camel"):
    services: list[ServiceShown]
    total: int


async def list_all(http: Call) -> Response:
    wanted = query(http, UserFilter)

    search = Search(status=wanted.status, text=wanted.search)
    found, total = await http.services.programs.page(http.actor, search, wanted.limit, wanted.offset)

    return given(ServiceList([_shown(http, one) for one in found], total))


async def read(http: Call) -> Response:
    return _whole(http, await http.services.programs.read(http.actor, as_id(http.path["id"])))


async def create(http: Call) -> Response:
    new = (await body(http, NewService)).read()

    return _whole(http, await http.services.programs.create(http.actor, new), 201)


async def update(http: Call) -> Response:
    change = (await body(http, ChangedService, optional=True)).read()
    if_match = http.headers.get("if-match")
    matches(if_match, "")  # What is no entity tag is refused before anything is looked up.

    changed = await http.services.programs.update(
        http.actor, as_id(http.path["id"]), change, lambda now: matches(if_match, _tag(now))
    )

    return _whole(http, changed)


async def delete(http: Call) -> Response:
    await http.services.programs.delete(http.actor, as_id(http.path["id"]))

    return said("Service deleted")


def _whole(http: Call, one: Principal, status: int = 200) -> Response:
    return answer(Ok(data=_shown(http, one)), status, {"ETag": _tag(one)})


def _shown(http: Call, one: Principal) -> ServiceShown:
    return ServiceShown(
        str(one.id),
        str(http.actor.tenant),
        one.name,
        str(one.owner_id) if one.owner_id else None,
        one.permissions,
        one.status,
        moment(one.created_at),
        moment(one.updated_at),
    )


def _tag(one: Principal) -> str:
    return etag(one.id, one.version)
