"""Five wrong tries in a row, and for a while nothing counts, not even a right one.

They are counted in the database, so that all server processes count together and a restart forgets nothing. What
is wrong in a decision and what is wrong in a sign-in are counted apart: a stranger who tries logins keeps nobody
from deciding.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from quorate.app.gate import Failed, Whence, tell_of
from quorate.domain.refusals import LockedOut
from quorate.store import tries
from quorate.store.database import Database
from quorate.store.tx import Tx

MOST: Final = 5
LOCKED_FOR: Final = timedelta(minutes=5)
MOST_NAMES: Final = 20_000  # A name forgotten early was wrong longest ago.

What = Literal["evidence", "sign-in", "second-step"]


async def remaining(tx: Tx, tenant: UUID, what: What, subject: UUID, at: datetime) -> LockedOut | None:
    """Say for how long somebody is locked out; None if they are not. To be asked before anything is verified."""
    made = await tries.read(tx, tenant, what, subject)
    if made is None or made.wrong < MOST or at >= made.last_at + LOCKED_FOR:
        return None
    return LockedOut(max(1, math.ceil((made.last_at + LOCKED_FOR - at).total_seconds())))


class Lockout(Struct, frozen=True):
    """Counts tries, and tells of those that matter. `new_id` mints ids of events and messages."""

    db: Database
    new_id: Callable[[], UUID]

    async def count(
        self,
        tenant: UUID,
        what: What,
        subject: UUID,
        at: datetime,
        *,
        right: bool,
        origin: Whence | None,
        failed: Failed | None = None,
    ) -> None:
        """Count a try whose outcome is known. It is committed at once: what comes after may fail.

        Args:
            origin: where it came from; None if there is no such account, and nothing to tell.
            failed: what a wrong one failed at, where every failure is told, and not only that too many lock out.
        """
        async with self.db.tx({tenant}) as tx:
            if right:
                await tries.forget(tx, tenant, what, subject)
                return
            wrong = await tries.count(tx, tenant, what, subject, at, MOST, LOCKED_FOR)
            if origin is not None and failed is not None:
                await tell_of(tx, tenant, subject, "auth.failed", at, origin, self.new_id, facts={"why": failed})
            if origin is not None and wrong == MOST:
                facts = {"lockedOutOf": what, "endsAt": f"{at + LOCKED_FOR:%Y-%m-%dT%H:%M:%SZ}"}
                await tell_of(tx, tenant, subject, "security.lockout", at, origin, self.new_id, facts=facts)


class WrongNames:
    """Wrong tries in a row under names, whether or not there is anybody of that name: who hears that a name is locked
    out learns nothing about it. In process, bounded in memory; what counts at all is for `Lockout` to say.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[bytes, tuple[int, datetime]] = OrderedDict()

    def demand_free(self, name: str, at: datetime) -> None:
        """To be asked before anything is looked up. Raises: LockedOut."""
        wrong, last_at = self._made.get(_digest(name), (0, at))
        if wrong >= MOST and at < last_at + LOCKED_FOR:
            raise LockedOut(max(1, math.ceil((last_at + LOCKED_FOR - at).total_seconds())))

    def count(self, name: str, at: datetime, *, right: bool) -> None:
        """Count a try whose outcome is known."""
        wrong, _ = self._made.pop(_digest(name), (0, at))
        if not right:
            self._made[_digest(name)] = (wrong % MOST + 1, at)
            if len(self._made) > MOST_NAMES:
                self._made.popitem(last=False)


def _digest(name: str) -> bytes:
    return sha256(name.casefold().encode(errors="replace")).digest()


def nobody(login: str) -> UUID:
    """Give what a login that does not exist is counted under, so that it locks like one that does."""
    return UUID(bytes=_digest(login)[:16])
