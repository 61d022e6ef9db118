import asyncio
import logging
from typing import Any

import httpx
import pytest

from quorate.surfaces.http.origin import Origin
from tests.surfaces.http.tiny import TENANT, Services, caller, origin


async def test_a_handler_answers_with_what_the_call_says() -> None:
    async with caller(origin()) as http:
        got = await http.get("/api/v1/things/a%20b")

    assert got.status_code == 200
    assert got.json() == {
        "id": "a b",
        "by": "00000000-0000-0000-0000-000000000007",
        "origin": "http://quorate.test",
        "from": "127.0.0.1",
    }


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "NotSignedIn"),
        ({"Authorization": "Bearer wrong"}, 401, "NotSignedIn"),
        ({"Authorization": "Bearer"}, 401, "NotSignedIn"),
        ({"Authorization": "Basic YWRtaW46"}, 401, "NotSignedIn"),
        ({"Authorization": "admin"}, 401, "NotSignedIn"),
        ({"Authorization": "Bearer " + "x" * 9000}, 401, "NotSignedIn"),
        ({"Authorization": "Bearer wrong", "X-Tenant-ID": "nonsense"}, 401, "NotSignedIn"),
        ({"Authorization": "Bearer reader", "X-Tenant-ID": "nonsense"}, 400, "BadInput"),
        ({"Authorization": "Bearer reader", "X-Tenant-ID": "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"}, 403, "OtherTenant"),
        ({"Authorization": "Bearer reader", "X-Tenant-ID": str(TENANT)}, 403, "NotPermitted"),
        ({"Authorization": "bearer admin"}, 400, "BadInput"),
    ],
)
async def test_first_who_then_which_tenant_then_what_may_they_then_the_body(
    headers: dict[str, str], status: int, code: str
) -> None:
    async with caller(origin(), key=None) as http:
        got = await http.post("/api/v1/things", content=b"{", headers=headers)

    assert (got.status_code, got.json()["code"]) == (status, code)
    assert ("WWW-Authenticate" in got.headers) == (status == 401)


async def test_two_authorization_headers_are_no_credential() -> None:
    async with caller(origin(), key=None) as http:
        headers = [("Authorization", "Bearer admin"), ("Authorization", "Bearer reader")]
        got = await http.get("/api/v1/things", headers=headers)

    assert got.status_code == 401


async def test_an_open_route_asks_nobody_who_they_are() -> None:
    async with caller(origin(), key=None) as http:
        got = await http.get("/api/v1/hello")

    assert got.json() == {"signed_in": False}


async def test_every_field_error_is_answered_at_once() -> None:
    async with caller(origin()) as http:
        got = await http.post("/api/v1/things", json={"steps": [{"order": "1"}]})

    assert got.status_code == 400
    assert [detail["field"] for detail in got.json()["details"]] == ["name", "steps[0].order", "steps[0].name"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/api/v1/things/",
        "/api/v1/things/%2F",
        "/api/v1/things/%00",
        "/api/v1/things/%ff",
        "/api/v1/things/%2e%2e",
    ],
)
async def test_an_unknown_path_is_answered_in_the_words_of_its_surface(path: str) -> None:
    async with caller(origin()) as http:
        got = await http.get(path)

    assert (got.status_code, got.json()["code"]) == (404, "NoSuchPath")


async def test_a_path_of_no_surface_is_plainly_not_found() -> None:
    async with caller(origin()) as http:
        got = await http.get("/elsewhere")

    assert (got.status_code, got.text) == (404, "Not found\n")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "TRACE", "BREW"])
async def test_a_wrong_method_is_told_the_right_ones(method: str) -> None:
    async with caller(origin(), key=None) as http:
        got = await http.request(method, "/api/v1/things")

    assert (got.status_code, got.json()["code"]) == (405, "WrongMethod")
    assert got.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_options_tells_the_methods_and_allows_no_other_origin() -> None:
    async with caller(origin(), key=None) as http:
        got = await http.options("/api/v1/things", headers={"Origin": "https://evil.example"})

    assert (got.status_code, got.content) == (204, b"")
    assert got.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert not [name for name in got.headers if name.startswith("access-control")]


async def test_head_is_get_without_the_body() -> None:
    async with caller(origin()) as http:
        got, head = await http.get("/api/v1/things"), await http.head("/api/v1/things")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


async def test_a_refusal_with_a_wait_says_when_to_come_again() -> None:
    async with caller(origin()) as http:
        got = await http.get("/api/v1/things/busy")

    assert (got.status_code, got.headers["Retry-After"]) == (429, "7")


async def test_while_the_database_is_away_the_surface_says_try_again(caplog: pytest.LogCaptureFixture) -> None:
    async with caller(origin()) as http:
        got = await http.get("/api/v1/things/away")

    assert (got.status_code, got.json()["code"], got.headers["Retry-After"]) == (503, "TryAgain", "1")
    assert "db.internal" not in got.text
    assert "db.internal" in caplog.text


