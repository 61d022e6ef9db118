from collections.abc import AsyncIterator

import pytest

from quorate import wiring
from quorate.app.verify import Passwords
from quorate.store.database import Database
from tests.app.directory import CHEAP, SEALER, Clock
from tests.store.servers import Server
from tests.surfaces.fortanix.story import SETTINGS, Story, told


@pytest.fixture
async def story(postgres: Server, owner: Database) -> AsyncIterator[Story]:
    clock, passwords = Clock(), Passwords(CHEAP)
    dsn = postgres.admin(await postgres.migrated())
    async with (
        wiring.running(SETTINGS, dsn, clock=clock, seal=SEALER, passwords=passwords) as origin,
        told(origin, clock, owner) as world,
    ):
        yield world
    passwords.close()
