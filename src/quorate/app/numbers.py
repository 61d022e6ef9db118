"""Numbers for requests, so that people can name one: `REQ-12`.

A process takes them in blocks, each in a transaction of its own: nobody who files a request waits for a row that all
who file must write. So there are gaps, and two processes do not count in the order of time.
"""

import asyncio
from collections import defaultdict
from typing import Final
from uuid import UUID

from quorate.store.database import Database
from quorate.store.numbers import take_block

BLOCK: Final = 64


class Numbers:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._left: dict[UUID, range] = {}
        self._taking: defaultdict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, tenant: UUID) -> int:
        """Give a number of this tenant that no other request has. Raises: as any transaction."""
        if not self._left.get(tenant):
            async with self._taking[tenant]:
                if not self._left.get(tenant):  # Whoever held the lock took a block for all who waited.
                    async with self._db.tx([tenant]) as tx:
                        first = await take_block(tx, tenant, BLOCK)
                    self._left[tenant] = range(first, first + BLOCK)
        left = self._left[tenant]
        self._left[tenant] = left[1:]
        return left[0]
