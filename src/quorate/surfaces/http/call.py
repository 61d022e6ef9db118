"""One HTTP call, as a handler sees it."""

from dataclasses import replace
from functools import cached_property
from typing import Final, Generic, TypeVar

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from quorate.app.actor import Actor
from quorate.surfaces.http.peer import Peers

S = TypeVar("S")

LONGEST_AGENT: Final = 512  # characters


class Http(Generic[S]):
    """A call on its way to a handler.

    `services` is what the surface was made with (its use cases). `path` holds the path's parameters,
    decoded. `actor` is who calls: the plumbing has signed them in before the handler runs, unless the
    route is open to anyone.
    """

    def __init__(
        self, scope: Scope, receive: Receive, *, services: S, peers: Peers, request_id: str, path: dict[str, str]
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.services = services
        self.request_id = request_id
        self.path = path
        self._peers = peers
        self._actor: Actor | None = None

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @cached_property
    def headers(self) -> Headers:
        return Headers(scope=self.scope)

    @property
    def actor(self) -> Actor:
        assert self._actor is not None, "a handler of an open route asked who calls"
        return self._actor

    @actor.setter
    def actor(self, actor: Actor) -> None:
        self._actor = actor

    @property
    def is_signed_in(self) -> bool:
        return self._actor is not None

    @cached_property
    def address(self) -> str:
        """The caller's address, past trusted proxies."""
        return self._peers.address(self.scope)

    @cached_property
    def agent(self) -> str | None:
        """What the caller's program says it is, shortened; None when it says nothing."""
        said = self.headers.get("user-agent", "")[:LONGEST_AGENT]
        return "".join(one if one.isprintable() else " " for one in said).strip() or None

    @property
    def telling_actor(self) -> Actor:
        """Who calls, with what their program says it is: where that is told of what they do."""
        return replace(self.actor, how=replace(self.actor.how, agent=self.agent))

    @cached_property
    def origin(self) -> str:
        """`https://host[:port]` for absolute links, without a trailing slash."""
        return self._peers.origin(self.scope)
