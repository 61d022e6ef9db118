"""What the native surface's handlers are handed as `http.services`: the use cases."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.responses import Response

from quorate.app.cases import UseCases as Services
from quorate.surfaces.http.call import Http

__all__ = ["SURFACE", "Call", "Handler", "Services"]

SURFACE = "native"

Call: TypeAlias = Http[Services]
Handler: TypeAlias = Callable[[Call], Awaitable[Response]]
