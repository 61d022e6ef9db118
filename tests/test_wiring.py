"""The whole of it: what answers when all is well, and when the database is away."""

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from quorate import wiring
from quorate.app.verify import Passwords
from quorate.settings import SURFACES, Settings
from quorate.store.database import Database
from quorate.surfaces.http.origin import Origin
from tests.app.directory import CHEAP, SEALER, a_key, a_user
from tests.conftest import new_tenant
from tests.store.proxy import proxied
from tests.store.servers import Server

SETTINGS = Settings(signin_per_login=0, signin_per_address=0)


def calling(origin: Origin, key: str = "none") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=origin),
        base_url="http://quorate.test",
        headers={"Authorization": f"Bearer {key}"},
    )


async def test_a_running_server_says_that_it_is_ready(postgres: Server) -> None:
    passwords, dsn = Passwords(CHEAP), postgres.admin(await postgres.migrated())
    async with wiring.running(SETTINGS, dsn, seal=SEALER, passwords=passwords) as origin, calling(origin) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ok"}
        assert (await client.get("/.well-known/jwks.json")).json()["keys"]
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")
        token = await client.post("/oauth/token", data={"grant_type": "client_credentials"})
        assert token.json() == {"error": "invalid_client"}
        assert (await client.get("/api/v1/nothing")).json()["error"]["code"] == "RESOURCE_NOT_FOUND"
    passwords.close()


def test_the_settings_know_every_surface_there_is() -> None:
    assert tuple(wiring.SURFACES) == SURFACES


@pytest.mark.parametrize("left_out", SURFACES)
async def test_the_paths_of_a_surface_that_is_switched_off_are_unknown(postgres: Server, left_out: str) -> None:
    dsn, passwords = postgres.admin(await postgres.migrated()), Passwords(CHEAP)
    settings = Settings(surfaces=tuple(name for name in SURFACES if name != left_out))
    gone = wiring.SURFACES[left_out](None)  # type: ignore[arg-type]  # It is described, and never called.
    async with wiring.running(settings, dsn, seal=SEALER, passwords=passwords) as origin, calling(origin) as client:
        templates = {one.base + route.path for one in origin.surfaces for route in one.routes}
        kept = [re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(one))) for one in templates]
        for route in gone.routes:
            path = gone.base + route.path
            if not any(known.fullmatch(path) for known in kept):
                answer = await client.request(route.method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == 404, path
        assert (await client.get(f"/openapi/{left_out}.json")).status_code == 404
        page = (await client.get("/docs")).text
        assert sorted(re.findall(r'data-document="/openapi/(\w+)\.json"', page)) == sorted(settings.surfaces)
        for name in settings.surfaces:
            assert (await client.get(f"/openapi/{name}.json")).json()["openapi"].startswith("3.1")
    passwords.close()


async def test_a_database_without_the_schema_is_not_ready(postgres: Server) -> None:
    passwords, dsn = Passwords(CHEAP), postgres.admin(await postgres.migrated())
    async with wiring.running(SETTINGS, dsn, seal=SEALER, passwords=passwords) as origin, calling(origin) as client:
        await postgres.run(
            "INSERT INTO schema_migration (version, name, checksum) VALUES (9999, '9999_later', '')",
            await postgres.migrated(),
        )
        answer = await client.get("/readyz")
        await postgres.run("DELETE FROM schema_migration WHERE version = 9999", await postgres.migrated())

        assert answer.status_code == 503
        assert answer.json() == {"status": "unavailable", "failing": ["migrations"]}
        assert (await client.get("/readyz")).status_code == 200
    passwords.close()


async def test_while_the_database_is_away_callers_are_told_to_try_again(
    postgres: Server, owner: Database, db: Database
) -> None:
    tenant = await new_tenant(owner)
    ana = await a_user(db, tenant, roles=[("admins", ["admin"])])
    _, key = await a_key(db, tenant, ana)
    passwords = Passwords(CHEAP)
    wire = AsyncExitStack()
    proxy = await wire.enter_async_context(proxied(postgres.admin(await postgres.migrated())))
    async with (
        wiring.running(SETTINGS, proxy.dsn, seal=SEALER, passwords=passwords) as origin,
        calling(origin, key) as client,
    ):
        assert (await client.get("/api/v1/workflows")).status_code == 200
        await wire.aclose()

        for method, path, body in [
            ("GET", "/api/v1/workflows", None),
            ("GET", "/api/v1/access-requests", None),
            ("POST", f"/api/v1/approvals/{tenant}/decide", {"decision": "approve"}),
            ("POST", "/api/v1/auth/refresh", {"refreshToken": f"qr_{tenant.hex}_{tenant.hex}_x"}),
        ]:
            answer = await client.request(method, path, json=body)
            assert answer.status_code == 503, (path, answer.text)
            assert answer.json()["error"]["code"] == "UNAVAILABLE"
            assert int(answer.headers["retry-after"]) >= 1
        token = await client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=("ci", "unheard of"))
        assert (token.status_code, token.json()["error"]) == (503, "temporarily_unavailable")
        assert int(token.headers["retry-after"]) >= 1
        stranger = await client.get("/api/v1/workflows", headers={"Authorization": "Bearer unheard-of-so-far"})
        assert stranger.status_code == 503
        assert (await client.get("/healthz")).status_code == 200
        assert "database" in (await client.get("/readyz")).json()["failing"]
    passwords.close()


async def test_loops_run_beside_the_server_and_end_with_it(postgres: Server) -> None:
    passwords, dsn = Passwords(CHEAP), postgres.admin(await postgres.migrated())
    started, ended = asyncio.Event(), asyncio.Event()

    async def loop() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with wiring.running(SETTINGS, dsn, seal=SEALER, passwords=passwords, loops=[loop]):
        async with asyncio.timeout(5):
            await started.wait()
        assert not ended.is_set()
    assert ended.is_set()
    passwords.close()


async def test_a_server_whose_clock_is_off_is_not_ready(postgres: Server) -> None:
    passwords, dsn = Passwords(CHEAP), postgres.admin(await postgres.migrated())
    later = datetime.now(UTC) + timedelta(days=365)
    async with (
        wiring.running(SETTINGS, dsn, clock=lambda: later, seal=SEALER, passwords=passwords) as origin,
        calling(origin) as client,
    ):
        answer = await client.get("/readyz")
    passwords.close()

    assert answer.json() == {"status": "unavailable", "failing": ["clock"]}
