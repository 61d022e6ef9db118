"""What this surface's handlers are handed: the use cases, and how often a client may call."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from quorate.app.cases import UseCases
from quorate.app.credentials import Credentials
from quorate.app.limits import Limit
from quorate.surfaces.http.call import Http

SURFACE: Final = "sailpoint"
CALLS: Final = 100
WINDOW_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Services:
    """`limit`: 100 calls in 10 seconds a client. Source: SailPoint contract §8, 429."""

    cases: UseCases
    limit: Limit

    @property
    def credentials(self) -> Credentials:
        return self.cases.credentials


def services(cases: UseCases) -> Services:
    return Services(cases, Limit(CALLS, WINDOW_S, lambda: cases.clock().timestamp()))


Call: TypeAlias = Http[Services]
