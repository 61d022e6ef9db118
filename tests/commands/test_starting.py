"""What keeps a server from starting is one clear line, and the exit code says so."""

import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from quorate.store.migrate import available, migrate
from tests.commands.program import Program, a_free_port, ran, started
from tests.store.embedded_world import serving
from tests.store.servers import Server

PENDING = len(available())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Program, Path]]:
    data = tmp_path / "data"
    async with started("serve", "--data", data, "--port", "0") as program:
        await program.answers()
        yield program, data
        program.send(signal.SIGTERM)
        assert (await program.ended()).code == 0
    assert serving(data) == set()


async def test_a_busy_port_is_noticed_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]

        ended = await ran("serve", "--data", tmp_path / "data", "--port", str(port))

    assert ended.trouble == (
        f"quorate: port {port} on 127.0.0.1 is in use: choose another with --port, or stop what listens there"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("host", "says"),
    [("203.0.113.7", "203.0.113.7 is no address of this machine"), ("no.such.host.invalid", "cannot listen on")],
)
async def test_a_host_that_is_not_ours_is_said(tmp_path: Path, host: str, says: str) -> None:
    assert says in (await ran("serve", "--data", tmp_path / "data", "--port", "0", "--host", host)).trouble


async def test_a_data_directory_in_use_names_who_uses_it(server: tuple[Program, Path]) -> None:
    program, data = server

    ended = await ran("serve", "--data", data, "--port", "0")

    assert f"{data} is in use by process {program.pid}" in ended.trouble


async def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "/proc/nowhere cannot be used" in (await ran("serve", "--data", "/proc/nowhere/data", "--port", "0")).trouble
    assert f"{tmp_path}/file is not a directory" in (await ran("demo", "--data", tmp_path / "file/below")).trouble


async def test_another_major_version_is_said(tmp_path: Path) -> None:
    (tmp_path / "data/pg16").mkdir(parents=True)
    (tmp_path / "data/pg16/PG_VERSION").write_text("16\n")

    said = (await ran("demo", "--data", tmp_path / "data", "--port", "0")).trouble

    assert "PostgreSQL 16" in said
    assert "PostgreSQL 18" in said


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["init"]])
async def test_a_database_that_does_not_answer_is_said_without_the_password(command: list[str], tmp_path: Path) -> None:
    url = f"postgresql://quorate:hunter2@127.0.0.1:{a_free_port()}/quorate"

    ended = await ran(*command, "--data", tmp_path / "data", env={"QUORATE_DATABASE_URL": url})

    assert "the database at 127.0.0.1" in ended.trouble
    assert "cannot be reached" in ended.trouble
    assert "hunter2" not in ended.said


@pytest.mark.parametrize("url", ["mysql://db/quorate", "postgresql://[::1/quorate", "quorate"])
async def test_an_address_that_is_none_is_said(url: str, tmp_path: Path) -> None:
    assert "database" in (await ran("serve", "--port", "0", "--data", tmp_path, "--database-url", url)).trouble


async def test_a_database_with_pending_migrations_is_not_served_until_somebody_says_so(
    postgres: Server, tmp_path: Path
) -> None:
    await postgres.migrated()  # So that the roles of this server are its plain owner's.
    url = postgres.admin(await postgres.fresh())
    words = ("serve", "--port", "0", "--data", tmp_path / "data", "--database-url", url)

    refused = await ran(*words)
    assert f"{PENDING} migrations are pending" in refused.trouble
    assert "quorate migrate --database-url URL" in refused.trouble

    async with started(*words, "--migrate") as program:
        await program.answers()
        program.send(signal.SIGTERM)
        assert (await program.ended()).code == 0
    again = await ran("migrate", "--database-url", url)
    assert (again.code, again.out) == (0, "nothing to do: the database is up to date\n")


async def test_a_database_newer_than_the_program_is_left_alone(postgres: Server, tmp_path: Path) -> None:
    await postgres.migrated()  # So that the roles of this server are its plain owner's.
    url = postgres.admin(await postgres.fresh())
    await migrate(url)
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO schema_migration VALUES (9999, '9999_from_the_future', '')")
    await connection.close()

    for command in (["serve", "--port", "0"], ["migrate"]):
        ended = await ran(*command, "--data", tmp_path / "data", "--database-url", url)
        assert "newer than this program" in ended.trouble


async def test_a_server_need_not_come_as_the_owner_but_whoever_fills_the_database_must(
    postgres: Server, tmp_path: Path
) -> None:
    await postgres.migrated()
    database = await postgres.fresh()
    await migrate(postgres.owner(database))
    await postgres.run("CREATE ROLE plain_server LOGIN IN ROLE quorate_server, quorate_worker")
    url = postgres.admin(database).replace("quorate_owner@", "plain_server@")
    assert "plain_server" in url

    async with started("serve", "--port", "0", "--data", tmp_path / "data", "--database-url", url) as program:
        await program.answers()
        program.send(signal.SIGTERM)
        ended = await program.ended()
    refused = await ran("init", "--database-url", url)
    await postgres.run("CREATE ROLE plain_stranger LOGIN")
    stranger = await ran(
        *("serve", "--port", "0", "--data", tmp_path / "data"),
        *("--database-url", url.replace("plain_server@", "plain_stranger@")),
    )

    assert (ended.code, "no tenant" in ended.said) == (0, False)
    assert "does not own the tables" in refused.trouble
    assert "may GRANT quorate_server, quorate_worker to it" in stranger.trouble


@pytest.mark.parametrize(("variable", "value"), [("QUORATE_PORT", "http"), ("QUORATE_SECRET_KEY", "short")])
async def test_a_bad_setting_is_said_by_name(variable: str, value: str, tmp_path: Path) -> None:
    env = {"QUORATE_PORT": "0", "QUORATE_DATA": str(tmp_path / "data")} | {variable: value}

    assert variable in (await ran("serve", env=env)).trouble


async def test_a_misspelt_variable_is_a_warning_with_the_one_that_was_meant() -> None:
    env = {"QUORATE_PROT": "1", "QUORATE_SERVICE_HOST": "10.0.0.1", "QUORATE_PORT_80_TCP": "x"}

    ended = await ran("version", env=env)

    assert ended.code == 0
    assert ended.said == "warning: QUORATE_PROT is no option: did you mean QUORATE_PORT?\n"
