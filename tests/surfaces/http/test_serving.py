import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn

from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.serving import config
from tests.surfaces.http.tiny import Services, origin

HEADERS = b"Host: quorate.test\r\nAuthorization: Bearer admin\r\n"


class Announced(uvicorn.Server):
    """A server that says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def served(app: Origin, path: Path) -> AsyncIterator[str]:
    """Serve on a unix socket, whose path it gives."""
    address = str(path / "s")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    server = Announced(config(app, host="127.0.0.1", port=0, drain_s=1))
    running = asyncio.create_task(server._serve([listening]))  # `serve` would take the signal handlers.
    try:
        async with asyncio.timeout(10):
            await server.is_up.wait()
        yield address
    finally:
        server.should_exit = True
        await running
        listening.close()


async def test_a_real_server_adds_nothing_of_its_own(tmp_path: Path) -> None:
    async with served(origin(), tmp_path) as path:
        transport = httpx.AsyncHTTPTransport(uds=path)
        async with httpx.AsyncClient(transport=transport, base_url="http://quorate.test", timeout=10) as http:
            got = await http.get("/api/v1/things/a%20b", headers={"Authorization": "Bearer admin"})

    assert got.json()["id"] == "a b"
    assert sorted(got.headers) == ["content-length", "content-type", "date", "x-content-type-options", "x-request-id"]


async def test_who_hangs_up_on_a_real_server_does_not_undo_the_write(tmp_path: Path) -> None:
    services = Services(hold=asyncio.Event())
    app = origin(services)
    assert services.hold is not None
    async with served(app, tmp_path) as path:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b"POST /api/v1/things HTTP/1.1\r\n" + HEADERS + b'Content-Length: 13\r\n\r\n{"name":"db"}')
        async with asyncio.timeout(10):
            await services.entered.wait()
        writer.close()
        await writer.wait_closed()
        services.hold.set()
        assert await app.drain(10) == 0

    assert [thing.name for thing in services.made] == ["db"]


async def test_a_body_announced_as_too_long_is_answered_before_it_is_sent(tmp_path: Path) -> None:
    async with served(origin(), tmp_path) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"POST /api/v1/things HTTP/1.1\r\n" + HEADERS + b"Content-Length: 2000000\r\n\r\n{")
        async with asyncio.timeout(10):
            status = await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert b" 413 " in status
