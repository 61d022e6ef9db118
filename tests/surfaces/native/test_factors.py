"""Second factors of one's own, over HTTP: registering them, deciding with them, and signing in with them."""

import base64
from typing import Any

import pytest

from quorate.app.verify import totp
from quorate.app.verify.jwk import base64url
from quorate.store.database import Database
from tests.app.directory import PASSWORD, change
from tests.authenticator import Authenticator
from tests.surfaces.native.step_up import a_passkey, takes_keys
from tests.surfaces.native.story import Story, error
from tests.surfaces.native.test_evidence import APPROVE, demanding, everything_written

MINE = {"password": PASSWORD}


async def login(story: Story, who: str = "ana", password: str = PASSWORD) -> Any:
    body = {"email": f"{who}@acme.example", "password": password}
    return await story.call(None, "POST", "/auth/login", body, headers={"X-Tenant-ID": str(story.tenant)})


async def an_app(story: Story, who: str = "ana") -> tuple[bytes, list[str]]:
    """Register an app for one-time codes; answers its secret and the recovery codes."""
    begun = await story.post(who, "/users/me/totp/begin", MINE)
    secret = from_base32(begun["secret"])
    made = await story.post(who, "/users/me/totp", {"code": now(story, secret)}, 201)
    story.clock.passes(seconds=30)  # The next code.
    return secret, made["recoveryCodes"]


def from_base32(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


def now(story: Story, secret: bytes, later: int = 0) -> str:
    return totp.code(secret, totp.period_of(story.clock()) + later)


async def halfway(story: Story, who: str = "ana") -> Any:
    answer = await login(story, who)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() <= {"mfaRequired", "mfaToken", "webauthn"}
    assert answer.json()["mfaRequired"] is True
    return answer.json()


async def show(story: Story, token: str, **shown: Any) -> Any:
    return await story.call(None, "POST", "/auth/mfa", {"mfaToken": token, **shown})


async def test_a_key_is_registered_in_two_calls_and_then_signs_for_a_decision(story: Story, owner: Database) -> None:
    await takes_keys(story, owner)
    key = Authenticator(count=4)
    options = await story.post("ana", "/users/me/passkeys/begin", MINE)
    assert (options["rp"]["id"], options["user"]["name"]) == ("keys.acme.example", "ana@acme.example")
    made = await story.post(
        "ana", "/users/me/passkeys", {"name": "blue", "credential": key.make(base64url(options["challenge"]))}, 201
    )
    assert (await story.get("ana", "/users/me"))["mfaEnabled"] is True
    assert [one["id"] for one in (await story.get("ana", "/users/me/factors"))["passkeys"]] == [made["id"]]
    again = await story.post("ana", "/users/me/passkeys/begin", MINE)
    assert [one["id"] for one in again["excludeCredentials"]] == [key.public["id"]]

    await story.workflow(demanding({"user": "@ana"}, requireSecondFactor=True))
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}"
    asked = await story.post("ana", f"{path}/challenge")
    evidence = {"webauthn": key.sign(base64url(asked["challenge"]))}
    assert (await story.post("ana", f"{path}/decide", APPROVE | {"evidence": evidence}))["decision"] == "approve"

    for who in ("ben", "olu"):
        gone = await story.call(who, "POST", f"/users/me/passkeys/{made['id']}/remove", MINE)
        assert error(gone) == (404, "RESOURCE_NOT_FOUND")
    await story.post("ana", f"/users/me/passkeys/{made['id']}/remove", MINE)
    assert (await story.get("ana", "/users/me"))["mfaEnabled"] is False
    history = await story.get("ada", f"/audit/resources/credential/{made['id']}/history")
    assert [one["action"] for one in history["events"]] == ["factor.removed", "factor.registered"]


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": 0x44},
        {"flags": 0x05},
        {"kind": "webauthn.get"},
        {"challenge": b"another"},
    ],
    ids=str,
)
async def test_a_key_that_was_made_for_something_else_is_refused_and_counted(
    story: Story, owner: Database, lie: dict[str, Any]
) -> None:
    await takes_keys(story, owner)
    options = await story.post("ana", "/users/me/passkeys/begin", MINE)
    key, asked = Authenticator(), base64url(options["challenge"])
    false, right = key.make(**{"challenge": asked, **lie}), key.make(asked)

    for credential in (false, right):  # The challenge is used up.
        answer = await story.call("ana", "POST", "/users/me/passkeys", {"name": "x", "credential": credential})
        assert error(answer) == (403, "FORBIDDEN")
    async with story.db.tx([story.tenant]) as tx:
        [row] = await tx.all("SELECT tries FROM wrong_try WHERE tenant_id = $1", story.tenant)
    assert row["tries"] == 2


@pytest.mark.parametrize("credential", [{}, {"id": 1}, {"type": "public-key", "id": "AAAA", "response": {}}])
async def test_what_is_no_key_at_all_is_refused(story: Story, owner: Database, credential: dict[str, Any]) -> None:
    await takes_keys(story, owner)
    await story.post("ana", "/users/me/passkeys/begin", MINE)

    answer = await story.call("ana", "POST", "/users/me/passkeys", {"name": "x", "credential": credential})

    assert error(answer) == (403, "FORBIDDEN")


