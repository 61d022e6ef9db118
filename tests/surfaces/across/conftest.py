from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from quorate import wiring
from quorate.app.verify import Passwords
from quorate.settings import Settings
from quorate.store.database import Database
from tests.app.directory import CHEAP, SEALER, Clock
from tests.store.servers import Server
from tests.surfaces.across.world import World
from tests.surfaces.native.story import told


@pytest.fixture
async def world(postgres: Server, db: Database, tenant: UUID, olu: UUID) -> AsyncIterator[World]:
    clock, passwords = Clock(), Passwords(CHEAP)
    settings = Settings(signin_per_login=0, signin_per_address=0, surfaces=tuple(wiring.SURFACES))
    dsn = postgres.admin(await postgres.migrated())
    async with (
        wiring.running(settings, dsn, clock=clock, seal=SEALER, passwords=passwords) as origin,
        told(origin, clock, db, tenant, olu) as story,
    ):
        yield World(story)
    passwords.close()
