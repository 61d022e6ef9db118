"""Delegations: lending one's say.

Source: native contract b.8.
"""

import msgspec
from msgspec import Struct
from starlette.responses import Response

from quorate.app.delegations import Delegation
from quorate.surfaces.http.answering import moment
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.reading import body, query, storable
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.keys import Instant
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, as_id
from quorate.surfaces.native.shown import Id, Moment


class NewDelegation(Struct, frozen=True, kw_only=True, rename="camel"):
    """To whom a say is lent from when until when, and whose it is: the caller's own when `from` is left out."""

    to: Name
    giver: Name | None = msgspec.field(default=None, name="from")
    starts_at: Instant
    ends_at: Instant


class DelegationShown(Struct, frozen=True, kw_only=True, rename="camel"):
    """A delegation."""

    id: Id
    giver: Id = msgspec.field(name="from")
    to: Id
    starts_at: Moment
    ends_at: Moment


class DelegationList(Struct, frozen=True, rename="camel"):
    delegations: list[DelegationShown]
    total: int


async def list_all(http: Call) -> Response:
    wanted = query(http, Paging)

    found, total = await http.services.delegations.page(http.actor, wanted.limit, wanted.offset)

    return given(DelegationList([_shown(one) for one in found], total))


async def create(http: Call) -> Response:
    new = await body(http, NewDelegation)
    begins, ends = storable(new.starts_at, "startsAt"), storable(new.ends_at, "endsAt")

    made = await http.services.delegations.create(
        http.actor, as_id(new.giver) if new.giver else None, as_id(new.to), begins, ends
    )

    return given(_shown(made), status=201)


async def delete(http: Call) -> Response:
    await http.services.delegations.delete(http.actor, as_id(http.path["id"]))

    return said("Delegation deleted")


def _shown(one: Delegation) -> DelegationShown:
    return DelegationShown(
        id=str(one.id),
        giver=str(one.from_id),
        to=str(one.to_id),
        starts_at=moment(one.starts_at),
        ends_at=moment(one.ends_at),
    )
