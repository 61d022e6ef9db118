"""Native contract b.7: signing in and out, and one's own account."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from quorate import wiring
from quorate.app.verify import Passwords
from quorate.settings import Settings
from quorate.store.database import Database
from tests.app.directory import CHEAP, PASSWORD, SEALER
from tests.store.servers import Server
from tests.surfaces.native.story import Story, error

USER = {
    "id",
    "tenantId",
    "email",
    "firstName",
    "fatherName",
    "grandfatherName",
    "familyName",
    "displayName",
    "roles",
    "permissions",
}
TOKENS = {"accessToken", "refreshToken", "idToken", "tokenType", "expiresIn", "user"}


def tenant(story: Story) -> dict[str, str]:
    return {"X-Tenant-ID": str(story.tenant)}


async def signed_in(story: Story, who: str = "ana", **more: Any) -> Any:
    body = {"email": f"{who}@acme.example", "password": PASSWORD} | more
    answer = await story.call(None, "POST", "/auth/login", body, headers=tenant(story))
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def with_token(story: Story, token: str, method: str, path: str) -> httpx.Response:
    return await story.call(None, method, path, headers={"Authorization": f"Bearer {token}"})


async def test_signing_in_answers_exactly_the_documented_keys(story: Story) -> None:
    given = await signed_in(story, rememberMe=True)

    assert set(given) == TOKENS
    assert set(given["user"]) == USER
    assert (given["tokenType"], given["expiresIn"]) == ("Bearer", 3600)
    assert given["user"]["id"] == str(story.ids["ana"])
    assert (given["user"]["firstName"], given["user"]["fatherName"], given["user"]["displayName"]) == (
        "Ana",
        None,
        "Ana",
    )
    assert given["user"]["roles"] == ["manager"]
    assert (await with_token(story, given["accessToken"], "GET", "/approvals/pending")).status_code == 200
    refused = await with_token(story, given["idToken"], "GET", "/approvals/pending")
    assert error(refused) == (401, "UNAUTHORIZED")


async def test_a_wrong_password_and_an_unknown_login_are_refused_alike(story: Story) -> None:
    for body in (
        {"email": "ana@acme.example", "password": "wrong"},
        {"email": "nobody@acme.example", "password": PASSWORD},
        {"email": "olu@acme.example", "password": PASSWORD},
    ):
        answer = await story.call(None, "POST", "/auth/login", body, headers=tenant(story))
        assert error(answer) == (401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize(("status", "code"), [("suspended", "ACCOUNT_SUSPENDED"), ("inactive", "ACCOUNT_NOT_VERIFIED")])
async def test_an_account_that_may_not_sign_in_is_told_so_after_the_right_password(
    story: Story, db: Database, status: str, code: str
) -> None:
    async with db.tx([story.tenant]) as tx:
        await tx.run("UPDATE principal SET status = $2 WHERE id = $1", story.ids["ana"], status)

    for password, expected in [(PASSWORD, (403, code)), ("wrong", (401, "INVALID_CREDENTIALS"))]:
        body = {"email": "ana@acme.example", "password": password}
        assert error(await story.call(None, "POST", "/auth/login", body, headers=tenant(story))) == expected


async def test_a_tenant_that_does_not_exist_or_was_not_named_is_404(story: Story) -> None:
    body = {"email": "ana@acme.example", "password": PASSWORD}

    for headers in ({"X-Tenant-ID": str(uuid4())}, {}):
        answer = await story.call(None, "POST", "/auth/login", body, headers=headers)
        assert error(answer) == (404, "TENANT_NOT_FOUND")
    answer = await story.call(None, "POST", "/auth/login", body, headers={"X-Tenant-ID": "acme"})
    assert error(answer) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("body", [b"", {}, {"email": "a"}, {"password": "b"}, {"email": 1, "password": "b"}, []])
async def test_a_sign_in_that_is_not_valid_is_400(story: Story, body: Any) -> None:
    answer = await story.call(None, "POST", "/auth/login", body or b"[]", headers=tenant(story))

    assert error(answer) == (400, "VALIDATION_ERROR")


async def test_too_many_attempts_are_429_with_when_to_come_again(postgres: Server, story: Story) -> None:
    passwords = Passwords(CHEAP)
    dsn = postgres.admin(await postgres.migrated())
    settings = Settings(signin_per_login=1, signin_per_address=0)
    body = {"email": "ana@acme.example", "password": "wrong"}
    async with (
        wiring.running(settings, dsn, seal=SEALER, passwords=passwords) as origin,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=origin), base_url="http://quorate.test") as client,
    ):
        first = await client.post("/api/v1/auth/login", json=body, headers=tenant(story))
        second = await client.post("/api/v1/auth/login", json=body, headers=tenant(story))
    passwords.close()

    assert first.status_code == 401
    assert error(second) == (429, "RATE_LIMIT_EXCEEDED")
    assert int(second.headers["retry-after"]) >= 1


async def test_a_refresh_token_counts_once(story: Story) -> None:
    given = await signed_in(story)

    fresh = await story.post(None, "/auth/refresh", {"refreshToken": given["refreshToken"]})

    assert set(fresh) == TOKENS
    again = await story.call(None, "POST", "/auth/refresh", {"refreshToken": given["refreshToken"]})
    assert error(again) == (401, "INVALID_CREDENTIALS")
    for bad in ("nonsense", "qr_x_y_z", fresh["accessToken"]):
        answer = await story.call(None, "POST", "/auth/refresh", {"refreshToken": bad})
        assert error(answer) == (401, "INVALID_CREDENTIALS")
    assert error(await story.call(None, "POST", "/auth/refresh", {})) == (400, "VALIDATION_ERROR")


async def test_after_signing_out_neither_token_counts(story: Story) -> None:
    given = await signed_in(story)

    out = await with_token(story, given["accessToken"], "POST", "/auth/logout")

    assert out.json() == {"success": True, "message": "Logged out"}
    assert error(await with_token(story, given["accessToken"], "GET", "/users/me")) == (401, "UNAUTHORIZED")
    again = await story.call(None, "POST", "/auth/refresh", {"refreshToken": given["refreshToken"]})
    assert error(again) == (401, "INVALID_CREDENTIALS")


async def test_a_key_is_not_signed_out(story: Story) -> None:
    assert error(await story.call("ana", "POST", "/auth/logout")) == (400, "VALIDATION_ERROR")
    await story.get("ana", "/users/me")


async def test_one_sees_ones_own_account(story: Story) -> None:
    me = await story.get("rhea", "/users/me")

    assert set(me) == USER | {
        "status",
        "preferences",
        "mfaEnabled",
        "metadata",
        "managerId",
        "createdAt",
        "updatedAt",
    }
    assert (me["id"], me["tenantId"], me["displayName"]) == (str(story.ids["rhea"]), str(story.tenant), "Rhea")
    assert (me["status"], me["mfaEnabled"], me["managerId"]) == ("active", False, str(story.ids["mona"]))
    assert (await story.get("olu", "/users/me"))["tenantId"] == str(story.elsewhere)
    assert (await story.get("bot", "/users/me"))["permissions"] == ["workflow:write"]
    assert error(await story.call(None, "GET", "/users/me")) == (401, "UNAUTHORIZED")


async def test_the_tenant_header_may_only_agree(story: Story) -> None:
    path = "/users/me"

    assert (await story.call("ana", "GET", path, headers=tenant(story))).status_code == 200
    other = await story.call("ana", "GET", path, headers={"X-Tenant-ID": str(story.elsewhere)})
    assert error(other) == (403, "FORBIDDEN")
    assert error(await story.call("ana", "GET", path, headers={"X-Tenant-ID": "acme"})) == (400, "VALIDATION_ERROR")
    nobody = await story.call(None, "GET", path, headers={"X-Tenant-ID": "acme"})
    assert error(nobody) == (401, "UNAUTHORIZED")
