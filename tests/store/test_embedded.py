import asyncio
import os
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from quorate.store.embedded import Embedded, EmbeddedError, InUse, attach_or_start, binaries
from tests.programs import needs
from tests.store.embedded_world import (
    NOBODY,
    Installation,
    an_installation,
    another,
    as_user,
    ask,
    ask_until_answered,
    eventually,
    names,
    postmaster,
    scratches,
    serving,
    serving_as,
    status,
)


@pytest.fixture(scope="module")
def open_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that every user of the machine can reach; pytest's own are closed."""
    tmp_path_factory.getbasetemp()  # Makes it in the usual place, before there is another.
    with tempfile.TemporaryDirectory(prefix="open-") as place:
        os.chmod(place, 0o755)  # noqa: S103  That is the point.
        yield Path(place)


@pytest.fixture(scope="module", autouse=True)
def own_temporary_directory(open_place: Path) -> Iterator[None]:
    """Keep other tests' servers out of our sight, here and in the processes we start."""
    (place := open_place / "tmp").mkdir()
    place.chmod(0o1777)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(place))
        patch.setattr(tempfile, "tempdir", str(place))
        yield
    assert names(place) == []


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory to be; at the end nothing runs in it."""
    place = tmp_path / "data"
    yield place
    assert serving(place) == set()


BUSY = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate%' AND pid <> pg_backend_pid()"


@pytest.fixture(scope="module")
async def one_made(open_place: Path) -> Path:
    place = open_place / "made"
    async with running(place):
        return place


@pytest.fixture
def made(one_made: Path) -> Iterator[Path]:
    """A data directory with a cluster from an earlier run."""
    yield one_made
    assert serving(one_made) == set()


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Embedded]:
    server = await Embedded.start(data)
    try:
        yield server
    finally:
        await server.stop()
        assert not serving(data)


async def test_an_empty_directory_becomes_a_database(data: Path) -> None:
    async with running(data) as server:
        row = {
            name: await ask(server.dsn, f"SELECT current_setting('{name}')")
            for name in (
                "data_checksums",
                "listen_addresses",
                "fsync",
                "synchronous_commit",
                "timezone",
                "server_encoding",
            )
        }
        collation = await ask(server.dsn, "SELECT datlocale FROM pg_database WHERE datname = current_database()")
        who = await ask(server.dsn, "SELECT current_user || ' of ' || current_database()")

    assert row == {
        "data_checksums": "on",
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "server_encoding": "UTF8",
    }
    assert collation == "C.UTF-8"
    assert who == "quorate_owner of quorate"
    assert list((data / "pg18/log").glob("postgresql-*.log"))


async def test_data_outlives_a_stop_and_a_stop_leaves_nothing_behind(data: Path) -> None:
    before = scratches()
    async with running(data) as server:
        await ask(server.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        (sockets,) = scratches() - before
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert scratches() == before
    assert (data / "lock").read_bytes() == b""
    assert not (data / "pg18/postmaster.pid").exists()

    async with running(data) as server:
        assert await ask(server.dsn, "SELECT n FROM kept") == 7
    await server.stop()  # A second time changes nothing.


async def test_postgresql_never_runs_as_root_and_holds_no_capability(made: Path) -> None:
    async with running(made):
        process = status(postmaster(made))

    assert "0" not in process["Uid"].split()
    assert "0" not in process["Gid"].split() + process["Groups"].split()
    assert int(process["CapPrm"], 16) == int(process["CapAmb"], 16) == 0


async def test_a_killed_postgresql_is_started_again_with_what_was_committed(made: Path) -> None:
    async with running(made) as server:
        await ask(server.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        first = postmaster(made)
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: not serving_as(first))

        assert await ask_until_answered(server.dsn, "SELECT n FROM kept") == 7
        assert postmaster(made) != first
        assert not server.failed.done()


async def test_a_busy_session_of_a_killed_postgresql_does_not_hold_up_its_return(made: Path) -> None:
    async with running(made) as server:
        session = asyncio.create_task(ask(server.dsn, "SELECT count(*) FROM generate_series(1, 1_000_000_000)"))
        async with asyncio.timeout(10):
            while not (busy := await ask(server.dsn, BUSY)):
                pass
        os.kill(killed := postmaster(made), signal.SIGKILL)

        with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
            await session
        assert await ask_until_answered(server.dsn, "SELECT 7") == 7
        assert not {busy, killed} & serving(made)


async def test_a_postgresql_that_keeps_dying_is_given_up(made: Path) -> None:
    async with running(made) as server:
        for _ in range(5):
            assert await ask_until_answered(server.dsn, "SELECT 7") == 7
            assert not server.failed.done()
            killed = postmaster(made)
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda killed=killed: not serving_as(killed))  # type: ignore[misc]

        error = await asyncio.wait_for(server.failed, 10)
        assert str(error) == f"PostgreSQL on {made} died 5 times within 60 seconds"


async def test_a_start_that_is_cancelled_leaves_nothing_running(data: Path) -> None:
    before = scratches()
    starting = asyncio.create_task(Embedded.start(data))
    await eventually(lambda: list(data.glob("pg18.new-*/*")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    await eventually(lambda: not serving(data))
    assert scratches() == before
    assert names(data) == ["lock"]


async def test_a_path_longer_than_a_socket_may_have_is_no_hindrance(tmp_path: Path) -> None:
    data = tmp_path.joinpath(*["a directory with a rather long name, and a comma"] * 5)
    async with running(data) as server:
        assert await ask(server.dsn, "SELECT 7") == 7
    assert len(str(data)) > 200


async def test_a_second_owner_is_told_who_the_first_one_is(made: Path) -> None:
    async with another("own", made) as owner:
        pid = (await owner.hears())["pid"]
        with pytest.raises(InUse) as refused:
            await Embedded.start(made)
        await owner.ended()

    assert str(refused.value) == f"{made} is in use by process {pid}"


async def test_when_the_owner_is_killed_postgresql_ends_and_the_next_owner_starts_at_once(made: Path) -> None:
    before = scratches()
    async with another("own", made) as owner:
        await owner.hears()
        orphan = postmaster(made)
        await owner.killed()

    async with running(made) as server:
        assert not serving_as(orphan)
        assert await ask(server.dsn, "SELECT 7") == 7
    assert scratches() == before


async def test_when_the_owner_is_killed_postgresql_does_not_wait_for_another_to_end_it(made: Path) -> None:
    before = scratches()
    async with another("own", made) as owner:
        await owner.hears()
        await owner.killed()
    await eventually(lambda: not serving(made))

    assert "received fast shutdown request" in log_of(made)
    async with running(made):
        pass
    assert scratches() == before


async def test_a_postgresql_that_somebody_left_running_is_stopped_first(made: Path) -> None:
    cluster = os.open(made / "pg18", os.O_PATH)
    leftover = await asyncio.create_subprocess_exec(
        *(str(binaries.find(18) / "bin/postgres"), "-D", f"/proc/self/fd/{cluster}"),
        *("-c", "listen_addresses=", "-c", "unix_socket_directories=."),
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=[cluster],
        **as_user((made / "pg18").stat().st_uid),
    )
    os.close(cluster)
    await eventually((made / "pg18/postmaster.pid").exists)

    async with running(made) as server:
        assert await ask(server.dsn, "SELECT 7") == 7
        assert await asyncio.wait_for(leftover.wait(), 10) == 0


async def test_a_stale_process_id_that_now_is_somebody_elses_is_no_hindrance(made: Path) -> None:
    bystander = await asyncio.create_subprocess_exec("sleep", "60", **as_user((made / "pg18").stat().st_uid))
    (made / "pg18/postmaster.pid").write_text(f"{bystander.pid}\n{made}/pg18\n1\n5432\n\n\n  0 0\nready\n")
    try:
        async with running(made) as server:
            assert await ask(server.dsn, "SELECT 7") == 7
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


async def test_an_owner_killed_while_making_the_cluster_leaves_nothing_to_repair(data: Path) -> None:
    async with another("own", data) as owner:
        await eventually(lambda: list(data.glob("pg18.new-*/global/pg_control")))
        await owner.killed()
    assert not (data / "pg18").exists()

    async with running(data) as server:
        assert await ask(server.dsn, "SELECT 7") == 7
    assert names(data) == ["lock", "pg18"]


async def test_ctrl_c_in_a_terminal_reaches_the_owner_alone(made: Path) -> None:
    async with another("own", made) as owner:
        await owner.hears()
        owner.ctrl_c()
        assert await owner.hears() == {"answer": 1}
        assert await owner.ended() == 0
    await eventually(lambda: not serving(made))


async def test_apply_borrows_the_database_of_a_running_server(made: Path) -> None:
    async with another("own", made) as owner:
        theirs = (await owner.hears())["dsn"]
        async with attach_or_start(made) as dsn:
            assert dsn == theirs
            assert await ask(dsn, "SELECT 7") == 7
        assert await owner.hears("SELECT 8") == {"answer": 8}
        await owner.ended()


async def test_apply_starts_a_database_where_none_runs_and_stops_it(made: Path) -> None:
    async with another("own", made) as owner:
        theirs = (await owner.hears())["dsn"]
        await owner.killed()

    async with attach_or_start(made) as dsn:
        assert dsn != theirs
        assert await ask(dsn, "SELECT 7") == 7
    await eventually(lambda: not serving(made))


async def test_apply_waits_for_a_server_that_is_still_starting(data: Path) -> None:
    async with another("own", data) as owner:
        await eventually(lambda: list(data.glob("pg18.new-*")))
        async with attach_or_start(data) as dsn:
            assert dsn == (await owner.hears())["dsn"]
        await owner.ended()


async def test_another_major_version_is_named_and_left_alone(data: Path) -> None:
    old = await Embedded.start(data, major=16)
    await old.stop()
    with pytest.raises(EmbeddedError) as refused:
        await Embedded.start(data)

    assert str(refused.value).startswith(
        f"{data}/pg16 is a database of PostgreSQL 16, and this Quorate runs PostgreSQL 18: "
    )
    assert "\n" not in str(refused.value)
    assert names(data) == ["lock", "pg16"]


@pytest.mark.parametrize("below", ["", "data", "further/data"])
async def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError) as refused:
        await Embedded.start(tmp_path / "file" / below)

    assert str(refused.value) == f"{tmp_path}/file is not a directory"


async def test_a_full_disk_is_one_clear_line_and_heals(data: Path) -> None:
    before = scratches()
    async with another("own", data, file_limit_bytes=2**20) as owner:
        refused = (await owner.hears())["refused"]

    assert refused.startswith(f"cannot make a database in {data}: ")
    assert "\n" not in refused
    assert scratches() == before
    async with running(data) as server:
        assert await ask(server.dsn, "SELECT 7") == 7


async def test_a_broken_setting_is_named(made: Path) -> None:
    conf = made / "pg18/postgresql.conf"
    sound = conf.read_text()
    conf.write_text(f"{sound}shared_buffers = 'much'\n")
    with pytest.raises(EmbeddedError) as refused:
        await Embedded.start(made)
    conf.write_text(sound)

    assert "postgresql.conf" in str(refused.value)


@pytest.fixture(scope="module")
def installation(open_place: Path) -> Installation:
    return an_installation(open_place / "installation")


@needs("root")
async def test_an_ordinary_user_has_the_same(open_place: Path, installation: Installation) -> None:
    (home := open_place / "home").mkdir()
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    data, theirs = home / "data", [str(NOBODY.pw_uid)] * 4
    async with another("own", data, of=installation, user=NOBODY.pw_uid) as owner:
        assert (await owner.hears())["uid"] == NOBODY.pw_uid
        assert await owner.hears("SELECT 7") == {"answer": 7}
        assert status(postmaster(data))["Uid"].split() == theirs
        os.kill(killed := postmaster(data), signal.SIGKILL)
        await eventually(lambda: not serving_as(killed))
        await eventually(
            lambda: (data / "lock").read_bytes() and f'"postgres":{killed}' not in (data / "lock").read_text()
        )
        assert await owner.hears("SELECT 8") == {"answer": 8}
        assert await owner.ended() == 0
    await eventually(lambda: not serving(data))

    # Root may take the directory over, and runs its database as the one whose it is.
    async with running(data):
        assert status(postmaster(data))["Uid"].split() == theirs


@needs("root")
async def test_an_ordinary_user_is_told_in_one_line_what_they_may_not_do(
    open_place: Path, installation: Installation
) -> None:
    (shut := open_place / "shut").mkdir(mode=0o755)
    async with another("own", shut / "data", of=installation, user=NOBODY.pw_uid) as owner:
        new = await owner.hears()
    async with running(shut / "data"):
        pass
    async with another("own", shut / "data", of=installation, user=NOBODY.pw_uid) as owner:
        made_by_root = await owner.hears()

    assert new == {"refused": f"{shut}/data cannot be used: Permission denied"}
    assert made_by_root == {"refused": f"{shut}/data/lock cannot be used: Permission denied"}


@needs("root")
async def test_root_may_keep_installation_and_data_where_nobody_else_can_go(
    open_place: Path, installation: Installation
) -> None:
    data, before = open_place / "installation/hidden-data", scratches()
    with hidden(open_place / "installation"):
        async with another("own", data, of=installation) as owner:
            assert (await owner.hears())["uid"] == 0
            assert await owner.hears("SELECT 7") == {"answer": 7}
            assert status(postmaster(data))["Uid"].split() == [str(NOBODY.pw_uid)] * 4
            await owner.ended()
        await eventually(lambda: not serving(data))

    assert scratches() == before
    assert names(data) == ["lock", "pg18"]


@needs("root")
async def test_programs_out_of_reach_are_copied_once_for_each_version_of_the_wheel(
    open_place: Path, installation: Installation
) -> None:
    data, kept = open_place / "data", []
    with hidden(open_place / "installation"):
        for version in ("1", "1", "2"):
            installation.wheel.write_text(f"Metadata-Version: 2.1\nName: {binaries.WHEEL}\nVersion: {version}\n")
            async with another("own", data, of=installation) as owner:
                assert "dsn" in await owner.hears()
                assert await owner.ended() == 0
            kept += [(copy.name, copy.stat().st_ino) for copy in data.glob("bin*")]
        await eventually(lambda: not serving(data))

    assert [name for name, _ in kept] == ["bin-18-1", "bin-18-1", "bin-18-2"]
    assert kept[0] == kept[1]


@contextmanager
def hidden(place: Path) -> Iterator[None]:
    """Close a directory to everybody but root."""
    place.chmod(0o700)
    yield
    place.chmod(0o755)


@needs("root")
async def test_not_even_postgresqls_own_user_may_connect(made: Path) -> None:
    async with running(made) as server:
        (sockets,) = (place for place in scratches() if place.name in server.dsn)
        knock = await asyncio.create_subprocess_exec(
            *("python3", "-c", KNOCK, str(sockets / ".s.PGSQL.5432")),
            stdout=asyncio.subprocess.PIPE,
            **as_user((made / "pg18").stat().st_uid),
        )
        answer, _ = await asyncio.wait_for(knock.communicate(), 10)

    assert b"Peer authentication failed" in answer


# A start-up message of protocol 3.0, by hand: the other user may not be able to reach our asyncpg.
KNOCK = """
import socket, struct, sys
door = socket.socket(socket.AF_UNIX)
door.connect(sys.argv[1])
words = b"user\\0quorate_owner\\0database\\0quorate\\0\\0"
door.sendall(struct.pack("!II", 8 + len(words), 196608) + words)
sys.stdout.buffer.write(door.recv(1000))
"""


def log_of(made: Path) -> str:
    return "".join(file.read_text() for file in (made / "pg18/log").iterdir())
