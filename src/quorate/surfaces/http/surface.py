"""A surface: a table of routes, and its own words for everything that can go wrong.

The table is the one source: the router is built from it, the OpenAPI document is, and the tests walk it
to ask who may what.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope

from quorate.app.actor import Actor
from quorate.app.passing import PASSING
from quorate.domain.refusals import Refusal
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.problems import (
    CallerGone,
    InternalError,
    NoSuchPath,
    Problem,
    TryAgain,
    WrongMethod,
)
from quorate.surfaces.http.routing import Paths, parameters

log = logging.getLogger(__name__)

S = TypeVar("S")

Handler: TypeAlias = Callable[[Http[S]], Awaitable[Response]]
SignIn: TypeAlias = Callable[[Http[S]], Awaitable[Actor]]
# Renders a problem or a refusal. A pure function: it may not fail.
Words: TypeAlias = Callable[[Problem | Refusal], Response]


BEARER: Mapping[str, Mapping[str, str]] = {"bearer": {"type": "http", "scheme": "bearer"}}


class Who(Enum):
    """Who may call a route, where no permission is named."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"


@dataclass(frozen=True, kw_only=True)
class Route(Generic[S]):
    """One method at one path.

    Args:
        path: a template, the surface's base left out: `/workflows/{id}/activate`.
        who: `Who`, or the permission the caller must hold; looked at before the handler runs.
        body, query: the structs the handler reads; None for none. For the OpenAPI document.
        example: a body as a caller would send it, for the OpenAPI document.
        answer: the struct of a success, of this `status`.
        errors: the statuses a caller must expect beside what every route may answer.
    """

    method: str
    path: str
    handler: Handler[S]
    summary: str
    who: Who | str = Who.SIGNED_IN
    body: Any = None
    body_optional: bool = False
    body_is_form: bool = False
    example: Any = None
    query: Any = None
    answer: Any = None
    status: int = 200
    errors: Sequence[int] = ()
    tag: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # request headers it reads: name, description
    demands: Mapping[str, str] = field(default_factory=dict)  # and those it cannot do without


class Surface(Generic[S]):
    """Answers the calls under its prefixes.

    Args:
        prefixes: where it rules, for `Origin`: `/api/v1` and all below; with a closing `$` just that
            path. `{id}` stands for one segment. The longest wins, literals before parameters.
        base: stands before every route's path.
        services: the use cases, handed to every handler as `http.services`.
        words: puts problems and refusals into the surface's words.
        sign_in: makes the actor of a call, or raises `NotSignedIn` and its kin.
        otherwise: answers calls to paths that no route has; without it they are `NoSuchPath`.
        security: the spellings of a credential it takes, as OpenAPI names and describes them.
        slashed: whether a closing slash makes no difference.
    """

    def __init__(
        self,
        name: str,
        routes: Sequence[Route[S]],
        *,
        services: S,
        words: Words,
        sign_in: SignIn[S] | None = None,
        prefixes: Sequence[str] = (),
        base: str = "",
        title: str = "",
        error: Any = None,
        security: Mapping[str, Mapping[str, str]] = BEARER,
        slashed: bool = False,
        otherwise: Handler[S] | None = None,
    ) -> None:
        self.name = name
        self.routes = tuple(routes)
        self.base = base
        self.prefixes = tuple(prefixes) or (base,)
        self.title = title or name
        self.error = error
        self.security = security
        self.words = words
        self._services = services
        self._slashed = slashed
        self._otherwise = otherwise
        self._sign_in = sign_in
        self._paths: Paths[dict[str, tuple[Route[S], tuple[str, ...]]]] = Paths()
        for route in self.routes:
            assert sign_in is not None or route.who is Who.ANYONE, f"{route.path} needs a way to sign in"
            self._add(route)

    def _add(self, route: Route[S]) -> None:
        path = self.base + route.path
        methods = self._paths.at(path)
        if methods is None:
            methods = {}
            self._paths.put(path, methods)
        assert route.method not in methods, f"two routes for {route.method} {path}"
        methods[route.method] = (route, parameters(path))

    async def answer(
        self,
        scope: Scope,
        receive: Receive,
        path: list[str],
        peers: Peers,
        request_id: str,
        *,
        actor: Actor | None = None,
    ) -> Response:
        """Answer one call, whatever happens, in this surface's words. `actor`: who calls, where that is known."""
        try:
            return await self._answer(scope, receive, path, peers, request_id, actor)
        except (Problem, Refusal) as no:
            return self.say(no)
        except PASSING as away:
            log.warning("told to try again: %r", away, extra={"request_id": request_id, "surface": self.name})
            return self.say(TryAgain())
        except CallerGone:
            raise
        except Exception:
            log.exception("internal error", extra={"request_id": request_id, "surface": self.name})
            return self.say(InternalError(request_id))

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        path: list[str],
        peers: Peers,
        request_id: str,
        actor: Actor | None,
    ) -> Response:
        found = self._paths.find(path[:-1] if self._slashed and path[-1] == "" else path)
        if found is None:
            if self._otherwise is None:
                raise NoSuchPath
            http = Http(scope, receive, services=self._services, peers=peers, request_id=request_id, path={})
            return await self._otherwise(http)
        methods, values = found
        method = scope["method"]
        entry = methods.get("GET" if method == "HEAD" else method)
        if entry is None:
            allowed = _allowed(methods)
            if method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": ", ".join(allowed)})
            raise WrongMethod(allowed)
        route, names = entry
        http = Http(
            scope,
            receive,
            services=self._services,
            peers=peers,
            request_id=request_id,
            path=dict(zip(names, values, strict=True)),
        )
        if route.who is not Who.ANYONE:
            assert self._sign_in is not None
            http.actor = actor or await self._sign_in(http)
            if isinstance(route.who, str):
                http.actor.demand(route.who)
        return await route.handler(http)

    def say(self, no: Problem | Refusal) -> Response:
        """Put a no into this surface's words, with the headers that go with it."""
        response = self.words(no)
        if isinstance(no, WrongMethod):
            response.headers["Allow"] = ", ".join(no.allowed)
        wait = getattr(no, "retry_after_s", None)
        if wait is not None:
            response.headers["Retry-After"] = str(wait)
        if response.status_code == 401:
            response.headers.setdefault("WWW-Authenticate", "Bearer")  # RFC 9110 §15.5.2 demands one.
        return response


def _allowed(methods: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}))
