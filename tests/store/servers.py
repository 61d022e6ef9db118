"""PostgreSQL servers for tests: the embedded one, and Debian's, and databases on them.

The databases belong to a role that is no superuser but may create roles, as in a managed database, so that row
security holds the owner too.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from quorate.store.migrate import migrate
from tests.programs import needs

OWNER = "plain_owner"
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

on_both = pytest.mark.parametrize(
    "postgres", ["embedded", pytest.param("debian", marks=needs("postgresql-15"))], indirect=True
)


class Server:
    """A running server, known by its superuser's DSN with `{database}` in the place of the database's name."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._migrated: str | None = None
        self._made = 0

    def admin(self, database: str = "postgres") -> str:
        """The superuser's way in."""
        return self._dsn.format(database=database)

    def owner(self, database: str) -> str:
        """The owner's way in: the superuser, who at once becomes the owner."""
        return f"{self.admin(database)}&role={OWNER}"

    async def prepare(self) -> None:
        """Make the owner's role."""
        await self.run(f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER CREATEROLE")

    async def migrated(self) -> str:
        """The name of the database that tests share, with the schema in it."""
        if self._migrated is None:
            database = await self.fresh()
            await migrate(self.owner(database))
            self._migrated = database
        return self._migrated

    async def fresh(self, owner: str = OWNER) -> str:
        """The name of a new, empty database."""
        self._made += 1
        database = f"test_{self._made}"
        await self.run(f"CREATE DATABASE {database} OWNER {owner}")
        return database

    async def run(self, sql: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(self.admin(database))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@asynccontextmanager
async def debian_15() -> AsyncIterator[Server]:
    """Debian's PostgreSQL 15 on a throw-away cluster."""
    # As root: PostgreSQL refuses to run as root, and a socket's path has room for 107 bytes.
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    place = Path(tempfile.mkdtemp(prefix="qt-", dir="/tmp"))  # Short enough for a socket.
    try:
        if user:
            nobody = pwd.getpwnam("nobody")
            os.chown(place, nobody.pw_uid, nobody.pw_gid)
        data = place / "data"
        await asyncio.to_thread(
            subprocess.run,
            [
                *user,
                str(DEBIAN_15 / "initdb"),
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            timeout=60,
            cwd=place,
        )
        options = {"listen_addresses": "", "unix_socket_directories": str(place), "fsync": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (place / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *user, str(DEBIAN_15 / "postgres"), "-D", str(data), *settings, stdout=log, stderr=log, cwd=place
            )
        try:
            server = Server(f"postgresql://postgres@/{{database}}?host={place}")
            await _answers(server)
            await server.prepare()
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 20)
    finally:
        shutil.rmtree(place)


async def _answers(server: Server) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await server.run("SELECT 1")
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.05)
            else:
                return
