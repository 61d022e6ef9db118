"""The checks of `quorate doctor`, and what they find."""

import enum
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from quorate.app.seal import KEY_FILE, BadSecretKey, Sealer, sealer
from quorate.commands.places import as_owner, lent, where
from quorate.commands.standing import look_at
from quorate.commands.terminal import Trouble
from quorate.settings import Settings
from quorate.store.database import Database
from quorate.store.embedded import EmbeddedError
from quorate.store.migrate import OLDEST_SERVER, CannotMigrate
from quorate.store.tenants import every_tenant

NEWEST_SERVER = 18
SKEW_S = 1.0  # More, and the server says it is not ready.
LITTLE, TOO_LITTLE = 0.10, 0.02  # of the disk
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Level(enum.StrEnum):
    WELL = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(Struct, frozen=True):
    level: Level
    about: str
    text: str


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything; what cannot be looked at is itself a finding."""
    for one in (*secret_key(settings), *disk(settings.data, embedded=settings.database_url is None)):
        yield one
    try:
        async with lent(settings, must_exist=True) as dsn, as_owner(dsn) as owner:
            async for one in _database(owner, settings):
                yield one
    except (Trouble, EmbeddedError) as error:
        yield Finding(Level.WRONG, "database", str(error))


def secret_key(settings: Settings) -> Iterator[Finding]:
    """Is there a key to seal secrets with, that nobody else can read?"""
    path, about = settings.data / KEY_FILE, "secret key"
    if settings.secret_key is None and not path.exists():
        yield Finding(Level.WELL, about, f"not made yet: the first start makes {path}")
        return
    try:
        assert isinstance(sealer(settings.secret_key, settings.data), Sealer)
    except BadSecretKey as error:
        yield Finding(Level.WRONG, about, str(error))
        return
    except OSError as error:
        yield Finding(Level.WRONG, about, f"{path} cannot be read: {error.strerror}")
        return
    if settings.secret_key is not None:
        yield Finding(Level.WELL, about, "from QUORATE_SECRET_KEY")
    elif path.stat().st_mode & OTHERS:
        yield Finding(Level.WRONG, about, f"others may read {path}: chmod 600 it, and rotate the key")
    else:
        yield Finding(Level.WELL, about, f"{path}, for its owner alone; keep a copy apart from the database's")


def disk(data: Path, *, embedded: bool) -> Iterator[Finding]:
    """Is there room for the embedded database to grow?"""
    if not embedded or not data.exists():
        return
    usage = shutil.disk_usage(data)
    free = usage.free / usage.total
    text = f"{free:.0%} of the disk of {data} is free ({usage.free / 2**30:.1f} GiB)"
    yield Finding(Level.WRONG if free < TOO_LITTLE else Level.WARNING if free < LITTLE else Level.WELL, "disk", text)


async def _database(owner: Database, settings: Settings) -> AsyncIterator[Finding]:
    [row] = await owner.across(
        """
        SELECT current_setting('server_version') AS version,
               current_setting('server_version_num')::int / 10000 AS major, rolsuper AS super, rolname AS name
          FROM pg_roles WHERE rolname = current_user
        """
    )
    level = Level.WRONG if row["major"] < OLDEST_SERVER else Level.WELL
    level = Level.WARNING if row["major"] > NEWEST_SERVER else level
    yield Finding(
        level, "database", f"PostgreSQL {row['version']}; {OLDEST_SERVER} to {NEWEST_SERVER} are known to work"
    )
    if settings.database_url is not None and row["super"]:
        text = f"{row['name']} is a superuser, whom row security does not hold: let a plain role own the database"
        yield Finding(Level.WARNING, "owner", text)
    yield _skew(await owner.clock_skew(lambda: datetime.now(UTC)))
    try:
        pending = await owner.migrations_pending()
    except CannotMigrate as error:
        yield Finding(Level.WRONG, "migrations", str(error))
        return
    if pending:
        text = f"{len(pending)} pending ({', '.join(pending)}): run `quorate migrate {where(settings)}`"
        yield Finding(Level.WRONG, "migrations", text)
        return
    yield Finding(Level.WELL, "migrations", "none pending")
    yield await _fences(owner)
    async for finding in _tenants(owner, settings):
        yield finding


def _skew(seconds: float) -> Finding:
    text = f"PostgreSQL's is {abs(seconds):.3f} s {'ahead' if seconds > 0 else 'behind'}"
    return Finding(Level.WRONG if abs(seconds) > SKEW_S else Level.WELL, "clock", text)


async def _fences(owner: Database) -> Finding:
    """Does row security hold the two roles that the programs act as, on every table with tenants' rows?"""
    roles = await owner.across(
        """
        SELECT wanted AS name, r.oid IS NULL AS missing, r.rolsuper OR r.rolbypassrls AS free,
               EXISTS (SELECT FROM pg_class c WHERE relowner = r.oid AND relnamespace = 'public'::regnamespace) AS owns
          FROM unnest(ARRAY['quorate_server', 'quorate_worker']) AS wanted LEFT JOIN pg_roles r ON r.rolname = wanted
        """
    )
    tables = await owner.across(
        """
        SELECT c.relname AS name
          FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
           AND (c.relname = 'tenant' OR EXISTS (
               SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
         ORDER BY c.relname
        """
    )
    wrong = [f"{role['name']} is missing" for role in roles if role["missing"]]
    wrong += [f"{role['name']} passes row security" for role in roles if role["free"]]
    wrong += [f"{role['name']} owns tables" for role in roles if role["owns"]]
    wrong += [f"row security is off on {table['name']}" for table in tables]
    if wrong:
        return Finding(Level.WRONG, "row security", "; ".join(wrong))
    return Finding(Level.WELL, "row security", "forced on every table, for the server and for the workers")


async def _tenants(owner: Database, settings: Settings) -> AsyncIterator[Finding]:
    known = await every_tenant(owner)
    if not known:
        yield Finding(Level.WARNING, "tenants", f"there is none: run `quorate init {where(settings)}`")
        return
    yield Finding(Level.WELL, "tenants", f"{len(known)}")
    quiet = True
    for slug, tenant in known.items():
        for text in await look_at(owner, tenant):
            quiet = False
            yield Finding(Level.WARNING, f"tenant {slug}", text)
    if quiet:
        yield Finding(Level.WELL, "approvals", "every step of every active workflow has people who can decide it")
