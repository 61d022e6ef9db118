"""Bring a database to the schema this code expects.

Migrations are numbered SQL files, applied in order, each in a transaction of its own, by one program at a time. What
was applied is remembered with its SHA-256: a file that was edited afterwards is refused, and so is a database that
knows more migrations than the code does.
"""

import hashlib
from importlib import resources
from typing import NamedTuple

import asyncpg
from asyncpg import Connection, Record

OLDEST_SERVER = 15

_LOCK = 7_164_290_615  # Any number, as long as every version of this program takes the same.
_LOCK_TIMEOUT_S = 300


class CannotMigrate(Exception):
    """The database is not one this code may touch; the text says why and what to do."""


class Migration(NamedTuple):
    """One numbered file."""

    version: int
    name: str
    checksum: bytes
    sql: str


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing; answers the names applied, in order. Safe to run twice, and at the same time.

    The address must be that of the owner: a role that may create tables, and roles if the two are not there yet.

    Raises:
        CannotMigrate: the server is too old, the database is newer than this code, a file was edited, or the role
            of the address lacks a right.
        OSError: nobody answers at this address.
        asyncpg.PostgresError: a migration failed; those before it stay applied, it has changed nothing.
    """
    connection: Connection[Record] = await asyncpg.connect(
        dsn, timeout=10, server_settings={"search_path": "public", "application_name": "quorate migrate"}
    )
    try:
        return await _apply_missing(connection)
    finally:
        await connection.close()


async def pending(connection: "Connection[Record]") -> list[str]:
    """Names of the migrations this code has and the database has not.

    Raises:
        CannotMigrate: the database is newer than this code, or was migrated by a file that was edited since.
    """
    return [migration.name for migration in _missing(available(), await _applied(connection))]


def available() -> list[Migration]:
    """The migrations this code comes with, in order."""
    folder = resources.files("quorate.store") / "migrations"
    found = sorted((file.name, file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".sql"))
    return [
        Migration(int(name.split("_")[0]), name.removesuffix(".sql"), hashlib.sha256(text).digest(), text.decode())
        for name, text in found
    ]


async def _apply_missing(connection: "Connection[Record]") -> list[str]:
    if connection.get_server_version().major < OLDEST_SERVER:
        raise CannotMigrate(
            f"PostgreSQL {connection.get_server_version().major} is too old: {OLDEST_SERVER} or newer is needed"
        )
    # Of the session, so that it spans all the transactions; it goes with the connection at the latest.
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=_LOCK_TIMEOUT_S)
    await connection.execute(
        """
        CREATE TABLE IF NOT EXISTS schema_migration (
            version    int         PRIMARY KEY,
            name       text        NOT NULL,
            checksum   bytea       NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    missing = _missing(available(), await _applied(connection))
    for migration in missing:
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migration (version, name, checksum) VALUES ($1, $2, $3)", *migration[:3]
                )
        except asyncpg.InsufficientPrivilegeError as error:
            me = await connection.fetchval("SELECT current_user")
            raise CannotMigrate(
                f"{me} may not do what migration {migration.name} asks ({error}). It must own the database and either "
                "may create roles, or an administrator once runs: CREATE ROLE quorate_server; "
                f"CREATE ROLE quorate_worker; GRANT quorate_server, quorate_worker TO {me}"
            ) from error
    return [migration.name for migration in missing]


async def _applied(connection: "Connection[Record]") -> dict[int, Record]:
    if await connection.fetchval("SELECT to_regclass('public.schema_migration')") is None:
        return {}
    rows = await connection.fetch("SELECT version, name, checksum FROM schema_migration ORDER BY version")
    return {row["version"]: row for row in rows}


def _missing(known: list[Migration], applied: dict[int, Record]) -> list[Migration]:
    newer = [row["name"] for version, row in applied.items() if version not in {one.version for one in known}]
    if newer:
        raise CannotMigrate(
            f"the database is newer than this program (it has {', '.join(newer)}): run the program that migrated it"
        )
    for migration in known:
        if migration.version in applied and applied[migration.version]["checksum"] != migration.checksum:
            raise CannotMigrate(
                f"migration {migration.name} was applied with another text: "
                "restore the file, and put the change into a migration of its own"
            )
    return [migration for migration in known if migration.version not in applied]
