"""What this surface's handlers are handed as `http.services`: the use cases."""

from typing import TypeAlias

from quorate.app.cases import UseCases as Services
from quorate.surfaces.http.call import Http

__all__ = ["SURFACE", "Call", "Services"]

SURFACE = "britive"

Call: TypeAlias = Http[Services]
