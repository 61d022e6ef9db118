from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from quorate import wiring
from quorate.app.verify import Passwords
from quorate.store.database import Database
from tests.app.directory import CHEAP, SEALER, Clock
from tests.store.servers import Server
from tests.surfaces.britive.story import Brit
from tests.surfaces.native.story import SETTINGS, told


@pytest.fixture
async def brit(postgres: Server, db: Database, tenant: UUID, olu: UUID) -> AsyncIterator[Brit]:
    clock, passwords = Clock(), Passwords(CHEAP)
    dsn = postgres.admin(await postgres.migrated())
    async with (
        wiring.running(SETTINGS, dsn, clock=clock, seal=SEALER, passwords=passwords) as origin,
        told(origin, clock, db, tenant, olu) as world,
    ):
        yield await Brit(world).settle()
    passwords.close()