async def test_a_key_belongs_to_one_person(story: Story, owner: Database) -> None:
    await takes_keys(story, owner)
    key = await a_passkey(story, "ben")
    options = await story.post("ana", "/users/me/passkeys/begin", MINE)

    credential = key.make(base64url(options["challenge"]))
    answer = await story.call("ana", "POST", "/users/me/passkeys", {"name": "x", "credential": credential})

    assert error(answer) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "path", ["passkeys/begin", "totp/begin", "totp/remove", "recovery-codes", "passkeys/{key}/remove"]
)
async def test_whoever_found_a_session_open_registers_and_removes_nothing(
    story: Story, owner: Database, path: str
) -> None:
    await takes_keys(story, owner)
    await a_passkey(story, "ana")
    [key] = (await story.get("ana", "/users/me/factors"))["passkeys"]
    for body in (None, {}, {"password": "wrong"}):
        answer = await story.call("ana", "POST", f"/users/me/{path.format(key=key['id'])}", body)
        assert error(answer) == (403, "FORBIDDEN")
        assert [one["field"] for one in answer.json()["error"]["details"]] == ["evidence.password"]

    assert error(await story.call("bot", "POST", f"/users/me/{path.format(key=key['id'])}", MINE))[0] in (403, 404)
    assert (await story.get("ana", "/users/me/factors"))["passkeys"] == [key]


async def test_a_code_of_an_app_counts_once_for_a_decision(story: Story) -> None:
    secret, _ = await an_app(story)
    await story.workflow(demanding({"user": "@ana"}, requireSecondFactor=True))
    asked = [(await story.request(who))["id"] for who in ("rhea", "ben")]
    paths = [f"/approvals/{await story.task('ana', one)}/decide" for one in asked]
    code = now(story, secret)

    async def decide(path: str, totp: str) -> int:
        return int((await story.call("ana", "POST", path, APPROVE | {"evidence": {"totp": totp}})).status_code)

    assert await decide(paths[0], "000000" if code != "000000" else "111111") == 403
    assert await decide(paths[0], now(story, secret, later=2)) == 403
    assert await decide(paths[0], code) == 200
    assert await decide(paths[1], code) == 403
    story.clock.passes(seconds=30)
    assert await decide(paths[1], now(story, secret)) == 200


async def test_an_app_counts_once_a_code_of_it_was_shown(story: Story) -> None:
    begun = await story.post("ana", "/users/me/totp/begin", MINE)
    assert begun["uri"].startswith("otpauth://totp/Quorate%20")
    assert f"secret={begun['secret']}" in begun["uri"]
    assert (await story.get("ana", "/users/me"))["mfaEnabled"] is False
    assert (await login(story)).json()["success"] is True
    assert error(await story.call("ana", "POST", "/users/me/totp", {"code": "abcdef"})) == (403, "FORBIDDEN")
    late = now(story, from_base32(begun["secret"]))
    assert error(await story.call("ana", "POST", "/users/me/totp", {"code": late})) == (403, "FORBIDDEN")

    await an_app(story)

    assert (await story.get("ana", "/users/me"))["mfaEnabled"] is True
    mine = await story.get("ana", "/users/me/factors")
    assert (mine["totp"] is not None, mine["recoveryCodesLeft"]) == (True, 10)
    await an_app(story)  # Another takes its place.
    await story.post("ana", "/users/me/totp/remove", MINE)
    assert await story.get("ana", "/users/me/factors") == {"passkeys": [], "totp": None, "recoveryCodesLeft": 0}
    assert (await login(story)).json()["success"] is True


