"""Who calls, for which tenant, and in which order that is looked at. Source: JITSudo contract b.1; (d) 3, 4, 7–12."""

from uuid import uuid4

from tests.app.directory import PASSWORD
from tests.surfaces.jitsudo.story import ACCOUNT, Jit, error
from tests.surfaces.native.story import Body

BODY: Body = {"resource": ACCOUNT, "action": "read"}


async def test_a_key_is_taken_as_x_api_key_and_as_a_bearer(jit: Jit) -> None:
    for key in (True, False):
        assert (await jit.call("rhea", "GET", "/requests", key=key)).status_code == 200
        upper = str(jit.story.tenant).upper()
        assert (await jit.call("rhea", "GET", "/requests", key=key, tenant=upper)).status_code == 200


async def test_without_a_good_credential_everything_is_401(jit: Jit) -> None:
    secret = jit.story.keys["rhea"]
    for headers in (
        {},
        {"X-API-Key": "nobody's-key-at-all"},
        {"X-API-Key": ""},
        {"X-API-Key": secret + "x"},
        {"Authorization": f"Basic {secret}"},
        {"Authorization": f"TOKEN {secret}"},
        {"Authorization": "Bearer eyJ.eyJ.x"},
        {"Cookie": f"__Host-session={secret}"},
    ):
        for tenant in (None, "x", jit.story.tenant, uuid4()):
            answer = await jit.call(None, "POST", "/requests", b"{", tenant=tenant, headers=headers)
            assert error(answer) == (401, "unauthenticated"), headers
            assert answer.headers["www-authenticate"]


async def test_of_two_credentials_both_must_be_good_and_the_bearer_says_who_calls(jit: Jit) -> None:
    keys = jit.story.keys
    both = {"Authorization": f"Bearer {keys['mona']}"}

    made = (await jit.call("rhea", "POST", "/requests", BODY, headers=both)).json()

    assert made["requester_id"] == str(jit.ids["mona"])
    for bad in ({"Authorization": "Bearer nobody's-key-at-all"}, {"Authorization": "nonsense"}):
        assert error(await jit.call("rhea", "GET", "/requests", headers=bad)) == (401, "unauthenticated")
    bad_key = {"Authorization": f"Bearer {keys['rhea']}", "X-API-Key": "nobody's-key-at-all"}
    assert error(await jit.call(None, "GET", "/requests", headers=bad_key)) == (401, "unauthenticated")
    mixed = {"Authorization": f"Bearer {keys['olu']}"}
    assert error(await jit.call("rhea", "GET", "/requests", headers=mixed)) == (403, "tenant_mismatch")


async def test_the_tenant_must_be_named_and_be_the_credentials(jit: Jit) -> None:
    for odd in (None, "", "x", "123", f"{jit.story.tenant}0"):
        answer = await jit.call("rhea", "POST", "/requests", b"{", tenant=odd)
        assert error(answer) == (400, "invalid_input"), odd
        assert answer.json()["details"]["errors"][0]["field"] == "X-Tenant-ID"
    for tenant in (jit.story.elsewhere, uuid4()):
        answer = await jit.call("rhea", "POST", "/requests", b"{", tenant=tenant)
        assert error(answer) == (403, "tenant_mismatch")
    assert error(await jit.call("olu", "GET", "/requests", tenant=jit.story.tenant)) == (403, "tenant_mismatch")


async def test_what_is_looked_at_comes_in_one_order(jit: Jit) -> None:
    """401, 400 for the header, 403 for the tenant, 400 for the body, 404, 403 for who may, 409. Source: (d) 11."""
    made = await jit.ask()
    await jit.decided("ana", made)
    path = f"/requests/{made['id']}/approve"
    assert error(await jit.call("mona", "POST", path, b"{")) == (400, "invalid_input")
    assert error(await jit.call("olu", "POST", path, b"{")) == (400, "invalid_input")
    for id in (made["id"], str(uuid4()), "x", "%2e"):
        assert error(await jit.call("olu", "POST", f"/requests/{id}/approve")) == (404, "not_found")
    assert error(await jit.call("mona", "POST", path)) == (403, "forbidden")
    assert error(await jit.call("ben", "POST", path)) == (409, "conflict")


