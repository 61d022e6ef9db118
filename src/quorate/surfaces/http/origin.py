"""The one origin on which every surface lives.

Each call goes to the surface with the longest prefix, which answers it in its own words, an unknown
path included. Only what no surface owns is answered here, in plain text.
"""

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.problems import CallerGone, TryAgain
from quorate.surfaces.http.routing import Paths, segments
from quorate.surfaces.http.surface import Surface

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CHECK_TIMEOUT_S = 2.0


class Origin:
    """An ASGI application.

    Args:
        surfaces: who answers what.
        peers: whom to believe about addresses and hosts.
        checks: what readiness depends on, by name; each answers None when well, else what is wrong.
            The words go to the log; a caller of `/readyz` learns only the names.
    """

    def __init__(
        self, surfaces: Sequence[Surface[Any]], peers: Peers, checks: Mapping[str, Check] | None = None
    ) -> None:
        self.surfaces = tuple(surfaces)
        self._peers = peers
        self._checks = dict(checks or {})
        self._owners: Paths[Surface[Any]] = Paths()
        self._in_flight: set[asyncio.Task[Response | None]] = set()
        self._calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._refuses = False
        for surface in surfaces:
            for prefix in surface.prefixes:
                if prefix.endswith("$"):
                    self._owners.put(prefix[:-1], surface)
                else:
                    self._owners.put_below(prefix, surface)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        self._calls += 1
        self._quiet.clear()
        try:
            await self._call(scope, receive, send)
        finally:
            self._calls -= 1
            if not self._calls:
                self._quiet.set()

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        try:
            if scope["method"] in _SAFE:
                response = await self._answer(scope, receive, request_id)
            else:
                response = await self._unbroken(self._answer(scope, receive, request_id))
        except asyncio.CancelledError:
            surface = self._owners.owner(segments(scope))
            if not self._refuses or surface is None:
                raise
            response = surface.say(TryAgain())  # It took longer than a stopping server waits.
        if response is not None:
            if self._refuses:
                response.raw_headers.append(_LAST)
            await _send(response, request_id, scope, receive, send)

    @property
    def is_busy(self) -> bool:
        """Whether a call is being answered."""
        return bool(self._calls)

    def refuse(self) -> None:
        """From now on tell every call to try again (elsewhere, or later), and close connections with their answer."""
        self._refuses = True

    async def finish(self, timeout_s: float) -> None:
        """Wait until no call is being answered, but no longer than that."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), timeout_s)

    async def drain(self, timeout_s: float) -> int:
        """Wait until the writes in flight are done. Answers how many are still not."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=timeout_s)
        return len(self._in_flight)

    async def _unbroken(self, work: Any) -> Response | None:
        """Run what may change something to its end, even if the one who waits for it is cancelled."""
        task: asyncio.Task[Response | None] = asyncio.create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return await asyncio.shield(task)

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Response | None:
        path = segments(scope)
        if len(path) == 1 and path[0] in ("healthz", "readyz"):
            return await self._health(scope["method"], ready=path[0] == "readyz")
        surface = self._owners.owner(path)
        if surface is None:
            return PlainTextResponse("Not found\n", 404)
        if self._refuses:
            return surface.say(TryAgain())
        try:
            return await surface.answer(scope, receive, path, self._peers, request_id)
        except CallerGone:
            return None

    async def _health(self, method: str, *, ready: bool) -> Response:
        if method not in ("GET", "HEAD"):
            return PlainTextResponse("Method not allowed\n", 405, {"Allow": "GET, HEAD"})
        if not ready:
            return answer({"status": "ok"}, headers=_FRESH)
        if self._refuses:
            return answer({"status": "unavailable", "failing": ["stopping"]}, 503, _FRESH)
        results = await asyncio.gather(*(_checked(name, check) for name, check in self._checks.items()))
        failing = sorted(name for name, well in results if not well)
        if failing:
            return answer({"status": "unavailable", "failing": failing}, 503, _FRESH)
        return answer({"status": "ok"}, headers=_FRESH)


async def _checked(name: str, check: Check) -> tuple[str, bool]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            wrong = await check()
    except Exception as error:
        wrong = type(error).__name__
    if wrong is not None:
        log.warning("not ready", extra={"check": name, "reason": wrong})
    return name, wrong is None


async def _send(response: Response, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
    response.raw_headers += [(b"x-request-id", request_id.encode()), _NOSNIFF]
    if scope["method"] == "HEAD":
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": b""})
    else:
        await response(scope, receive, send)


def _request_id(scope: Scope) -> str:
    """Take the caller's id for the call if it is plain enough for a header and a log line, else mint one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return str(uuid.uuid4())


async def _lifespan(receive: Receive, send: Send) -> None:
    """Say yes: what must start and stop is started and stopped by `wiring`, around the server."""
    while True:
        message: Message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


_LAST = (b"connection", b"close")
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_FRESH = {"Cache-Control": "no-store"}
