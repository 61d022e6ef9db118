"""The API's page: served whole from this origin, unmodified, and a real browser shows every route with it."""

import asyncio
import os
import re
import socket
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from quorate.surfaces import documents
from quorate.surfaces.documents.api import POLICY, surface
from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.serving import config
from quorate.surfaces.native import api
from tests.programs import needs
from tests.surfaces.http.test_serving import Announced

FOLDER = Path(documents.__file__).parent
VENDORED = FOLDER / "vendor/swagger-ui"
ASSETS = ("", "/page.js", "/swagger-ui-bundle.js", "/swagger-ui.css")
NATIVE = api.surface(None)  # type: ignore[arg-type]  # It is described, and never called.


@asynccontextmanager
async def calling() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Origin([surface([NATIVE])], Peers(None, ())))
    async with httpx.AsyncClient(transport=transport, base_url="http://quorate.test") as http:
        yield http


@pytest.mark.parametrize("asset", ASSETS)
async def test_everybody_gets_the_page_and_what_it_needs(asset: str) -> None:
    async with calling() as http:
        got = await http.get(f"/docs{asset}")

        assert got.status_code == 200
        assert got.headers["content-security-policy"] == POLICY
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["referrer-policy"] == "no-referrer"
        kind = {"js": "text/javascript", "css": "text/css"}.get(asset.rpartition(".")[2], "text/html")
        assert got.headers["content-type"] == f"{kind}; charset=utf-8"


@pytest.mark.parametrize("asset", ASSETS)
async def test_a_copy_that_is_still_the_newest_is_not_sent_again(asset: str) -> None:
    async with calling() as http:
        tag = (await http.get(f"/docs{asset}")).headers["etag"]

        for known in (tag, f'"other", W/{tag}', "*"):
            again = await http.get(f"/docs{asset}", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await http.get(f"/docs{asset}", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_every_surface_is_described_by_its_name() -> None:
    async with calling() as http:
        assert (await http.get("/openapi/native.json")).content == (await http.get("/openapi.json")).content
        assert (await http.get("/openapi/other.json")).status_code == 404
        assert 'data-document="/openapi/native.json"' in (await http.get("/docs")).text


async def test_nothing_else_stands_below_the_page() -> None:
    async with calling() as http:
        for path in ("/docs/vendor/swagger-ui/LICENSE", "/docs/../docs/LICENSE", "/docs/api.py", "/docs/%2e%2e/api.py"):
            assert (await http.get(path)).status_code == 404


async def test_the_page_names_no_other_host_and_holds_no_script_of_its_own() -> None:
    async with calling() as http:
        page, script = (await http.get("/docs")).text, (await http.get("/docs/page.js")).text
        assert not re.search(r"https?:|//[a-z]", page + script.replace("// ", ""))
        assert not re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=", page)
        for address in re.findall(r'(?:src|href)="(/[^"]+)"', page):
            assert (await http.get(address)).status_code == 200, address
    assert "unsafe" not in POLICY


def test_the_vendored_files_are_the_ones_that_were_taken() -> None:
    lines = (VENDORED / "SHA256SUMS").read_text().splitlines()
    taken = {name: digest for digest, name in (line.split("  ") for line in lines)}

    assert {path.name for path in VENDORED.iterdir()} == {*taken, "README.md", "SHA256SUMS"}
    for name, digest in taken.items():
        assert sha256((VENDORED / name).read_bytes()).hexdigest() == digest, name
    assert {"LICENSE", "NOTICE"} <= set(taken)


@needs("chromium")
async def test_a_browser_shows_every_route_and_breaks_no_policy(tmp_path: Path) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    origin = Origin([surface([NATIVE])], Peers(None, ()))
    server = Announced(config(origin, host="127.0.0.1", port=port, drain_s=1))
    running = asyncio.create_task(server._serve([listening]))  # `serve` would take the signal handlers.
    try:
        async with asyncio.timeout(10):
            await server.is_up.wait()
        page, said = await browsed(f"http://127.0.0.1:{port}/docs", tmp_path)
    finally:
        server.should_exit = True
        await running
        listening.close()

    shown = set(re.findall(r'data-path="([^"]+)"', page))
    assert shown == {f"/api/v1{route.path}" for route in NATIVE.routes}
    assert "CONSOLE" not in said, said


async def browsed(address: str, home: Path) -> tuple[str, str]:
    """Open a page; give what it became, and the browser's log with what the page's console said."""
    process = await asyncio.create_subprocess_exec(
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        f"--user-data-dir={home}",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        "--dump-dom",
        address,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "HOME": str(home)},
    )
    try:
        async with asyncio.timeout(60):
            page, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return page.decode(), said.decode(errors="replace")
