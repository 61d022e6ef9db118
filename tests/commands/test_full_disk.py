"""A server whose disk is full: it says so to its callers, loses nothing, and goes on when there is room again."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx
import pytest

from quorate.store.embedded.cluster import dsn
from tests.commands.program import PATIENCE_S, started
from tests.programs import needs
from tests.store.embedded_world import serving

RHEA, DEPLOYER = "demo-key-rhea-of-acme-0001", "5ac3e000-0000-4000-8000-000000000055"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    (place := tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(place)], check=True)
    try:
        yield place
        assert serving(place) == set()
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@needs("mount-rights")
async def test_a_full_disk_is_answered_with_try_again_and_heals(disk: Path) -> None:
    async with (
        started("demo", "--data", disk / "data", "--port", "0") as program,
        httpx.AsyncClient(timeout=PATIENCE_S, headers={"Authorization": f"Bearer {RHEA}"}) as http,
    ):
        url = await program.answers()
        body = {"resourceType": "role", "resourceId": DEPLOYER, "justification": "A release"}
        request = (await http.post(f"{url}/api/v1/access-requests", json=body)).json()["data"]["id"]
        comments = f"{url}/api/v1/access-requests/{request}/comments"

        async def comment(text: str) -> httpx.Response:
            return await http.post(comments, json={"text": text})

        said = [f"one {os.urandom(1500).hex()}"]
        assert (await comment(said[0])).status_code == 201

        ballast = filled(disk)
        while (full := await comment(text := f"more {os.urandom(1500).hex()}")).status_code == 201:
            said.append(text)
        readable = await http.get(f"{url}/api/v1/access-requests/{request}")
        await use_up_the_log(disk / "data")
        down = [await comment("lost") for _ in range(3)]
        await program.says("is full; PostgreSQL is started again until there is room")
        await program.says("is full; PostgreSQL is started again until there is room")
        ballast.unlink()
        async with asyncio.timeout(PATIENCE_S):
            while (await comment("again")).status_code != 201:  # noqa: ASYNC110  Another process sets no event.
                await asyncio.sleep(0.1)

        kept = [one["text"] for one in (await http.get(comments)).json()["data"]["comments"]]
        program.ctrl_c()
        assert (await program.ended()).code == 0

    for answer in (full, *down):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert answer.headers["Retry-After"] == "1"
    assert readable.status_code == 200
    assert kept == [*said, "again"]


def filled(disk: Path) -> Path:
    """Fill a disk to its last byte."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(1 << 16))
    return disk / "ballast"


async def use_up_the_log(data: Path) -> None:
    """Have PostgreSQL begin new segments of its log until it has none left and ends."""
    connection = await asyncpg.connect(dsn(Path(json.loads((data / "lock").read_text())["sockets"])))
    with suppress(asyncpg.PostgresConnectionError):
        while True:
            await connection.execute("SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()")
