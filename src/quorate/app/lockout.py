"""Five wrong tries in a row, and for a while nothing counts, not even a right one.

They are counted in the database, so that all server processes count together and a restart forgets nothing. What
is wrong in a decision and what is wrong in a sign-in are counted apart: a stranger who tries logins keeps nobody
from deciding.
"""

import math
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

from quorate.domain.refusals import LockedOut
from quorate.store import tries
from quorate.store.database import Database
from quorate.store.tx import Tx

MOST: Final = 5
LOCKED_FOR: Final = timedelta(minutes=5)

What = Literal["evidence", "sign-in", "second-step"]


async def remaining(tx: Tx, tenant: UUID, what: What, subject: UUID, at: datetime) -> LockedOut | None:
    """Say for how long somebody is locked out; None if they are not. To be asked before anything is verified."""
    made = await tries.read(tx, tenant, what, subject)
    if made is None or made.wrong < MOST or at >= made.last_at + LOCKED_FOR:
        return None
    return LockedOut(max(1, math.ceil((made.last_at + LOCKED_FOR - at).total_seconds())))


async def count(db: Database, tenant: UUID, what: What, subject: UUID, at: datetime, *, right: bool) -> None:
    """Count a try whose outcome is known. It is committed at once: what comes after may fail."""
    async with db.tx({tenant}) as tx:
        if right:
            await tries.forget(tx, tenant, what, subject)
        else:
            await tries.count(tx, tenant, what, subject, at, MOST, LOCKED_FOR)


def nobody(login: str) -> UUID:
    """Give what a login that does not exist is counted under, so that it locks like one that does."""
    return UUID(bytes=sha256(login.casefold().encode(errors="replace")).digest()[:16])
