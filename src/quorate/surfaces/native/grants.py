"""Grants: what approvals gave, and what somebody has now. Source: native contract b.8."""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from quorate.app.grants import Access
from quorate.domain.grants import Grant, State
from quorate.surfaces.http.answering import moment, moment_or_none
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Note, as_id
from quorate.surfaces.native.shown import Id, Moment


class GrantFilter(Paging, frozen=True, rename="camel"):
    """Which grants, of whom, in which state."""

    user_id: str | None = None
    status: State | None = None


class Revocation(Struct, frozen=True):
    """Why a grant is given back or taken away."""

    reason: Note | None = None


class GrantShown(Struct, frozen=True, rename="camel"):
    """Access that an approval gave. `endsAt` null: until it is revoked."""

    id: Id
    request_id: Id
    user_id: Id
    resource_type: Literal["role", "group", "resource"]
    resource_id: str
    resource_name: str
    status: State
    starts_at: Moment
    ends_at: Moment | None
    revoked_at: Moment | None


class GrantList(Struct, frozen=True):
    grants: list[GrantShown]
    total: Annotated[int, Meta(ge=0)]


class AccessShown(Struct, frozen=True, rename="camel"):
    """What somebody has of one thing: by right, by grants, and until when if an end is known."""

    resource_type: Literal["role", "group", "resource"]
    resource_id: Id
    resource_name: str
    standing: bool
    grants: list[Id]
    ends_at: Moment | None


class AccessList(Struct, frozen=True):
    access: list[AccessShown]


async def list_all(http: Call) -> Response:
    wanted = query(http, GrantFilter)
    holder = as_id(wanted.user_id) if wanted.user_id else None

    found, total = await http.services.grants.page(
        http.actor, holder, wanted.status, limit=wanted.limit, offset=wanted.offset
    )

    at = http.services.clock()
    return given(GrantList([_grant(one, one.state_at(at)) for one in found], total))


async def read(http: Call) -> Response:
    grant = await http.services.grants.read(http.actor, as_id(http.path["id"]))

    return given(_grant(grant, grant.state_at(http.services.clock())))


async def revoke(http: Call) -> Response:
    asked = await body(http, Revocation, optional=True)

    await http.services.grants.revoke(http.actor, as_id(http.path["id"]), asked.reason)

    return said("Grant revoked")


async def access(http: Call) -> Response:
    found = await http.services.grants.access(http.actor, as_id(http.path["id"]))

    return given(AccessList([_access(one) for one in found]))


def _grant(grant: Grant, state: State) -> GrantShown:
    return GrantShown(
        id=str(grant.id),
        request_id=str(grant.request),
        user_id=str(grant.holder),
        resource_type=grant.target.type,  # type: ignore[arg-type]  # A constraint of the table keeps it to these words.
        resource_id=grant.target.id,
        resource_name=grant.target.name,
        status=state,
        starts_at=moment(grant.starts_at),
        ends_at=moment_or_none(grant.ends_at),
        revoked_at=moment_or_none(grant.revoked_at),
    )


def _access(one: Access) -> AccessShown:
    return AccessShown(
        resource_type=one.type,  # type: ignore[arg-type]  # As above.
        resource_id=str(one.id),
        resource_name=one.name,
        standing=one.standing,
        grants=[str(grant) for grant in one.grants],
        ends_at=moment_or_none(one.ends_at),
    )