async def test_an_origin_that_refuses_finishes_what_it_has_begun() -> None:
    services = Services(hold=asyncio.Event())
    app = origin(services)
    assert services.hold is not None
    async with caller(app) as http:
        begun = asyncio.create_task(http.post("/api/v1/things", json={"name": "db"}))
        await services.entered.wait()
        app.refuse()
        refused, nowhere = await http.post("/api/v1/things", json={"name": "no"}), await http.get("/nowhere")
        busy = [app.is_busy]
        services.hold.set()
        await app.finish(10)
        busy.append(app.is_busy)

        assert busy == [True, False]
        assert ((await begun).status_code, (await begun).headers["Connection"]) == (201, "close")
    assert (refused.status_code, refused.headers["Retry-After"], refused.headers["Connection"]) == (503, "1", "close")
    assert nowhere.status_code == 404
    assert [thing.name for thing in services.made] == ["db"]


async def test_an_origin_does_not_wait_longer_than_it_is_told() -> None:
    services = Services(hold=asyncio.Event())
    app = origin(services)
    assert services.hold is not None
    async with caller(app) as http:
        begun = asyncio.create_task(http.post("/api/v1/things", json={"name": "db"}))
        await services.entered.wait()
        await app.finish(0.01)
        assert app.is_busy
        services.hold.set()
        await begun


async def test_a_bug_is_logged_under_the_calls_id_and_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with caller(origin()) as http:
        got = await http.get("/api/v1/things/bug", headers={"X-Request-Id": "abc-1"})

    assert (got.status_code, got.json()) == (500, {"code": "InternalError", "details": []})
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__["request_id"] == "abc-1"
    assert record.exc_info is not None


async def test_credentials_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "qk_5f3a_do-not-log-me-anywhere"
    async with caller(origin(Services(keys={secret: frozenset({"admin"})})), key=secret) as http:
        for path in ("/api/v1/things", "/api/v1/things/bug", "/api/v1/things/busy", "/nowhere"):
            await http.get(path)
        await http.get("/api/v1/things", headers={"Authorization": f"Bearer {secret}x"})

    assert caplog.records
    assert secret not in caplog.text


@pytest.mark.parametrize("path", ["/api/v1/things", "/api/v1/none", "/none", "/healthz", "/api/v1/things/bug"])
async def test_every_answer_says_nosniff_and_its_call_id(path: str) -> None:
    async with caller(origin()) as http:
        got = await http.get(path)

    assert got.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert len(got.headers["X-Request-Id"]) == 36
    assert "Server" not in got.headers


@pytest.mark.parametrize("given", [b"a\r\nX-Evil: 1", b"x" * 129, b"", b"a b", b"\xff", b"<script>"])
async def test_a_call_id_that_could_do_harm_is_replaced(given: bytes) -> None:
    async with caller(origin()) as http:
        got = await http.get("/api/v1/hello", headers=[(b"X-Request-Id", given)])

    assert got.headers["X-Request-Id"].encode() != given
    assert "X-Evil" not in got.headers


async def test_a_plain_call_id_is_given_back() -> None:
    async with caller(origin()) as http:
        got = await http.get("/api/v1/hello", headers={"X-Request-Id": "trace/7:a"})

    assert got.headers["X-Request-Id"] == "trace/7:a"


async def test_who_waits_for_a_write_may_leave_and_the_write_is_done() -> None:
    services = Services(hold=asyncio.Event())
    app = origin(services)
    async with caller(app) as http:
        call = asyncio.create_task(http.post("/api/v1/things", json={"name": "db"}))
        await services.entered.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert services.made == []
    assert services.hold is not None

    services.hold.set()
    left = await app.drain(5)

    assert (left, [thing.name for thing in services.made]) == (0, ["db"])


async def test_a_caller_who_hangs_up_before_the_body_is_answered_nothing() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/things",
        "raw_path": b"/api/v1/things",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer admin")],
    }
    await origin()(scope, receive, send)

    assert sent == []


async def health(app: Origin, path: str, method: str = "GET") -> httpx.Response:
    async with caller(app, key=None) as http:
        return await http.request(method, path)


async def test_health_needs_nothing_and_readiness_every_check() -> None:
    async def well() -> str | None:
        return None

    async def down() -> str | None:
        return "password authentication failed for hunter2"

    async def broken() -> str | None:
        raise OSError("hunter2")

    assert (await health(origin(checks={"database": down}), "/healthz")).status_code == 200
    assert (await health(origin(checks={"database": well}), "/readyz")).json() == {"status": "ok"}
    failing = await health(origin(checks={"database": down, "clock": broken, "x": well}), "/readyz")
    assert (failing.status_code, failing.json()) == (503, {"status": "unavailable", "failing": ["clock", "database"]})
    assert (await health(origin(), "/readyz", "POST")).status_code == 405
