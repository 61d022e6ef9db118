import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx
import jwt
import pytest

from quorate.store.database import Database
from quorate.surfaces.http import oauth
from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.peer import Peers
from tests.app.directory import World, a_client, a_service
from tests.surfaces.http.tiny import caller

GRANT = {"grant_type": "client_credentials"}


@asynccontextmanager
async def client_of(world: World) -> AsyncIterator[httpx.AsyncClient]:
    await world.tokens.start()
    services = oauth.Services(world.signin, world.tokens, "test")
    async with caller(Origin([oauth.surface(services)], Peers(None, ())), key=None) as http:
        yield http
    world.passwords.close()


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(World(db)) as made:
        yield made


@pytest.fixture
async def ci(db: Database, tenant: UUID) -> dict[str, str]:
    """Client credentials of a service that may write workflows."""
    secret = f"a:secret+of%ci-{tenant}"
    service = await a_service(db, tenant, permissions=["workflow:write"])
    await a_client(db, tenant, service, "ci", secret)
    return {"client_id": "ci", "client_secret": secret}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def test_a_form_is_exchanged_for_a_token(http: httpx.AsyncClient, ci: dict[str, str], tenant: UUID) -> None:
    got = await http.post("/oauth/token", data=GRANT | ci)

    body = got.json()
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert got.status_code == 200
    assert got.headers["Cache-Control"] == "no-store"
    assert body == {
        "access_token": body["access_token"],
        "token_type": "bearer",
        "expires_in": 3600,
        "scope": "workflow:write",
        "tenant_id": str(tenant),
        "org": f"t-{tenant}",
        "pod": "test",
        "jti": claims["jti"],
    }


async def test_a_token_verifies_with_the_public_keys(http: httpx.AsyncClient, ci: dict[str, str]) -> None:
    token = (await http.post("/oauth/token", data=GRANT | ci)).json()["access_token"]
    keys = jwt.PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]

    assert jwt.decode(token, key, algorithms=["RS256"], audience="urn:quorate:api")["region"] == "test"


async def test_basic_credentials_are_form_encoded_inside(http: httpx.AsyncClient, ci: dict[str, str]) -> None:
    secret = ci["client_secret"].replace("%", "%25").replace("+", "%2B").replace(":", "%3A")

    got = await http.post("/oauth/token", data=GRANT, headers=basic("ci", secret))

    assert got.status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": "x" * 600}, 401, "invalid_client"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "admin"}, 400, "invalid_scope"),
        ({"client_id": "a\0b"}, 400, "invalid_request"),
    ],
)
async def test_errors_are_those_of_rfc_6749(
    http: httpx.AsyncClient, ci: dict[str, str], form: dict[str, str], status: int, error: str
) -> None:
    got = await http.post("/oauth/token", data=GRANT | ci | form)

    assert (got.status_code, got.json()["error"]) == (status, error)
    assert got.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in got.headers) == (status == 401)


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic Og==", "Basic /w==", "Bearer x", "Basic Y2k="])
async def test_an_odd_header_is_an_invalid_client(http: httpx.AsyncClient, header: str) -> None:
    got = await http.post("/oauth/token", data=GRANT, headers={"Authorization": header})

    assert (got.status_code, got.json()["error"]) == (401, "invalid_client")


async def test_credentials_given_twice_are_an_invalid_request(http: httpx.AsyncClient, ci: dict[str, str]) -> None:
    got = await http.post("/oauth/token", data=GRANT | ci, headers=basic("ci", "x"))

    assert (got.status_code, got.json()["error"]) == (400, "invalid_request")


async def test_a_large_or_odd_body_is_answered_as_an_error_of_the_protocol(http: httpx.AsyncClient) -> None:
    large = await http.post("/oauth/token", content=b"grant_type=" + b"x" * 1_000_001)
    odd = await http.post("/oauth/token", content=b"\xff\xfe")

    assert (large.status_code, large.json()["error"]) == (413, "invalid_request")
    assert (odd.status_code, odd.json()["error"]) == (400, "invalid_request")


async def test_only_post_is_answered_and_nothing_else_lives_here(http: httpx.AsyncClient) -> None:
    assert (await http.get("/oauth/token")).status_code == 405
    assert (await http.post("/oauth/token/more")).status_code == 404


async def test_too_many_attempts_are_told_when_to_come_again(db: Database, ci: dict[str, str]) -> None:
    async with client_of(World(db, per_login=1)) as http:
        await http.post("/oauth/token", data=GRANT | ci)
        got = await http.post("/oauth/token", data=GRANT | ci)

    assert (got.status_code, got.headers["Retry-After"]) == (429, "60")
