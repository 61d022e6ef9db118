"""A server's life: filled while it runs, asked, stopped in order or in a hurry, killed; and nothing stays behind."""

import asyncio
import json
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.commands.program import Program, a_whole_installation, ran, started
from tests.programs import needs
from tests.receiver import receiving
from tests.store.embedded_world import NOBODY, eventually, postmaster, serving, serving_as


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "data"
    yield place
    assert serving(place) == set()


@asynccontextmanager
async def served(data: Path, *words: str) -> AsyncIterator[tuple[Program, str]]:
    async with started("serve", "--data", data, "--port", "0", *words) as program:
        yield program, await program.answers()


async def stopped(program: Program, number: signal.Signals = signal.SIGTERM) -> None:
    program.send(number)
    ended = await program.ended()
    assert ended.code == 0, ended


async def test_an_empty_server_says_what_to_do_and_is_filled_while_it_runs(data: Path, tmp_path: Path) -> None:
    async with served(data) as (program, url):
        assert (await call(url, "/healthz"), await call(url, "/readyz")) == ({"status": "ok"}, {"status": "ok"})
        assert f"quorate init --data {data}" in "\n".join([*program.said, *await until(program, "quorate apply")])

        made = json.loads((await ran("init", "--data", data, "--tenant", "acme", "--json")).out)
        me = await call(url, "/api/v1/users/me", key=made["apiKey"])
        assert "admin" in me["data"]["permissions"]
        signed_in = await call(url, "/api/v1/auth/login", {"email": made["login"], "password": made["password"]})
        assert signed_in["success"]

        (tmp_path / "password").write_text("correct horse battery staple\n")
        words = ("--tenant", "olympia", "--login", "olu@olympia.example", "--password-file", tmp_path / "password")
        second = (await ran("init", "--data", data, *words)).out
        assert re.search(r"^password +as given$", second, re.MULTILINE)
        olu = {"email": "olu@olympia.example", "password": "correct horse battery staple"}
        olympia = re.search(r"^tenant +olympia \((.+)\)$", second, re.MULTILINE)
        assert olympia is not None
        assert (await call(url, "/api/v1/auth/login", olu, tenant=olympia[1]))["success"]

        again = await ran("init", "--data", data, "--tenant", "acme")
        assert "there is a tenant acme already" in again.trouble
        await stopped(program)


async def test_messages_are_sent_to_webhooks_while_it_runs(data: Path) -> None:
    async with receiving() as receiver, served(data, "--allow-private-targets") as (program, url):
        made = json.loads((await ran("init", "--data", data, "--tenant", "acme", "--json")).out)
        hook = {"name": "desk", "url": receiver.url(), "events": ["webhook.*"]}

        hook = (await call(url, "/api/v1/webhooks", hook, key=made["apiKey"]))["data"]
        await asyncio.wait_for(receiver.came.wait(), 20)

        [got] = receiver.got
        assert (got.said["type"], got.said["data"]["subject"]["id"]) == ("webhook.created", hook["id"])
        assert got.is_signed_by(hook["secret"])
        await stopped(program)


