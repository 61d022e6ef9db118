"""A courier that a test will kill: it sends what is due, once.

python -m tests.workers.doomed_courier DSN MOMENT
"""

import asyncio
import sys
from datetime import datetime
from uuid import uuid4

from quorate.app.outgoing import Outgoing
from quorate.app.sending import Sending
from quorate.store.database import Database
from quorate.workers.courier import Courier
from tests.app.directory import SEALER


async def main(dsn: str, at: datetime) -> None:
    db = Database(dsn, role="quorate_worker", size=1)
    outgoing = Outgoing(allow_private=True)
    courier = Courier(Sending(db, SEALER, clock=lambda: at, new_id=uuid4), outgoing, lambda: at)
    await courier.turn()
    await courier.all_back()
    await outgoing.close()
    await db.close()


if __name__ == "__main__":
    dsn, moment = sys.argv[1:]
    asyncio.run(main(dsn, datetime.fromisoformat(moment)))
