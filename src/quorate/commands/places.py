"""Where the database is: in a data directory (ours to start and stop), or at an address."""

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from quorate.commands.terminal import Trouble, progress
from quorate.settings import Settings
from quorate.store.database import Database, Retryable
from quorate.store.embedded import attach_or_start
from quorate.store.migrate import migrate


@asynccontextmanager
async def lent(settings: Settings, *, must_exist: bool = False) -> AsyncIterator[str]:
    """Lend the address of the database: the given one, else the data directory's, started for us if nobody runs it.

    Raises:
        Trouble: the directory holds no database, and it must.
        EmbeddedError: the data directory's cannot be started.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    if must_exist and not any(settings.data.glob("pg*/PG_VERSION")):
        raise Trouble(
            f"there is no database in {settings.data}: name its directory with --data, or give --database-url"
        )
    async with progress(f"starting the database in {settings.data}"):
        lending = attach_or_start(settings.data)
        dsn = await lending.__aenter__()
    try:
        yield dsn
    finally:
        await lending.__aexit__(None, None, None)


@asynccontextmanager
async def as_owner(dsn: str) -> AsyncIterator[Database]:
    """Connect as whom the address names, who owns the tables.

    Raises:
        Trouble: nobody answers, or we are not let in.
    """
    db = Database(dsn, role=None, size=2)
    try:
        await db.open()
    except (Retryable, OSError, TimeoutError) as error:
        raise Trouble(f"the database at {address(dsn)} cannot be reached: {error}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Trouble(f"the database at {address(dsn)} does not let us in: {error}") from error
    try:
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def ready(settings: Settings, dsn: str) -> AsyncIterator[Database]:
    """Connect as the owner of a database whose schema is ours; the embedded one is brought there.

    Raises:
        Trouble: it cannot be reached, or migrations are pending that are not ours to apply.
        CannotMigrate: it is not one this program may touch.
    """
    if settings.database_url is None:
        await migrated(dsn)
    async with as_owner(dsn) as owner:
        await demand_current(owner, f"quorate migrate {where(settings)}")
        if not await owns(owner):
            raise Trouble(
                "whoever this address names does not own the tables: give the address of the one who migrates"
            )
        yield owner


async def migrated(dsn: str) -> list[str]:
    """Apply what is pending; answers the names.

    Raises:
        Trouble: the database cannot be reached, or a migration failed.
        CannotMigrate: it is not one this program may touch.
    """
    try:
        async with progress("migrating the database"):
            return await migrate(dsn)
    except (OSError, TimeoutError) as error:
        raise Trouble(f"the database at {address(dsn)} cannot be reached: {error}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Trouble(f"the database at {address(dsn)} could not be migrated: {error}") from error


async def owns(db: Database) -> bool:
    """Do we come as the owner of the tables? A server need not; row security then hides the tenants from us."""
    [row] = await db.across(
        "SELECT pg_has_role(relowner, 'USAGE') AS mine FROM pg_class WHERE oid = 'public.tenant'::regclass"
    )
    return bool(row["mine"])


async def demand_current(db: Database, how: str) -> None:
    """Raises `Trouble` unless we may see that all migrations are applied. `how` is the command that applies them."""
    try:
        pending = await db.migrations_pending()
    except asyncpg.InsufficientPrivilegeError as error:
        raise Trouble(f"{error}: the owner of the database may GRANT quorate_server, quorate_worker to it") from error
    if pending:
        many = "1 migration is" if len(pending) == 1 else f"{len(pending)} migrations are"
        raise Trouble(f"{many} pending ({', '.join(pending)}): run `{how}`")


def address(dsn: str) -> str:
    """Say where a database is, without who is asking and without the password."""
    try:
        parts = urlsplit(dsn)
        place = f"{parts.hostname or 'a local socket'}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "the given URL"
    return f"{place}{parts.path}" if parts.path.strip("/") else place


def where(settings: Settings) -> str:
    """The options that lead to this database, for the operator to repeat. A URL is not shown: passwords stand there."""
    return "--database-url URL" if settings.database_url is not None else f"--data {shlex.quote(str(settings.data))}"
