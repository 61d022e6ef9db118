"""A surface as small as can be, on which the plumbing is tried out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import msgspec
from starlette.responses import Response

from quorate.app.actor import Actor, How, NotSignedIn, OtherTenant
from quorate.app.limits import TooOften
from quorate.domain.refusals import NoSuchRequest, NotPermitted, Refusal
from quorate.store.database import Unreachable
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.problems import (
    BadInput,
    InternalError,
    NoSuchPath,
    Problem,
    TooLarge,
    TryAgain,
    WrongMethod,
)
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.http.signin import bearer, demand_tenant
from quorate.surfaces.http.surface import Route, Surface, Who

TENANT = uuid4()
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=20, pattern=r"\S")]


class Step(msgspec.Struct, frozen=True):
    order: Annotated[int, msgspec.Meta(ge=1, le=100)]
    name: Name


class Thing(msgspec.Struct, frozen=True):
    name: Name
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)] = ()
    subject: dict[str, Any] = {}


class Filter(msgspec.Struct, frozen=True):
    page: Annotated[int, msgspec.Meta(ge=1)] = 1
    open: bool = False


class Error(msgspec.Struct, frozen=True):
    code: str
    details: tuple[dict[str, str | None], ...] = ()


@dataclass
class Services:
    """Who may sign in, and what the handlers did."""

    keys: dict[str, frozenset[str]] = field(
        default_factory=lambda: {"reader": frozenset({"thing:read"}), "admin": frozenset({"admin"})}
    )
    made: list[Thing] = field(default_factory=list)
    hold: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)


async def sign_in(http: Http[Services]) -> Actor:
    permissions = http.services.keys.get(bearer(http))
    if permissions is None:
        raise NotSignedIn
    actor = Actor(TENANT, UUID(int=7), permissions, How(None, "key", "tiny", http.address))
    demand_tenant(http, actor)
    return actor


async def things(http: Http[Services]) -> Response:
    wanted = query(http, Filter)
    return answer({"page": wanted.page, "open": wanted.open})


async def make(http: Http[Services]) -> Response:
    thing = await body(http, Thing)
    http.services.entered.set()
    if http.services.hold is not None:
        await http.services.hold.wait()
    http.services.made.append(thing)
    return answer(thing, 201)


async def read(http: Http[Services]) -> Response:
    if http.path["id"] == "missing":
        raise NoSuchRequest("missing")
    if http.path["id"] == "bug":
        raise RuntimeError("the password is hunter2")
    if http.path["id"] == "away":
        raise Unreachable("the database lies on db.internal")
    if http.path["id"] == "busy":
        raise TooOften(7)
    return answer({"id": http.path["id"], "by": str(http.actor.principal), "origin": http.origin, "from": http.address})


async def hello(http: Http[Services]) -> Response:
    return answer({"signed_in": http.is_signed_in})


ROUTES: Sequence[Route[Services]] = (
    Route(method="GET", path="/hello", handler=hello, summary="Open to all", who=Who.ANYONE),
    Route(method="GET", path="/things", handler=things, summary="List", who="thing:read", query=Filter),
    Route(
        method="POST",
        path="/things",
        handler=make,
        summary="Make",
        who="thing:write",
        body=Thing,
        answer=Thing,
        status=201,
    ),
    Route(method="GET", path="/things/{id}", handler=read, summary="Read", answer=Thing, errors=(404,)),
    Route(method="GET", path="/things/latest", handler=hello, summary="Latest"),
)


def words(no: Problem | Refusal) -> Response:
    details = [{"field": one.field, "message": one.message} for one in getattr(no, "details", ())]
    for kind, status in STATUSES.items():
        if isinstance(no, kind):
            return answer({"code": kind.__name__, "details": details}, status)
    raise AssertionError(no)


STATUSES: dict[type[Problem] | type[Refusal], int] = {
    TooLarge: 413,
    BadInput: 400,
    NotSignedIn: 401,
    NotPermitted: 403,
    OtherTenant: 403,
    NoSuchPath: 404,
    NoSuchRequest: 404,
    WrongMethod: 405,
    TooOften: 429,
    InternalError: 500,
    TryAgain: 503,
}


def surface(services: Services) -> Surface[Services]:
    return Surface(
        "tiny",
        ROUTES,
        services=services,
        words=words,
        sign_in=sign_in,
        base="/api/v1",
        title="Tiny",
        error=Error,
    )


def origin(services: Services | None = None, *, trusted: Sequence[str] = ("127.0.0.1",), **more: Any) -> Origin:
    return Origin([surface(services or Services())], Peers(None, trusted), **more)


@asynccontextmanager
async def caller(app: Origin, key: str | None = "admin") -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://quorate.test", headers=headers) as client:
        yield client