async def call(url: str, path: str, body: dict[str, Any] | None = None, *, key: str = "", tenant: str = "") -> Any:
    """Call the server, which must say yes; a POST when there is a body."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers |= {"X-Tenant-ID": tenant} if tenant else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http:
        answer = await (http.get(path) if body is None else http.post(path, json=body))
    assert answer.is_success, answer.text
    return answer.json()


async def until(program: Program, what: str) -> list[str]:
    await program.says(what)
    return program.said


async def test_a_file_is_applied_and_exported(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text("tenants:\n  - slug: acme\n    name: Acme\n    roles: [{name: auditors}]\n")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("tenants:\n  - slug: acme\n    rolls: []\n    name: 7\n")

    planned = await ran("apply", file, "--dry-run", "--data", data)
    nothing = await ran("export", "--data", data)
    applied = await ran("apply", file, "--json", "--data", data)
    exported = await ran("export", "--tenant", "acme", "--data", data)
    same = await ran("apply", "-", "--prune", "--data", data, given=exported.out)
    refused = await ran("apply", wrong, "--data", data)
    unknown = await ran("export", "--tenant", "acmee", "--data", data)
    unread = await ran("apply", tmp_path / "none.yaml", "--data", data)

    assert (planned.code, "+ role auditors" in planned.out) == (0, True)
    assert "acme" not in nothing.out
    assert [one["name"] for one in json.loads(applied.out)["tenants"][0]["changes"]][-1] == "auditors"
    assert "auditors" in exported.out
    assert (same.code, same.out) == (0, "nothing to change\n")
    assert refused.code == 1
    assert re.findall(r"wrong.yaml:(\d)", refused.said) == ["3", "4"]
    assert "there is no tenant acmee; there is acme" in unknown.trouble
    assert "none.yaml cannot be read" in unread.trouble


async def test_a_call_in_flight_is_answered_although_the_server_is_stopping(data: Path) -> None:
    async with served(data) as (program, url):
        reader, writer = await half_a_call(url)
        program.send(signal.SIGTERM)
        await program.says("stopping")

        writer.write(b"}")
        async with asyncio.timeout(20):
            answer = await reader.read()

        assert answer.startswith(b"HTTP/1.1 400 ")
        assert (await program.ended()).code == 0
        await hang_up(writer)


async def test_while_it_finishes_a_call_a_stopping_server_tells_others_to_try_again(data: Path) -> None:
    async with served(data) as (program, url), httpx.AsyncClient(base_url=url, timeout=20) as known:
        assert (await known.get("/api/v1/workflows")).status_code == 401
        reader, writer = await half_a_call(url)
        program.send(signal.SIGTERM)
        await program.says("stopping")

        async with httpx.AsyncClient(base_url=url, timeout=20) as new:
            answers = [
                await known.get("/api/v1/workflows"),
                await new.post("/api/v1/access-requests", json={}),
                await new.post("/oauth/token", data={"grant_type": "client_credentials"}),
            ]
            unready, alive = await new.get("/readyz"), await new.get("/healthz")
        writer.write(b"}")
        async with asyncio.timeout(20):
            answered = await reader.read()
        ended = await program.ended()
        await hang_up(writer)

    for answer in answers:
        assert (answer.status_code, answer.headers["Retry-After"], answer.headers["Connection"]) == (503, "1", "close")
    assert [answer.json()["error"] for answer in answers[1:]] == [
        {"code": "UNAVAILABLE", "message": "This cannot be answered just now; please try again"},
        "temporarily_unavailable",
    ]
    assert (unready.status_code, unready.json()["failing"], alive.status_code) == (503, ["stopping"], 200)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert ended.code == 0


async def test_a_call_that_never_ends_does_not_keep_a_server_from_stopping(data: Path) -> None:
    async with served(data, "--drain-seconds", "1") as (program, url):
        reader, writer = await half_a_call(url)
        program.send(signal.SIGTERM)

        ended = await program.ended()
        assert (ended.code, "Traceback" in ended.said) == (0, False)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
        await hang_up(writer)


async def test_a_second_ctrl_c_waits_for_nobody(data: Path) -> None:
    async with served(data, "--drain-seconds", "600") as (program, url):
        reader, writer = await half_a_call(url)
        program.ctrl_c()
        await program.says("stopping")
        program.ctrl_c()

        ended = await program.ended()
        assert (ended.code, "Traceback" in ended.said) == (0, False)
        async with asyncio.timeout(20):
            assert (await reader.read()).partition(b"\r\n")[0] in (b"", b"HTTP/1.1 503 Service Unavailable")
        await hang_up(writer)


async def half_a_call(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a call but for its last byte, and wait until the server waits for that."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: quorate.test\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{"
    )
    async with asyncio.timeout(20):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    return reader, writer


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_ctrl_c_before_the_server_is_up_leaves_nothing_running(data: Path) -> None:
    async with started("serve", "--data", data, "--port", "0") as program:
        await eventually((data / "lock").exists)
        program.ctrl_c()
        assert (await program.ended()).code == 0

    async with served(data) as (program, _):
        await stopped(program, signal.SIGINT)


async def test_when_the_server_is_killed_postgresql_ends_and_the_next_start_has_all_the_data(data: Path) -> None:
    assert (await ran("init", "--data", data)).code == 0
    async with served(data) as (program, _):
        postgres = postmaster(data)
        program.send(signal.SIGKILL)
        await program.ended()
        await eventually(lambda: not serving_as(postgres))

    async with served(data) as (program, _):
        await stopped(program)
        assert "There is no tenant yet" not in "\n".join(program.said)


async def test_a_database_that_keeps_dying_ends_the_server_with_one_clear_line(data: Path) -> None:
    async with served(data) as (program, _):
        with (data / "pg18/postgresql.conf").open("a") as conf:
            conf.write("no_such_setting = 1\n")
        os.kill(postmaster(data), signal.SIGKILL)

        assert "died 5 times within 60 seconds" in (await program.ended()).trouble


@pytest.fixture(scope="module")
def open_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that every user of the machine can reach."""
    with tempfile.TemporaryDirectory(prefix="open-", dir="/tmp") as place:
        os.chmod(place, 0o755)  # noqa: S103  That is the point.
        yield Path(place)


@needs("root")
async def test_an_ordinary_user_has_the_same_and_is_told_what_they_may_not_do(open_place: Path) -> None:
    theirs = a_whole_installation(open_place / "installation")
    (home := open_place / "home").mkdir(mode=0o700)
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    (shut := open_place / "shut").mkdir(mode=0o700)

    refused, low = await asyncio.gather(
        ran("serve", "--data", shut / "data", "--port", "0", of=theirs, user=NOBODY.pw_uid),
        ran("serve", "--data", home / "data", "--port", "1", of=theirs, user=NOBODY.pw_uid),
    )
    async with started(
        "demo", "--data", home / "data", "--port", "0", of=theirs, user=NOBODY.pw_uid, env={"HOME": str(home)}
    ) as program:
        url = await program.answers()
        assert await call(url, "/readyz") == {"status": "ok"}
        program.ctrl_c()
        assert (await program.ended()).code == 0

    assert f"{shut}/data cannot be used: Permission denied" in refused.trouble
    assert "port 1 is for privileged programs" in low.trouble
    assert serving(home / "data") == set()
    assert (home / "data/secret.key").stat().st_mode & 0o777 == 0o600
