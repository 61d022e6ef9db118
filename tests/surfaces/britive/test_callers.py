"""Who calls, what lives where, and what is answered to a wrong call. Source: Britive contract §1, §2, §5."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from quorate.app.verify.jwk import base64url
from quorate.app.verify.totp import code, period_of
from quorate.store.database import Database
from tests.app.directory import PASSWORD
from tests.authenticator import RP_ID, b64
from tests.surfaces.britive.story import V1, Brit, asking, error
from tests.surfaces.native.step_up import a_passkey, takes_keys
from tests.surfaces.native.story import error as native_error


async def test_a_credential_is_taken_under_three_schemes_and_no_other(brit: Brit) -> None:
    for scheme in ("TOKEN", "Bearer", "WorkloadToken", "token", "BEARER", "workloadtoken"):
        assert (await brit.call("rhea", "GET", "/features", scheme=scheme)).status_code == 200
    for scheme in ("Basic", "ApiKey", ""):
        assert error(await brit.call("rhea", "GET", "/features", scheme=scheme)) == (401, "AU-0018")
    for header in (b"", b"TOKEN", b"TOKEN ", b"TOKEN x", b"Bearer \xe9", b"TOKEN " + b"x" * 9000):
        answer = await brit.story.callers[""].get("/api/features", headers=[(b"Authorization", header)])
        assert error(answer) == (401, "AU-0018"), header
    assert error(await brit.call(None, "GET", "/features")) == (401, "AU-0018")
    two = await brit.story.callers[""].get(
        "/api/features", headers=[("Authorization", f"TOKEN {brit.story.keys['rhea']}")] * 2
    )
    assert error(two) == (401, "AU-0018")


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
async def test_a_sub_domain_may_only_agree_with_the_credential(brit: Brit, header: str) -> None:
    slug = f"t-{brit.story.tenant}"
    for host, status in (
        (f"{slug}.britive-app.com", 200),
        (f"{slug}.lab-britive-app.com:443", 200),
        (f"{slug.upper()}.BRITIVE-APP.COM", 200),
        ("quorate.internal", 200),
        ("britive-app.com", 200),
        ("other.britive-app.com", 401),
        ("other.lab-britive-app.com", 401),
        (f"t-{brit.story.elsewhere}.britive-app.com", 401),
    ):
        answer = await brit.call("rhea", "GET", "/features", headers={header: host})
        assert answer.status_code == status, host
        if status == 401:
            assert error(answer) == (401, "AU-0014")


async def test_only_a_program_that_may_calls_for_somebody_else(brit: Brit) -> None:
    made = await brit.ask()
    for_ana = {"X-On-Behalf-Of": "ana@acme.example"}
    for who in ("rhea", "ada", "bot", "olu"):  # Ada may do everything, but is no program.
        for method, path in (
            ("GET", f"{V1}?requestType=myApprovals"),
            ("GET", f"{V1}/{made['requestId']}"),
            ("PATCH", f"{V1}/{made['requestId']}?approveRequest=yes"),
        ):
            assert error(await brit.call(who, method, path, headers=for_ana)) == (403, "PE-0002"), (who, path)


async def test_a_program_passes_on_what_somebody_decides(brit: Brit) -> None:
    made, second = await brit.ask(), await brit.ask("mona")
    own = await brit.ask("ben")  # Ben owns the program.
    await brit.may("bot", "act:for")
    for named in ("ana@acme.example", "ANA@acme.example", f"Bearer {brit.story.keys['ana']}"):
        sent = {"X-On-Behalf-Of": named}
        found = (await brit.call("bot", "GET", f"{V1}?requestType=myApprovals", headers=sent)).json()
        assert len(found["result"]) == 3
    for kind in ("", "?requestType=myApprovals"):
        shown = await brit.call("bot", "GET", f"{V1}/{made['requestId']}{kind}", headers=sent)
        assert shown.json()["requestId"] == made["requestId"]
    decide = f"{V1}/{{}}?approveRequest=yes"

    assert (await brit.call("bot", "PATCH", decide.format(made["requestId"]), headers=sent)).status_code == 204

    assert (await brit.read(made["requestId"]))["actionBy"] == "ana@acme.example"
    [program] = await brit.rows(
        "SELECT actor_id FROM event WHERE tenant_id = $1 AND subject_id = $2 AND type = 'Decided'", made["requestId"]
    )
    assert program == (brit.ids["bot"],)
    assert error(await brit.call("bot", "PATCH", decide.format(own["requestId"]), headers=sent)) == (403, "PE-0002")
    for nobody in ("nobody@acme.example", "olu@acme.example", f"Bearer {brit.story.keys['olu']}", "Bearer nonsense"):
        for path in (f"{V1}?requestType=myApprovals", f"{V1}/{made['requestId']}"):
            answer = await brit.call("bot", "GET", path, headers={"X-On-Behalf-Of": nobody})
            assert error(answer) == (403, "PE-0002"), nobody
    for method, path in (
        ("GET", V1),
        ("PATCH", f"{V1}/{made['requestId']}?approveRequest=revoke"),
        ("DELETE", f"{V1}/{made['requestId']}"),
        ("POST", f"{V1}/revoke"),
        ("POST", asking("admin/prod")),
        ("POST", "/auth/validate"),
    ):
        assert error(await brit.call("bot", method, path, headers=sent)) == (403, "PE-0002"), path
    for_ben = {"X-On-Behalf-Of": "ben@acme.example"}
    assert error(await brit.call("bot", "GET", f"{V1}/{second['requestId']}", headers=for_ben)) == (404, "AP-0004")
    answer = await brit.call("bot", "PATCH", decide.format(second["requestId"]), headers=for_ben)
    assert error(answer) == (404, "AP-0004")


async def test_anybody_may_ask_whether_we_are_there(brit: Brit) -> None:
    for method in ("GET", "HEAD"):
        assert (await brit.call(None, method, "/health")).status_code == 200


async def test_features_are_a_list_of_names(brit: Brit) -> None:
    found = await brit.get("rhea", "/features")

    assert all(set(one) == {"name", "enabled"} for one in found)
    assert {"name": "approvals", "enabled": True} in found


async def test_callers_learn_who_they_are(brit: Brit) -> None:
    for who, name, kind in (("rhea", "rhea@acme.example", "User"), ("bot", "bot", "ServiceIdentity")):
        said = (await brit.call(who, "POST", "/auth/validate")).json()["authenticationResult"]
        assert said["userId"] == str(brit.ids[who])
        assert (said["username"], said["type"], said["tenant"]) == (name, kind, f"t-{brit.story.tenant}")


async def test_what_there_is_to_ask_for(brit: Brit) -> None:
    named = {"appName": "Shop", "profileName": "Clerk"}
    await brit.thing("environment", "Production", None, await brit.thing("profile", "x", None, attributes=named))
    production = {"environmentId": "prod", "environmentName": "Production"}
    testing = {"environmentId": "test", "environmentName": "Testing"}

    apps = await brit.get("rhea", "/access")

    assert [one["appName"] for one in apps] == ["Billing", "Ops", "Shop"]
    assert apps[0]["profiles"] == [
        {"profileId": "admin", "profileName": "Admin", "environments": [production, testing]}
    ]
    [clerk] = apps[2]["profiles"]
    assert clerk["profileName"] == "Clerk"
    plain = f"/access/{clerk['profileId']}/environments/{clerk['environments'][0]['environmentId']}/approvalRequest"
    assert (await brit.call("rhea", "POST", plain, {"justification": "x"})).status_code == 200
    assert await brit.get("rhea", "/resource-manager/my-resources") == [
        {"profileId": "root", "profileName": "Root", "resourceId": "server-1", "resourceName": "Server 1"}
    ]
    assert await brit.get("olu", "/access") == []
    assert await brit.get("olu", "/resource-manager/my-resources") == []


async def test_every_path_is_there_with_and_without_a_closing_slash(brit: Brit) -> None:
    made = await brit.ask()
    id = made["requestId"]
    for method, path, status in (
        ("GET", f"{V1}{{}}?requestType=myRequests", 200),
        ("GET", f"{V1}/{id}{{}}", 200),
        ("GET", f"{V1}/{id}/requestType=myRequests{{}}", 200),
        ("PATCH", f"{V1}/{id}{{}}?approveRequest=yes", 403),
        ("POST", f"{V1}/revoke{{}}", 400),
        ("POST", f"{asking('admin/prod')}{{}}", 400),
        ("POST", f"{asking('root/server-9')}{{}}", 404),
        ("GET", "/access{}", 200),
        ("GET", "/resource-manager/my-resources{}", 200),
        ("POST", "/auth/validate{}", 200),
        ("POST", "/step-up/authenticate/TOTP{}", 400),
        ("GET", "/health{}", 200),
        ("GET", "/features{}", 200),
        ("DELETE", f"{V1}/consumer/papservice/resource{{}}?resourceId=admin/test", 404),
    ):
        for slash in ("", "/"):
            answer = await brit.call("rhea", method, path.format(slash))
            assert answer.status_code == status, (method, path, slash, answer.text)
    for slash in ("", "/"):
        made = await brit.ask(thing="admin/test")
        path = f"{V1}/{made['requestId']}" if slash else f"{V1}/consumer/papservice/resource"
        query = "" if slash else "?resourceId=admin/test"
        assert (await brit.call("rhea", "DELETE", f"{path}{slash}{query}")).status_code == 204


async def test_what_is_not_there_is_said_by_whom_the_path_belongs_to(brit: Brit) -> None:
    id = uuid4()
    for path in ("/", "/nothing", "/v2/approvals", "/access/x", "/v1/approvals/consumer/x", "/v1/approvals/revoke/x"):
        assert error(await brit.call("rhea", "GET", path)) == (404, "AP-0001"), path
    for path in ("/v1/nothing", f"/v1/approvals/{id}/nothing", "/v1/approvals/pending/nothing"):
        assert native_error(await brit.call("rhea", "GET", path)) == (404, "RESOURCE_NOT_FOUND"), path
    for path in ("/v1/approvals/pending", f"/v1/approvals/{id}/decide"):
        method = "GET" if path.endswith("pending") else "POST"
        answer = await brit.call("rhea", method, path, {}, scheme="Bearer")
        assert "success" in answer.json(), path
        assert native_error(await brit.call("rhea", "PUT", path)) == (405, "METHOD_NOT_ALLOWED")
    for path in ("/v1/approvals", f"/v1/approvals/{id}", "/access"):
        answer = await brit.call("rhea", "PUT", path)
        assert error(answer) == (405, "AP-0005"), path
        assert "GET" in answer.headers["allow"]


async def test_a_body_that_does_not_fit_is_bad_input(brit: Brit) -> None:
    made = await brit.ask()
    nul = b'{"approverComment": "\\u0000"}'
    for body in (b"{", b"[]", b"7", b'{"approverComment": 7}', b"\xff", b'{"a":' * 70, nul, b" " * 1_000_001):
        assert error(await brit.decide("ana", made["requestId"], body=body)) == (400, "E1003"), body[:20]


async def test_a_one_time_code_is_checked_once_and_stands_for_no_evidence(brit: Brit) -> None:
    begun = await brit.story.post("ana", "/users/me/totp/begin", {"password": PASSWORD})
    secret = base64.b32decode(begun["secret"] + "=" * (-len(begun["secret"]) % 8))
    first = code(secret, period_of(brit.clock()))
    await brit.story.post("ana", "/users/me/totp", {"code": first}, 201)
    brit.clock.passes(minutes=1)
    path, right = "/step-up/authenticate/TOTP", code(secret, period_of(brit.clock()))
    wrong = str((int(right) + 1) % 10**6).zfill(6)

    async def shown(who: str, otp: str) -> str:
        answer = await brit.call(who, "POST", path, {"otp": otp})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["result"])

    assert await shown("ana", wrong) == "FAILED"
    assert await shown("ana", right) == "SUCCEEDED"
    assert await shown("ana", right) == "FAILED"  # It has been used.
    assert await shown("rhea", right) == "FAILED"  # She has no app.
    assert await shown("olu", right) == "FAILED"
    for factor in ("SMS", "totp"):
        answer = await brit.call("ana", "POST", f"/step-up/authenticate/{factor}", {"otp": right})
        assert error(answer) == (400, "E1003")
    for body in ({}, {"otp": None}, {"otp": 7}, {"otp": "x" * 65}):
        assert error(await brit.call("ana", "POST", path, body)) == (400, "E1003")
    for _ in range(4):
        assert await shown("ana", wrong) == "FAILED"
    assert error(await brit.call("ana", "POST", path, {"otp": wrong})) == (401, "AU-0021")


async def test_a_security_key_signs_what_it_was_asked_to_once(brit: Brit, owner: Database) -> None:
    await takes_keys(brit.story, owner)
    key, other = await a_passkey(brit.story, "ana"), await a_passkey(brit.story, "ben")
    path = "/step-up/authenticate/WEB_AUTHN"

    async def challenge(body: Any) -> bytes:
        answer = await brit.call("ana", "POST", path, body)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said["result"] == "CHALLENGE"
        options = said["additionalDetails"]
        assert {name: options[name] for name in options if name != "challenge"} == {
            "timeout": 300_000,
            "rpId": RP_ID,
            "allowCredentials": [{"id": b64(key.id), "type": "public-key"}],
            "userVerification": "preferred",
        }
        return base64url(options["challenge"])

    async def shown(assertion: Any, who: str = "ana") -> Any:
        answer = await brit.call(who, "POST", path, {"otp": json.dumps(assertion)})
        assert answer.status_code == 200, answer.text
        return answer.json()

    signed = key.sign(await challenge({}))
    assert await shown(signed) == {"result": "SUCCEEDED"}
    assert await shown(signed) == {"result": "FAILED"}  # It has been taken.
    first, second = await challenge({"otp": ""}), await challenge(b"")
    assert first != second
    assert await shown(key.sign(first)) == {"result": "FAILED"}  # The second voided it, and is gone by this try.
    assert await shown(key.sign(second)) == {"result": "FAILED"}
    assert await shown(other.sign(await challenge({}))) == {"result": "FAILED"}
    late = key.sign(await challenge({}))
    brit.clock.passes(minutes=5)
    assert await shown(late) == {"result": "FAILED"}
    assert await shown(key.sign(await challenge({})), "olu") == {"result": "FAILED"}
    for who in ("rhea", "bot", "olu"):  # They have no key.
        assert (await brit.call(who, "POST", path)).json() == {"result": "FAILED"}


async def test_a_key_that_is_locked_out_or_shows_what_is_no_assertion_is_told_so(brit: Brit, owner: Database) -> None:
    await takes_keys(brit.story, owner)
    key, path = await a_passkey(brit.story, "ana"), "/step-up/authenticate/WEB_AUTHN"
    asked = (await brit.call("ana", "POST", path)).json()["additionalDetails"]
    for otp in ("123456", "[]", "{", "x" * 20_001, 7, "[" * 100, '{"a": "\\u0000"}'):
        assert error(await brit.call("ana", "POST", path, {"otp": otp})) == (400, "E1003"), otp
    right = json.dumps(key.sign(base64url(asked["challenge"])))
    assert (await brit.call("ana", "POST", path, {"otp": right})).json() == {"result": "SUCCEEDED"}

    for wrong in ("{}", '{"id": 7}', '{"id": "x", "response": []}', right, right):
        assert (await brit.call("ana", "POST", path, {"otp": wrong})).json() == {"result": "FAILED"}

    right = json.dumps(
        key.sign(base64url((await brit.call("ana", "POST", path)).json()["additionalDetails"]["challenge"]))
    )
    assert error(await brit.call("ana", "POST", path, {"otp": right})) == (401, "AU-0021")


async def test_a_key_that_was_shown_here_stands_for_no_decision(brit: Brit, owner: Database) -> None:
    await takes_keys(brit.story, owner)
    key, path = await a_passkey(brit.story, "ana"), "/step-up/authenticate/WEB_AUTHN"
    quorum = {"n": 1, "requireSecondFactor": True, "members": [{"user": "@ana"}]}
    workflow = await brit.story.workflow({"order": 1, "name": "Proof", "quorum": quorum})
    sealed = await brit.thing("profile", "Sealed", "sealed", workflow=workflow)
    await brit.thing("environment", "Production", "prod", sealed)
    made = await brit.ask(thing="sealed/prod")
    asked = (await brit.call("ana", "POST", path)).json()["additionalDetails"]
    signed = key.sign(base64url(asked["challenge"]))
    task = await brit.story.task("ana", made["requestId"])

    told = {"decision": "approve", "evidence": {"webauthn": signed}}
    answer = await brit.story.call("ana", "POST", f"/approvals/{task}/decide", told)
    assert answer.status_code == 403, answer.text
    assert (await brit.call("ana", "POST", path, {"otp": json.dumps(signed)})).json() == {"result": "SUCCEEDED"}

    assert error(await brit.decide("ana", made["requestId"])) == (403, "PE-0028")
