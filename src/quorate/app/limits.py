"""How often one may try. In process, bounded in memory, exact within a minute's window.

Several server processes each count for themselves, so the limit of all together is the sum.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from quorate.domain.refusals import Refusal

MOST_NAMES = 50_000  # About 10 MB. A name forgotten early has been idle longest.


@dataclass(eq=False)
class TooOften(Refusal):
    """Too many attempts, or too many at once. `retry_after_s` is when to come again, 1 or more."""

    code = "too_often"
    retry_after_s: int


class Limit:
    """Admits `times` attempts per name in `window_s`, refilled evenly (a token bucket).

    Args:
        times: 0 admits everybody.
        now: monotonic seconds.
    """

    def __init__(self, times: int, window_s: float, now: Callable[[], float], most: int = MOST_NAMES) -> None:
        self._times = times
        self._refill_s = window_s / times if times else 0.0
        self._window_s = window_s
        self._now = now
        self._most = most
        # Per name, the moment at which its bucket will be full again: one number says it all.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> None:
        """Count one attempt. Raises `TooOften`, and then counts nothing."""
        if not self._times:
            return
        now = self._now()
        full_at = max(self._full_at.get(name, now), now) + self._refill_s
        over = full_at - now - self._window_s
        if over > 1e-9 * self._window_s:
            raise TooOften(max(1, math.ceil(over)))
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        self._forget(now)

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        while self._full_at:
            name, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= self._most:
                return
            del self._full_at[name]


class Attempts:
    """The limits on signing in, on tokens and on challenges: so many a minute per login and per address.

    Both are counted before anything is looked up, whether or not the login exists.
    """

    def __init__(self, per_login: int, per_address: int, now: Callable[[], float]) -> None:
        self._logins = Limit(per_login, 60.0, now)
        self._addresses = Limit(per_address, 60.0, now)

    def take(self, what: str, login: str, address: str) -> None:
        """Count one attempt at `what` (sign-in, token, challenge). Raises `TooOften`."""
        self._addresses.take(f"{what}\0{address}")
        self._logins.take(f"{what}\0{login.casefold()[:200]}")
