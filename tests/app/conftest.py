from collections.abc import AsyncIterator

import pytest

from quorate.store.database import Database
from tests.app.directory import World


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    made = World(db)
    await made.tokens.start()
    yield made
    made.passwords.close()
