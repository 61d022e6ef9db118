"""`quorate migrate`."""

import asyncio
from argparse import Namespace

from quorate.commands.places import lent, migrated
from quorate.commands.terminal import out
from quorate.settings import Settings


def migrate(settings: Settings, args: Namespace) -> int:
    """Apply what is pending and name it."""
    return asyncio.run(_migrate(settings))


async def _migrate(settings: Settings) -> int:
    async with lent(settings) as dsn:
        applied = await migrated(dsn)
    for name in applied:
        out(f"applied {name}")
    if not applied:
        out("nothing to do: the database is up to date")
    return 0
