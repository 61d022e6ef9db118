"""What all tests share: one database server for the whole run, a tenant of its own for every test."""

import os
import re
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from hypothesis import settings

from quorate.store.database import Database
from quorate.store.embedded import Embedded
from tests.domain.seen import SEEN
from tests.programs import closing_line
from tests.store.servers import OWNER, Server, debian_15

# Where a change is judged, the same examples are tried every time; elsewhere every run tries new ones.
settings.register_profile("steady", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("steady")


@pytest.fixture(scope="session")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The PostgreSQL that comes with Quorate."""
    running = await Embedded.start(tmp_path_factory.mktemp("embedded") / "data")
    try:
        server = Server(re.sub(r"/\w+\?", "/{database}?", running.dsn))
        await server.prepare()
        yield server
    finally:
        await running.stop()


@pytest.fixture(scope="session")
async def debian() -> AsyncIterator[Server]:
    """The oldest PostgreSQL we support."""
    async with debian_15() as server:
        yield server


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Server:
    """The embedded server, unless a test says `on_both`."""
    chosen: Server = request.getfixturevalue(getattr(request, "param", "embedded"))
    return chosen


@pytest.fixture(scope="session")
async def db(postgres: Server) -> AsyncIterator[Database]:
    """The shared database, as the server program sees it."""
    async for database in _database(postgres.admin(await postgres.migrated()), "quorate_server"):
        yield database


@pytest.fixture(scope="session")
async def worker(postgres: Server) -> AsyncIterator[Database]:
    """The shared database, as the workers see it."""
    async for database in _database(postgres.admin(await postgres.migrated()), "quorate_worker"):
        yield database


@pytest.fixture(scope="session")
async def owner(postgres: Server) -> AsyncIterator[Database]:
    """The shared database, as the operator's commands see it: the owner, whom row security holds too."""
    async for database in _database(postgres.admin(await postgres.migrated()), OWNER):
        yield database


@pytest.fixture(scope="session")
async def unfenced(postgres: Server) -> AsyncIterator[Database]:
    """The shared database as a superuser, whom row security does not hold."""
    async for database in _database(postgres.admin(await postgres.migrated()), None):
        yield database


@pytest.fixture
async def tenant(owner: Database) -> UUID:
    """A new tenant."""
    return await new_tenant(owner)


@pytest.fixture
async def olu(owner: Database) -> UUID:
    """The tenant Olu belongs to, who is in every story and must never see another tenant's rows."""
    return await new_tenant(owner)


async def new_tenant(owner: Database) -> UUID:
    """Make a tenant named after its id."""
    tenant = uuid4()
    async with owner.tx([tenant]) as tx:
        await tx.run("INSERT INTO tenant (id, slug, name) VALUES ($1, $2, $2)", tenant, f"t-{tenant}")
    return tenant


async def _database(dsn: str, role: str | None) -> AsyncIterator[Database]:
    database = Database(dsn, role=role)
    await database.open()
    yield database
    await database.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many states were seen; count what was skipped and say what to install."""
    for line in SEEN:
        terminalreporter.write_line(line)
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_line(closing_line([str(report.longrepr) for report in skipped]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With QUORATE_REQUIRE_ALL=1, a skip of any kind fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    required = os.environ.get("QUORATE_REQUIRE_ALL") == "1"
    if required and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
