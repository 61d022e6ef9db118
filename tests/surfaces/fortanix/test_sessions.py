"""Signing in, staying signed in, signing out. Source: Fortanix contract §1, §2, §7 rows 12 and 13."""

import base64
import json
from typing import Any
from uuid import uuid4

import httpx

from quorate import __version__
from tests.app.directory import PASSWORD
from tests.surfaces.fortanix.story import REQUESTS, Story

AUTH = "/sys/v1/session/auth"


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def opened(story: Story, headers: dict[str, str] | None = None, body: Any = None) -> dict[str, Any]:
    answer = await story.call(None, "POST", AUTH, body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


async def as_session(story: Story, session: dict[str, Any], method: str, path: str) -> httpx.Response:
    return await story.call(None, method, path, headers=bearer(session["access_token"]))


async def test_a_user_opens_a_session_by_basic_with_an_empty_body(story: Story) -> None:
    session = await opened(story, basic(story.login("ana"), PASSWORD))

    assert session == {
        "token_type": "Bearer",
        "expires_in": 3600,
        "access_token": session["access_token"],
        "entity_id": str(story.ids["ana"]),
    }
    assert (await as_session(story, session, "GET", REQUESTS)).json() == []


async def test_an_app_opens_a_session_by_its_api_key(story: Story) -> None:
    session = await opened(story, {"Authorization": f"Basic {story.api_key('signer')}"})

    assert session["entity_id"] == str(story.ids["signer"])
    assert (await as_session(story, session, "GET", REQUESTS)).status_code == 200


async def test_a_session_is_opened_by_credentials_in_the_body_too(story: Story) -> None:
    user = {"method": "password", "email": story.login("ana"), "password": PASSWORD}
    app = {
        "method": "auth-by-app-name",
        "acct_id": str(story.tenant),
        "name": "signer",
        "password": story.keys["signer"],
    }

    assert (await opened(story, body=user))["entity_id"] == str(story.ids["ana"])
    assert (await opened(story, body=app | {"token_type": "Bearer"}))["entity_id"] == str(story.ids["signer"])


async def test_wrong_credentials_of_every_kind_are_refused_alike(story: Story) -> None:
    app = {"method": "auth-by-app-name", "acct_id": str(story.elsewhere), "name": "signer"}
    answers = [
        await story.call(None, "POST", AUTH, headers=basic(story.login("ana"), "wrong")),
        await story.call(None, "POST", AUTH, headers=basic("nobody@acme.example", PASSWORD)),
        await story.call(None, "POST", AUTH, headers=basic(str(story.ids["signer"]), "wrong")),
        await story.call(None, "POST", AUTH, headers=basic(str(uuid4()), story.keys["signer"])),
        await story.call(None, "POST", AUTH, app | {"password": story.keys["signer"]}),
    ]

    assert {(answer.status_code, answer.text) for answer in answers} == {(401, "The credentials are not valid")}


async def test_after_five_wrong_passwords_in_a_row_not_even_the_right_one_opens_a_session_for_a_while(
    story: Story,
) -> None:
    for login in (story.login("ana"), story.login("nobody")):
        tried = [await story.call(None, "POST", AUTH, headers=basic(login, "wrong")) for _ in range(5)]
        by_header = await story.call(None, "POST", AUTH, headers=basic(login, PASSWORD))
        said = {"method": "password", "email": login, "password": PASSWORD}
        in_the_body = await story.call(None, "POST", AUTH, said)

        assert {one.status_code for one in tried} == {401}
        for locked in (by_header, in_the_body):
            assert (locked.status_code, locked.headers["content-type"]) == (423, "text/plain")
            assert 0 < int(locked.headers["retry-after"]) <= 300
    story.clock.passes(minutes=5)
    await opened(story, basic(story.login("ana"), PASSWORD))


async def test_without_readable_credentials_there_is_no_session(story: Story) -> None:
    assert (await story.call(None, "POST", AUTH)).status_code == 401
    for given in ("Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Basic Og==", "Bearer x"):
        answer = await story.call(None, "POST", AUTH, headers={"Authorization": given})
        assert answer.status_code == 401, given


async def test_a_body_that_does_not_fit_is_a_400(story: Story) -> None:
    bodies: tuple[Any, ...] = (
        {"method": "password", "email": "ana@acme.example"},
        {"method": "saml"},
        {"method": "auth-by-app-name", "acct_id": "x", "name": "signer", "password": "p"},
        {"token_type": "Cookie"},
        b"{",
    )

    for body in bodies:
        answer = await story.call(None, "POST", AUTH, body, headers=basic(story.login("ana"), PASSWORD))
        assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain"), body


async def test_an_api_key_works_on_every_call_without_a_session_and_a_password_does_not(story: Story) -> None:
    assert (await story.call("signer", "GET", REQUESTS)).status_code == 200
    for headers in (
        basic(story.login("ana"), PASSWORD),
        basic(str(story.ids["ana"]), story.keys["ana"]),
        basic(str(story.ids["signer"]), story.keys["helper"]),
    ):
        assert (await story.call(None, "GET", REQUESTS, headers=headers)).status_code == 401


async def test_terminating_ends_one_session_and_no_other(story: Story) -> None:
    one, other = [await opened(story, basic(story.login("ana"), PASSWORD)) for _ in range(2)]

    assert (await as_session(story, one, "POST", "/sys/v1/session/terminate")).status_code == 204

    assert (await as_session(story, one, "GET", REQUESTS)).status_code == 401
    assert (await as_session(story, other, "GET", REQUESTS)).status_code == 200


async def test_refreshing_prolongs_a_session_under_the_same_token(story: Story) -> None:
    session = await opened(story, basic(story.login("ana"), PASSWORD))
    story.clock.passes(minutes=50)

    refreshed = await as_session(story, session, "POST", "/sys/v1/session/refresh")
    story.clock.passes(minutes=50)

    assert (refreshed.status_code, refreshed.content) == (204, b"")
    assert (await as_session(story, session, "GET", REQUESTS)).status_code == 200
    story.clock.passes(minutes=11)
    assert (await as_session(story, session, "GET", REQUESTS)).status_code == 401


async def test_only_a_session_can_be_refreshed_or_terminated(story: Story) -> None:
    for path in ("refresh", "terminate"):
        assert (await story.call("signer", "POST", f"/sys/v1/session/{path}")).status_code == 400


async def test_an_app_gets_another_session_and_a_user_does_not(story: Story) -> None:
    again = await story.call("signer", "POST", "/sys/v1/session/reauth")

    assert again.json()["entity_id"] == str(story.ids["signer"])
    assert (await as_session(story, again.json(), "GET", REQUESTS)).status_code == 200
    assert (await story.call("ana", "POST", "/sys/v1/session/reauth")).status_code == 400


async def test_selecting_the_account_one_has_is_never_an_error(story: Story) -> None:
    path = "/sys/v1/session/select_account"

    own = await story.call("ana", "POST", path, {"acct_id": str(story.tenant)})

    assert (own.status_code, own.json()) == (200, {"cookie": None})
    for body in ({"acct_id": str(story.elsewhere)}, {"acct_id": str(uuid4())}, {"acct_id": "x"}, {}):
        assert (await story.call("ana", "POST", path, body)).status_code == 400


async def test_whoever_has_the_same_login_and_password_in_two_accounts_names_one(story: Story) -> None:
    olu = story.user("olu") | {"login": story.login("ana"), "id": uuid4(), "keys": []}
    await story.apply(tenant=story.elsewhere, users=[story.user("olu", roles=["admins"]), olu])
    credentials = basic(story.login("ana"), PASSWORD)

    unnamed = await story.call(None, "POST", AUTH, headers=credentials)
    named = await opened(story, credentials | {"X-Tenant-ID": str(story.tenant)})

    assert unnamed.status_code == 400
    assert named["entity_id"] == str(story.ids["ana"])


async def test_a_suspended_user_is_told_so_only_after_the_right_password(story: Story) -> None:
    await story.apply(users=[story.user("ana", status="suspended")])

    assert (await story.call(None, "POST", AUTH, headers=basic(story.login("ana"), "wrong"))).status_code == 401
    assert (await story.call(None, "POST", AUTH, headers=basic(story.login("ana"), PASSWORD))).status_code == 403


async def test_anybody_may_ask_whether_the_server_is_up_and_which_it_is(story: Story) -> None:
    health = await story.call(None, "GET", "/sys/v1/health")
    version = await story.call(None, "GET", "/sys/v1/version")

    assert (health.status_code, health.content) == (204, b"")
    assert version.json() == {"version": __version__, "api_version": "v1", "server_mode": "Software"}


async def test_a_session_that_u2f_should_complete_is_refused_as_the_vendor_refuses_it(story: Story) -> None:
    answer = await story.call(None, "POST", f"{AUTH}/2fa/u2f", json.dumps({}).encode())

    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain")


async def test_the_history_tells_of_people_who_sign_in_and_out_and_not_of_programs(story: Story) -> None:
    await story.call(None, "POST", AUTH, headers=basic(story.login("ana"), "wrong"))
    session = await opened(story, basic(story.login("ana"), PASSWORD) | {"User-Agent": "sdkms-cli"})
    app = await opened(story, {"Authorization": f"Basic {story.api_key('signer')}"})
    for one in (session, app):
        assert (await as_session(story, one, "POST", "/sys/v1/session/terminate")).status_code == 204

    async with story.owner.tx([story.tenant]) as tx:
        rows = await tx.all(
            "SELECT type, subject_id, actor_id, surface, body->>'userAgent' AS agent FROM event"
            " WHERE tenant_id = $1 AND subject_kind = 'login' ORDER BY id",
            story.tenant,
        )
    ana = story.ids["ana"]
    assert [(row["type"], row["subject_id"], row["actor_id"], row["surface"]) for row in rows] == [
        ("auth.failed", ana, None, "fortanix"),
        ("auth.signed_in", ana, ana, "fortanix"),
        ("auth.signed_out", ana, ana, "fortanix"),
    ]
    assert rows[1]["agent"] == "sdkms-cli"