async def test_unknown_paths_and_wrong_methods_are_told_in_these_words(jit: Jit) -> None:
    for path in ("/nothing", "/requests/x/y/z", "/auth", "/notification-channels/email"):
        assert error(await jit.call(None, "GET", path)) == (404, "not_found")
        assert error(await jit.call("ada", "POST", path, {})) == (404, "not_found")
    answer = await jit.call("ada", "DELETE", "/requests")
    assert error(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_key_of_its_own_acts_as_itself(jit: Jit) -> None:
    one, two = await jit.api_key(), await jit.api_key()
    assert one["permissions"] == ["request:approve"]
    name, other = f"api_key:{one['id']}", f"api_key:{two['id']}"
    made = await jit.ask(one["id"])
    assert made["requester_id"] == name
    assert [each["id"] for each in (await jit.get("rita", f"/requests?requester_id={name}"))["data"]] == [made["id"]]
    said = await jit.post(one["id"], f"/requests/{made['id']}/messages", {"content": "Soon?"}, 201)
    assert said["author_id"] == name

    hers = await jit.ask()
    _, decided = await jit.decided(one["id"], hers)
    assert (decided["status"], decided["decided_by"]) == ("approved", name)
    _, decided = await jit.decided("ana", made)
    assert decided["status"] == "approved"
    [grant] = (await jit.get("rita", f"/grants?grantee_id={name}"))["data"]
    assert (grant["grantee_id"], grant["request_id"]) == (name, made["id"])
    assert (await jit.get("rita", f"/grants?grantee_id={other}"))["data"] == []


async def test_nobody_decides_their_own_request_by_a_key_of_theirs(jit: Jit) -> None:
    one, two = await jit.api_key(), await jit.api_key()
    for asker, deciders in ((one["id"], (one["id"], two["id"], "ada")), ("ada", (one["id"], "ada"))):
        made = await jit.ask(asker)
        for who in deciders:
            assert error(await jit.call(who, "POST", f"/requests/{made['id']}/approve")) == (403, "forbidden")
    await jit.settings(b'{"selfApproval": true}')
    _, decided = await jit.decided(one["id"], made)
    assert decided["status"] == "approved"
    marks = await jit.story.get("ada", f"/audit/resources/access_request/{made['id']}/history")
    assert any(each["details"].get("selfApproval") for each in next(v for v in marks.values() if isinstance(v, list)))


async def test_who_may_make_a_key_and_what_it_may_do(jit: Jit) -> None:
    made = await jit.api_key(permissions=["workflow:read"])
    assert made["permissions"] == ["workflow:read"]
    request = await jit.ask()
    assert error(await jit.call(made["id"], "POST", f"/requests/{request['id']}/approve")) == (403, "forbidden")
    assert [one["id"] for one in (await jit.get(made["id"], "/requests"))["data"]] == [request["id"]]
    for who in ("rhea", "ana", "rita"):
        assert error(await jit.call(who, "POST", "/api-keys", {"name": "mine"})) == (403, "forbidden")
    assert error(await jit.call("ada", "POST", "/api-keys", {"name": made["name"]})) == (409, "conflict")
    for body in ({}, {"name": ""}, {"name": "x", "permissions": "admin"}):
        assert error(await jit.call("ada", "POST", "/api-keys", body)) == (400, "invalid_input")
    shown = await jit.story.get("ada", "/audit/events?limit=100")
    assert made["key"] not in str(shown)


async def test_a_mistake_of_ours_is_told_in_these_words(jit: Jit) -> None:
    surface = next(one for one in jit.story.origin.surfaces if one.name == "jitsudo")
    broken = surface._services
    surface._services = None
    try:
        assert error(await jit.call("ada", "GET", "/requests")) == (500, "internal")
    finally:
        surface._services = broken


async def test_a_role_by_the_name_of_approver_may_approve_unless_told_otherwise(jit: Jit) -> None:
    first, second = await jit.ask(), await jit.ask("ana")
    for name, who, request, status in (("approver", "mona", first, 200), ("admin", "rita", second, 403)):
        said = {} if status == 200 else {"permissions": ["workflow:read"]}
        role = await jit.story.post("ada", "/roles", {"name": name, **said}, 201)
        assert role["permissions"] == ["request:approve"] if status == 200 else ["workflow:read"]
        await jit.story.post("ada", f"/users/{jit.ids[who]}/roles", {"roleId": role["id"]})
        assert (await jit.decided(who, request))[0] == status


async def test_a_token_of_ours_is_taken_as_a_bearer(jit: Jit) -> None:
    signed_in = await jit.story.call(
        None,
        "POST",
        "/auth/login",
        {"email": "rhea@acme.example", "password": PASSWORD},
        headers={"X-Tenant-ID": str(jit.story.tenant)},
    )
    [token] = [value for name, value in signed_in.json()["data"].items() if name.lower() in ("token", "accesstoken")]

    answer = await jit.call(None, "POST", "/requests", BODY, headers={"Authorization": f"Bearer {token}"})

    assert answer.json()["requester_id"] == str(jit.ids["rhea"])


async def test_a_key_that_passes_a_step_as_an_administrator_is_shown(jit: Jit) -> None:
    key = await jit.api_key(permissions=["workflow:write"])
    made = await jit.ask()
    bearer = {"Authorization": f"Bearer {key['key']}"}

    passed = await jit.story.call(None, "POST", f"/access-requests/{made['id']}/approve", {}, headers=bearer)

    assert passed.status_code == 200, passed.text
    shown = await jit.get("rhea", f"/requests/{made['id']}")
    assert (shown["status"], shown["decided_by"]) == ("approved", f"api_key:{key['id']}")
