"""Keys of users and services.

Source: native contract b.8.
"""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from quorate.app.keyring import Key, Kind
from quorate.surfaces.http.answering import moment, moment_or_none
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.reading import body, query, storable
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call, Handler
from quorate.surfaces.native.shapes import Name, as_id
from quorate.surfaces.native.shown import Id, Moment

Instant = Annotated[datetime, Meta(tz=True)]


class NewKey(Struct, frozen=True, rename="camel"):
    """A key to make. Without `expiresAt` it is good until it is revoked."""

    name: Name
    expires_at: Instant | None = None


class KeyShown(Struct, frozen=True, rename="camel"):
    """A key. Its secret is there once, in the answer that makes it."""

    id: Id
    name: str
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    secret: str | UnsetType = UNSET


class KeyList(Struct, frozen=True, rename="camel"):
    keys: list[KeyShown]
    total: int


def list_all(kind: Kind) -> Handler:
    async def handle(http: Call) -> Response:
        wanted = query(http, Paging)

        found, total = await http.services.keys.page(
            http.actor, kind, as_id(http.path["id"]), wanted.limit, wanted.offset
        )

        return given(KeyList([_shown(one) for one in found], total))

    return handle


def create(kind: Kind) -> Handler:
    async def handle(http: Call) -> Response:
        new = await body(http, NewKey)
        until = storable(new.expires_at, "expiresAt") if new.expires_at else None

        made = await http.services.keys.create(http.actor, kind, as_id(http.path["id"]), new.name.strip(), until)

        return given(_shown(made.key, made.secret), status=201)

    return handle


def revoke(kind: Kind) -> Handler:
    async def handle(http: Call) -> Response:
        await http.services.keys.revoke(http.actor, kind, as_id(http.path["id"]), as_id(http.path["keyId"]))

        return said("Key revoked")

    return handle


def _shown(key: Key, secret: str | UnsetType = UNSET) -> KeyShown:
    return KeyShown(
        str(key.id),
        key.name,
        moment(key.created_at),
        moment_or_none(key.expires_at),
        moment_or_none(key.last_used_at),
        secret,
    )
