"""Does what was approved: a call of this API that nobody makes over the network, by somebody who is known already."""

from typing import Any, Final

import msgspec
from starlette.types import Message

from quorate.app.actor import Actor
from quorate.app.operations.calling import Answered
from quorate.app.operations.executing import Perform
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.routing import segments
from quorate.surfaces.http.surface import Surface
from quorate.surfaces.native.services import Services

_NOBODY: Final = Peers(None, ())


def performer(surface: Surface[Services]) -> Perform:
    """Make what carries out our own operations, read and answered as if they came over HTTP."""

    async def perform(actor: Actor, method: str, path: str, body: Any) -> Answered:
        plain = "/" + path.partition("#")[0].partition("?")[0].removeprefix("/")
        data = b"" if body is None else msgspec.json.encode(body)
        scope = {
            "type": "http",
            "method": method.upper(),
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": b"",
            "headers": [(b"content-length", str(len(data)).encode())],
            "client": None,
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": data, "more_body": False}

        response = await surface.answer(scope, receive, segments(scope), _NOBODY, "operation", actor=actor)
        shown: Any = msgspec.json.decode(response.body)
        refused = shown["error"]["message"] if response.status_code >= 300 else None
        return Answered(response.status_code, shown, refused)

    return perform