async def test_with_an_app_a_login_wants_a_code_and_then_gives_tokens(story: Story) -> None:
    secret, _ = await an_app(story)
    token = (await halfway(story))["mfaToken"]

    opened = await show(story, token, code=now(story, secret))

    assert opened.json()["data"]["user"]["displayName"] == "Ana"
    bearer = {"Authorization": f"Bearer {opened.json()['data']['accessToken']}"}
    assert (await story.call(None, "GET", "/users/me", headers=bearer)).status_code == 200
    assert (await story.call(None, "GET", "/users/me", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    assert error(await show(story, token, code=now(story, secret, later=1))) == (401, "INVALID_CREDENTIALS")


async def test_the_second_step_of_a_login_is_tried_once(story: Story) -> None:
    secret, _ = await an_app(story)
    right = now(story, secret)
    wrong = "000000" if right != "000000" else "111111"
    stale = (await halfway(story))["mfaToken"]
    story.clock.passes(minutes=5)
    tried = (await halfway(story))["mfaToken"]
    assert (await show(story, tried, code=wrong)).status_code == 401
    before = (await halfway(story))["mfaToken"]
    await change(
        story.db,
        story.tenant,
        "UPDATE principal SET password_stamp = gen_random_uuid() WHERE tenant_id = $1 AND id = $2",
        story.ids["ana"],
    )

    for token in (stale, tried, before, "nonsense", f"qm_{'0' * 32}_{'0' * 32}_{'0' * 32}_x", tried[:-1] + "!"):
        assert error(await show(story, token, code=now(story, secret))) == (401, "INVALID_CREDENTIALS"), token
    for odd in ({}, {"code": right, "recoveryCode": "x"}, {"code": 7}):
        assert error(await show(story, tried, **odd)) == (400, "VALIDATION_ERROR")


async def test_a_recovery_code_stands_in_once(story: Story) -> None:
    _, codes = await an_app(story)
    assert len(set(codes)) == 10

    async def recover(code: str) -> int:
        return int((await show(story, (await halfway(story))["mfaToken"], recoveryCode=code)).status_code)

    assert await recover(codes[0].lower().replace("-", " ")) == 200
    assert await recover(codes[0]) == 401
    assert (await story.get("ana", "/users/me/factors"))["recoveryCodesLeft"] == 9
    new = (await story.post("ana", "/users/me/recovery-codes", MINE, 201))["recoveryCodes"]
    assert await recover(codes[1]) == 401
    assert await recover(new[0]) == 200


async def test_an_administrator_takes_away_what_somebody_has_lost_and_nobody_else_does(story: Story) -> None:
    await an_app(story)
    await a_passkey(story, "ana")
    path = f"/users/{story.ids['ana']}/factors"
    for who, status in (("ben", 403), ("rita", 403), ("olu", 404)):
        assert (await story.call(who, "DELETE", path)).status_code == status

    assert (await story.call("ada", "DELETE", path)).status_code == 200

    assert await story.get("ana", "/users/me/factors") == {"passkeys": [], "totp": None, "recoveryCodesLeft": 0}
    assert (await login(story)).json()["success"] is True
    told = await story.get("ada", "/audit/events?action=factor.removed")
    assert {one["details"]["userId"] for one in told["events"]} == {str(story.ids["ana"])}
    assert told["total"] == 2


async def test_where_the_tenant_says_so_a_passkey_is_demanded_to_sign_in(story: Story, owner: Database) -> None:
    await takes_keys(story, owner, signIn=False)
    ana, ben = await a_passkey(story, "ana"), await a_passkey(story, "ben")
    assert (await login(story)).json()["success"] is True
    await takes_keys(story, owner, signIn=True)
    assert (await login(story, "cyd")).json()["success"] is True

    first, second = await halfway(story), await halfway(story)
    challenge = base64url(second["webauthn"]["challenge"])
    assert first["webauthn"]["challenge"] != second["webauthn"]["challenge"]
    assert (await show(story, first["mfaToken"], webauthn=ana.sign(challenge))).status_code == 401
    assert (await show(story, second["mfaToken"], webauthn=ana.sign(challenge))).status_code == 200
    third = await halfway(story)
    assert (
        await show(story, third["mfaToken"], webauthn=ben.sign(base64url(third["webauthn"]["challenge"])))
    ).status_code == 401


async def test_after_five_wrong_codes_the_right_one_waits_for_five_minutes(story: Story) -> None:
    secret, _ = await an_app(story)
    right = now(story, secret)
    for _ in range(5):
        token = (await halfway(story))["mfaToken"]
        assert (await show(story, token, code="000000" if right != "000000" else "111111")).status_code == 401

    locked = await show(story, (await halfway(story))["mfaToken"], code=right)
    assert error(locked) == (429, "RATE_LIMIT_EXCEEDED")
    story.clock.passes(minutes=5)
    assert (await show(story, (await halfway(story))["mfaToken"], code=now(story, secret))).status_code == 200


@pytest.mark.parametrize("who", ["ana", "nobody"])
async def test_five_wrong_passwords_lock_a_login_whether_or_not_it_exists(story: Story, who: str) -> None:
    for _ in range(5):
        assert error(await login(story, who, "wrong")) == (401, "INVALID_CREDENTIALS")

    locked = await login(story, who)
    assert error(locked) == (429, "RATE_LIMIT_EXCEEDED")
    assert locked.headers["retry-after"] == "300"
    assert (await login(story, "ben")).status_code == 200
    story.clock.passes(minutes=5)
    assert (await login(story, who)).status_code == (200 if who == "ana" else 401)


async def test_secrets_of_factors_are_told_once_and_written_nowhere(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        begun = await story.post("ana", "/users/me/totp/begin", MINE)
        secret = from_base32(begun["secret"])
        code = now(story, secret)
        codes = (await story.post("ana", "/users/me/totp", {"code": code}, 201))["recoveryCodes"]
        story.clock.passes(seconds=30)
        token = (await halfway(story))["mfaToken"]
        await show(story, token, recoveryCode=codes[0])
        later = [await story.call("ana", "GET", path) for path in ("/users/me", "/users/me/factors")]
        audit = await story.call("ada", "GET", "/audit/events?limit=100")

    written = await everything_written(story)
    for told in (begun["secret"], secret.hex(), secret.decode("latin-1"), f'"{code}"', *codes, token):
        for place in (written, caplog.text, audit.text, *(one.text for one in later)):
            assert told not in place
