"""Credentials: client credentials for a token, however they are sent, and which tenant this is."""

import httpx
import pytest

from tests.app.directory import a_client
from tests.surfaces.native.story import Story
from tests.surfaces.sailpoint.calls import V1, call, error, generic


@pytest.fixture
async def grant(story: Story) -> dict[str, str]:
    """Personal client credentials of Ana's."""
    secret = f"ana's secret of {story.tenant}"
    await a_client(story.db, story.tenant, story.ids["ana"], f"ana-{story.tenant}", secret)
    return {"grant_type": "client_credentials", "client_id": f"ana-{story.tenant}", "client_secret": secret}


@pytest.mark.parametrize("how", ["form", "multipart", "query"])
async def test_a_client_gets_a_token_and_acts_as_its_person(story: Story, grant: dict[str, str], how: str) -> None:
    id = await generic(story)
    http = story.callers[""]
    match how:
        case "form":
            answer = await http.post("/oauth/token", data=grant)
        case "multipart":
            answer = await http.post("/oauth/token", files={name: (None, text) for name, text in grant.items()})
        case _:
            answer = await http.post("/oauth/token", params=grant)

    token = answer.json()
    assert (answer.status_code, token["token_type"]) == (200, "bearer")
    assert token["identity_id"] == str(story.ids["ana"])
    assert {"access_token", "expires_in", "scope", "tenant_id", "org", "pod", "jti"} <= token.keys()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    listed = await http.get(V1, headers=headers)
    assert [one["id"] for one in listed.json()] == [id]


async def test_a_wrong_secret_and_another_grant_are_refused(story: Story, grant: dict[str, str]) -> None:
    http = story.callers[""]
    wrong = await http.post("/oauth/token", data=grant | {"client_secret": "x"})
    other = await http.post("/oauth/token", data=grant | {"grant_type": "password"})

    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert (other.status_code, other.json()["error"]) == (400, "unsupported_grant_type")


async def test_a_form_that_is_none_is_refused(story: Story) -> None:
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n\r\n--x--", b"\xff\xfe", b'--x\r\nContent-Disposition: form-data; name="a"'):
        answer = await story.callers[""].post("/oauth/token", content=body, headers=multipart)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_program_without_a_person_has_no_identity(story: Story) -> None:
    await a_client(story.db, story.tenant, story.ids["bot"], f"bot-{story.tenant}", f"secret {story.tenant}")
    form = {"client_id": f"bot-{story.tenant}", "client_secret": f"secret {story.tenant}"}

    answer = await story.callers[""].post("/oauth/token", data=form | {"grant_type": "client_credentials"})

    assert "identity_id" not in answer.json()


async def test_whoever_is_signed_in_learns_which_tenant_this_is(story: Story) -> None:
    said = (await call(story, "ana", "GET", "/oauth/info")).json()

    assert said == {
        "tenantId": str(story.tenant),
        "tenantName": f"t-{story.tenant}",
        "tokenEndpoint": "http://quorate.test/oauth/token",
    }
    assert (await call(story, "olu", "GET", "/oauth/info")).json()["tenantId"] == str(story.elsewhere)
    assert error(await call(story, None, "GET", "/oauth/info"))[0] == 401


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Bearer x", "TOKEN x"])
async def test_what_is_no_credential_is_not_taken_for_one(story: Story, header: str) -> None:
    answer: httpx.Response = await call(story, None, "GET", V1, Authorization=header)
    assert error(answer)[0] == 401
