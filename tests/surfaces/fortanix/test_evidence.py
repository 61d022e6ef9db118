"""Passwords and security keys, with approvals and for sessions. Source: Fortanix contract §5, §6."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.app.directory import PASSWORD
from tests.authenticator import SETTINGS, Authenticator
from tests.surfaces.fortanix.story import REQUESTS, Story
from tests.surfaces.fortanix.test_sessions import AUTH, basic, bearer


async def keys_are_taken(story: Story, *who: str, **settings: Any) -> list[Authenticator]:
    """Let the tenant take security keys, and give these people one each."""
    made = [Authenticator() for _ in who]
    users = [
        story.user(name, passkeys=[{"name": f"key of {name}", **key.public}])
        for name, key in zip(who, made, strict=True)
    ]
    await story.apply(settings={"webauthn": SETTINGS | settings}, users=users)
    return made


async def asked(story: Story, **demands: bool) -> str:
    """A request that Ana, or Ben, approves with evidence."""
    members = [{"user": story.login("ana")}, {"user": story.login("ben")}]
    await story.apply(
        workflows=[story.workflow("Strict", {"n": 1, "members": members, **demands})],
        operations=[story.operation("crypto/v1/strict", "Strict", {"status": 200, "body": {}})],
    )
    return str((await story.ask(operation="crypto/v1/strict"))["request_id"])


async def challenged(story: Story, who: str, id: str, protocol: str = "fido2") -> dict[str, Any]:
    answer = await story.call(who, "POST", f"{REQUESTS}/{id}/challenge?protocol={protocol}")
    assert answer.status_code == 200, answer.text
    got: dict[str, Any] = answer.json()
    return got


def signed(key: Authenticator, options: Mapping[str, Any], **lies: Any) -> dict[str, Any]:
    """What a client sends after the key has answered."""
    got = key.sign(plain(options["challenge"]), **lies)
    del got["rawId"]
    return {**got, "get_client_extension_results": got.pop("clientExtensionResults")}


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_password_that_is_required_must_come_and_be_right(story: Story) -> None:
    id = await asked(story, requirePassword=True)

    missing = await story.approve("ana", id)
    wrong = await story.approve("ana", id, {"password": "wrong"})
    right = await story.approve("ana", id, {"password": PASSWORD})

    assert (missing.status_code, missing.text) == (403, "This approval requires your password")
    assert (wrong.status_code, wrong.text) == (401, "The password is not valid")
    assert (right.status_code, right.json()["status"]) == (200, "APPROVED")


async def test_a_key_answers_the_challenge_and_the_request_is_approved(story: Story) -> None:
    [key] = await keys_are_taken(story, "ana")
    id = await asked(story, requireSecondFactor=True)

    options = await challenged(story, "ana", id)
    answer = await story.approve("ana", id, {"fido2_auth_request": signed(key, options)})

    assert len(plain(options["challenge"])) == 32
    assert options == {
        "challenge": options["challenge"],
        "timeout": 300_000,
        "rpId": SETTINGS["rpId"],
        "allowCredentials": [{"id": key.public["id"], "type": "public-key"}],
        "userVerification": "preferred",
    }
    assert (answer.status_code, answer.json()["status"]) == (200, "APPROVED")


async def test_without_the_second_factor_that_is_demanded_there_is_no_way(story: Story) -> None:
    await keys_are_taken(story, "ana")
    id = await asked(story, requireSecondFactor=True)

    for body in (None, {}, {"password": PASSWORD}, {"body": {"fido2": "yes"}}):
        answer = await story.approve("ana", id, body)
        assert (answer.status_code, answer.text) == (403, "This approval requires two-factor authentication")
    override = await story.call("ada", "POST", f"{REQUESTS}/{id}/approve")
    assert override.status_code == 403
    assert (await story.read("rhea", id))["status"] == "PENDING"


async def test_both_may_be_required_and_the_answer_says_what_lacks(story: Story) -> None:
    [key] = await keys_are_taken(story, "ana")
    id = await asked(story, requirePassword=True, requireSecondFactor=True)

    both = await story.approve("ana", id)
    options = await challenged(story, "ana", id)
    one = await story.approve("ana", id, {"fido2_auth_request": signed(key, options)})
    options = await challenged(story, "ana", id)
    done = await story.approve("ana", id, {"password": PASSWORD, "fido2_auth_request": signed(key, options)})

    assert both.text == "This approval requires your password and two-factor authentication"
    assert (one.status_code, one.text) == (403, "This approval requires your password")
    assert done.status_code == 200


async def test_a_challenge_is_good_once_and_only_the_newest(story: Story) -> None:
    [key] = await keys_are_taken(story, "ana")
    id = await asked(story, requireSecondFactor=True)
    older, newer = await challenged(story, "ana", id), await challenged(story, "ana", id)

    stale = await story.approve("ana", id, {"fido2_auth_request": signed(key, older)})
    again = await story.approve("ana", id, {"fido2_auth_request": signed(key, newer)})

    assert older["challenge"] != newer["challenge"]
    assert [(one.status_code, one.text) for one in (stale, again)] == [
        (401, "The two-factor authentication is not valid")
    ] * 2  # The first attempt took the challenge with it.


async def test_a_challenge_is_for_one_reviewer_and_one_request_and_five_minutes(story: Story) -> None:
    ana, ben = await keys_are_taken(story, "ana", "ben")
    id = await asked(story, requireSecondFactor=True)
    other = str((await story.ask(operation="crypto/v1/strict"))["request_id"])

    options = await challenged(story, "ana", id)
    assert (await story.approve("ben", id, {"fido2_auth_request": signed(ben, options)})).status_code == 401
    assert (await story.approve("ana", other, {"fido2_auth_request": signed(ana, options)})).status_code == 401
    story.clock.passes(minutes=5)
    assert (await story.approve("ana", id, {"fido2_auth_request": signed(ana, options)})).status_code == 401


async def test_an_answer_that_lies_is_refused(story: Story) -> None:
    several: tuple[dict[str, Any], ...] = (
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"kind": "webauthn.create"},
        {"flags": 4},
    )
    [key] = await keys_are_taken(story, "ana")
    id = await asked(story, requireSecondFactor=True)

    for lies in several:
        lie = signed(key, await challenged(story, "ana", id), **lies)
        answer = await story.approve("ana", id, {"fido2_auth_request": lie})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "text/plain"), lies


async def test_after_five_wrong_attempts_in_a_row_not_even_a_right_one_counts_for_a_while(story: Story) -> None:
    id = await asked(story, requirePassword=True)
    for _ in range(5):
        assert (await story.approve("ana", id, {"password": "wrong"})).status_code == 401

    locked = await story.approve("ana", id, {"password": PASSWORD})
    story.clock.passes(minutes=6)
    later = await story.approve("ana", id, {"password": PASSWORD})

    assert (locked.status_code, locked.headers["content-type"]) == (423, "text/plain")
    assert int(locked.headers["retry-after"]) > 0
    assert later.status_code == 200


async def test_denying_needs_neither(story: Story) -> None:
    id = await asked(story, requirePassword=True, requireSecondFactor=True)

    assert (await story.deny("ana", id)).json()["status"] == "DENIED"


async def test_base64_may_have_padding_and_either_alphabet(story: Story) -> None:
    [key] = await keys_are_taken(story, "ana")
    id = await asked(story, requireSecondFactor=True)
    sent = signed(key, await challenged(story, "ana", id))

    sent["response"] = {name: base64.b64encode(plain(value)).decode() for name, value in sent["response"].items()}
    sent["id"] = base64.urlsafe_b64encode(plain(sent["id"])).decode()

    assert (await story.approve("ana", id, {"fido2_auth_request": sent})).status_code == 200


async def test_u2f_is_off_unless_the_tenant_wants_it(story: Story) -> None:
    await keys_are_taken(story, "ana")
    id = await asked(story, requireSecondFactor=True)

    answer = await story.call("ana", "POST", f"{REQUESTS}/{id}/challenge?protocol=u2f")

    assert (answer.status_code, answer.text) == (403, "Security keys of this kind are not accepted")


async def test_a_u2f_key_works_where_the_tenant_wants_it(story: Story) -> None:
    [key] = await keys_are_taken(story, "ana", u2f=True)
    id = await asked(story, requireSecondFactor=True)

    asked_for = await challenged(story, "ana", id, "u2f")
    got = key.sign_u2f(plain(asked_for["u2f_challenge"]))
    u2f = {
        name: base64.b64encode(value).decode()
        for name, value in {
            "keyHandle": got.key_handle,
            "signatureData": got.signature_data,
            "clientData": got.client_data,
        }.items()
    }

    assert asked_for["u2f_keys"] == [{"keyHandle": key.public["id"], "version": "U2F_V2"}]
    assert (await story.approve("ana", id, {"u2f": u2f})).json()["status"] == "APPROVED"


async def test_a_challenge_is_only_for_who_may_approve(story: Story) -> None:
    await keys_are_taken(story, "ana", "rhea")
    id = await asked(story, requireSecondFactor=True)

    for who, status in (("rhea", 403), ("rita", 403), ("olu", 404), ("cyd", 404)):
        assert (await story.call(who, "POST", f"{REQUESTS}/{id}/challenge")).status_code == status, who
    none = await story.call("ben", "POST", f"{REQUESTS}/{id}/challenge")
    assert (none.status_code, none.text) == (403, "You have registered no security key")
    odd = await story.call("ana", "POST", f"{REQUESTS}/{id}/challenge?protocol=sms")
    assert odd.status_code == 400


async def test_where_keys_are_demanded_to_sign_in_a_session_waits_for_one(story: Story) -> None:
    [key] = await keys_are_taken(story, "ana", signIn=True)

    session = (await story.call(None, "POST", AUTH, headers=basic(story.login("ana"), PASSWORD))).json()
    waits = await story.call(None, "GET", REQUESTS, headers=bearer(session["access_token"]))
    options = session["fido2_assertion_options"]
    shown = await story.call(
        None, "POST", f"{AUTH}/2fa/fido2", signed(key, options), headers=bearer(session["access_token"])
    )
    counts = await story.call(None, "GET", REQUESTS, headers=bearer(session["access_token"]))

    assert options["allowCredentials"] == [{"id": key.public["id"], "type": "public-key"}]
    assert session["allowed_mfa_methods"] == [
        {
            "Fido2": {
                "challenge": options,
                "challenge_token": options["challenge"],
                "mfa_devices": [{"name": key.public["id"], "type": "Fido2"}],
            }
        }
    ]
    assert (waits.status_code, shown.status_code, counts.status_code) == (401, 204, 200)
    assert "challenge" not in session  # The old one, which this tenant takes from nobody.


async def test_where_u2f_is_taken_a_session_that_waits_names_the_old_challenge_too(story: Story) -> None:
    [key] = await keys_are_taken(story, "ana", signIn=True, u2f=True)

    session = (await story.call(None, "POST", AUTH, headers=basic(story.login("ana"), PASSWORD))).json()
    keyless = (await story.call(None, "POST", AUTH, headers=basic(story.login("ben"), PASSWORD))).json()
    token, options = bearer(session["access_token"]), session["fido2_assertion_options"]

    assert session["challenge"] == {
        "u2f_challenge": options["challenge"],
        "u2f_keys": [{"keyHandle": key.public["id"], "version": "U2F_V2"}],
    }
    assert "challenge" not in keyless
    assert (await story.call(None, "POST", f"{AUTH}/2fa/u2f", {}, headers=token)).status_code == 400
    shown = await story.call(None, "POST", f"{AUTH}/2fa/fido2", signed(key, options), headers=token)
    assert shown.status_code == 204


async def test_a_session_that_waits_takes_one_right_answer_and_no_other(story: Story) -> None:
    ana, ben = await keys_are_taken(story, "ana", "ben", signIn=True)
    credentials = basic(story.login("ana"), PASSWORD)

    async def waiting() -> tuple[dict[str, Any], dict[str, str]]:
        session = (await story.call(None, "POST", AUTH, headers=credentials)).json()
        return session["fido2_assertion_options"], bearer(session["access_token"])

    (first, one), (second, two) = await waiting(), await waiting()
    path = f"{AUTH}/2fa/fido2"
    assert (await story.call(None, "POST", path, signed(ben, first), headers=one)).status_code == 401
    assert (await story.call(None, "POST", path, signed(ana, first), headers=one)).status_code == 401  # It is gone.
    assert (
        await story.call(None, "POST", path, signed(ana, second, origin="https://x.example"), headers=two)
    ).status_code == 401
    third, three = await waiting()
    answer = signed(ana, third)
    assert (await story.call(None, "POST", path, answer)).status_code == 401
    assert (await story.call(None, "POST", path, answer, headers=two)).status_code == 401
    assert (await story.call(None, "POST", path, answer, headers=three)).status_code == 204
    assert (await story.call(None, "POST", path, answer, headers=three)).status_code == 401


async def test_who_has_no_key_and_programs_sign_in_as_ever(story: Story) -> None:
    await keys_are_taken(story, "ana", signIn=True)

    for headers in (basic(story.login("ben"), PASSWORD), {"Authorization": f"Basic {story.api_key('signer')}"}):
        session = (await story.call(None, "POST", AUTH, headers=headers)).json()
        listed = await story.call(None, "GET", REQUESTS, headers=bearer(session["access_token"]))
        assert listed.status_code == 200
