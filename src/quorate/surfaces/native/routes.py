"""How a table of routes is written down."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from quorate.surfaces.http.surface import Route
from quorate.surfaces.native.services import Services

Table: TypeAlias = Sequence[Route[Services]]

IF_MATCH: Final = {"If-Match": "change it only if its ETag is still this one"}


def route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route[Services]:
    """Write one route down; what `more` may say is in `Route`."""
    return Route(method=method, path=path, handler=handler, summary=summary, **more)
