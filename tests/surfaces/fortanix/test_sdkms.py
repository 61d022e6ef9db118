"""The vendor's own client, unmodified, over a real server. Source: Fortanix contract §1."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
import sdkms.v1  # type: ignore[import-untyped]
from sdkms.v1.rest import ApiException  # type: ignore[import-untyped]

from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.serving import config
from tests.app.directory import PASSWORD
from tests.docs.pages import ROOT, blocks
from tests.surfaces.fortanix.story import SIGN, Story
from tests.surfaces.http.test_serving import Announced

PAGE = ROOT / "docs" / "surfaces" / "fortanix.md"
USUAL = "http://127.0.0.1:8080"


@asynccontextmanager
async def served(origin: Origin) -> AsyncIterator[str]:
    """Serve on a free port of loopback; gives where."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Announced(config(origin, host="127.0.0.1", port=0, drain_s=1))
    running = asyncio.create_task(server._serve([listening]))  # `serve` would take the signal handlers.
    try:
        async with asyncio.timeout(10):
            await server.is_up.wait()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listening.close()


class Client:
    """One caller with the SDK, signed in as its readme says."""

    def __init__(self, host: str, **credentials: str) -> None:
        settings = sdkms.v1.Configuration()
        settings.host = host
        for name, value in credentials.items():
            setattr(settings, name, value)
        self.client = sdkms.v1.ApiClient(configuration=settings)
        self.sessions = sdkms.v1.AuthenticationApi(api_client=self.client)
        self.session = self.sessions.authorize()
        settings.api_key["Authorization"] = self.session.access_token
        settings.api_key_prefix["Authorization"] = "Bearer"
        self.requests = sdkms.v1.ApprovalRequestsApi(api_client=self.client)


def person(host: str, story: Story, who: str) -> Client:
    return Client(host, username=story.login(who), password=PASSWORD)


async def test_the_unmodified_sdk_gets_from_session_to_result(story: Story) -> None:
    async with served(story.origin) as host:
        await asyncio.to_thread(_from_session_to_result, story, host)


def _from_session_to_result(story: Story, host: str) -> None:
    rhea, ana, olu = (person(host, story, who) for who in ("rhea", "ana", "olu"))
    signer = Client(host, app_api_key=story.api_key("signer"))
    asked = rhea.requests.create_approval_request(
        sdkms.v1.ApprovalRequestRequest(operation="crypto/v1/sign", body=SIGN["body"], description="May")
    )
    assert asked.status == sdkms.v1.ApprovalStatus.PENDING
    assert asked.requester.user == str(story.ids["rhea"])
    assert [(one.user, one.app) for one in asked.reviewers][-1] == (None, str(story.ids["signer"]))
    assert asked.subjects[0].sobject == str(story.vault)

    assert ana.requests.approve(asked.request_id) is None
    assert ana.client.last_response.status == 200
    assert signer.requests.approve(asked.request_id, body={"body": {"ticket": 1}}) is None

    listed = rhea.requests.get_approval_requests(status="APPROVED", requester=str(story.ids["rhea"]))
    assert [one.request_id for one in listed] == [asked.request_id]
    assert [one.user or one.app for one in listed[0].approvers] == [str(story.ids["ana"]), str(story.ids["signer"])]
    result = rhea.requests.get_result(asked.request_id)
    assert (result.status, result.body) == (200, {"signature": "c2ln"})

    denied = rhea.requests.create_approval_request(sdkms.v1.ApprovalRequestRequest(operation="crypto/v1/sign"))
    signer.requests.deny(denied.request_id)
    shown = rhea.requests.get_approval_request(denied.request_id)
    assert (shown.status, shown.denier.app) == (sdkms.v1.ApprovalStatus.DENIED, str(story.ids["signer"]))

    for outsiders in (olu.requests.get_approval_request, olu.requests.approve, olu.requests.get_result):
        _refused(404, "The approval request does not exist", outsiders, asked.request_id)
    assert olu.requests.get_approval_requests() == []
    _refused(403, "Only the requester may do this", ana.requests.delete_approval_request, asked.request_id)
    assert rhea.requests.delete_approval_request(asked.request_id) is None
    _refused(404, "The approval request does not exist", rhea.requests.get_approval_request, asked.request_id)

    rhea.sessions.refresh()
    assert signer.sessions.re_auth().entity_id == str(story.ids["signer"])
    assert rhea.sessions.get_server_version().api_version == "v1"
    rhea.sessions.check_health()
    rhea.sessions.select_account(sdkms.v1.SelectAccountRequest(acct_id=str(story.tenant)))
    rhea.sessions.terminate()
    _refused(401, "A valid session or API key is required", rhea.requests.get_approval_requests)
    _refused(401, "The credentials are not valid", Client, host, username=story.login("ana"), password="wrong")


async def test_the_sdk_works_with_an_api_key_on_every_call(story: Story) -> None:
    def calls(host: str) -> Any:
        settings = sdkms.v1.Configuration()
        settings.host = host
        settings.api_key["Authorization"] = story.api_key("signer")
        settings.api_key_prefix["Authorization"] = "Basic"
        client = sdkms.v1.ApiClient(configuration=settings)
        return sdkms.v1.ApprovalRequestsApi(api_client=client).get_approval_requests()

    id = (await story.ask())["request_id"]
    async with served(story.origin) as host:
        listed = await asyncio.to_thread(calls, host)

    assert [one.request_id for one in listed] == [id]


async def test_the_sdk_is_told_that_an_operation_requires_approval_and_asks_for_it(story: Story) -> None:
    await story.apply(
        operations=[story.operation("crypto/v1/keys/{id}/sign", "Custodians", {"status": 200, "body": {"kid": "k"}})]
    )

    def tries_and_asks(host: str) -> str:
        rhea, key = person(host, story, "rhea"), str(uuid4())
        sign = sdkms.v1.SignAndVerifyApi(api_client=rhea.client).sign
        body = sdkms.v1.SignRequest(hash_alg=sdkms.v1.DigestAlgorithm.SHA256, data=bytearray(b"May"))
        _refused(403, "This operation requires approval", sign, key, body)
        path = f"/crypto/v1/keys/{key}/sign"
        asked = rhea.requests.create_approval_request(sdkms.v1.ApprovalRequestRequest(operation=path, body={}))
        for who in ("ana", "ben"):
            person(host, story, who).requests.approve(asked.request_id)
        result = rhea.requests.get_result(asked.request_id)
        assert (result.status, result.body) == (200, {"kid": "k"})
        return str(asked.operation)

    async with served(story.origin) as host:
        assert (await asyncio.to_thread(tries_and_asks, host)).startswith("/crypto/v1/keys/")


async def test_the_page_shows_what_works(story: Story) -> None:
    page = blocks(PAGE.read_text("utf-8"))
    [file], [snippet] = ([block.text for block in page if block.kind == kind] for kind in ("yaml", "python"))
    await story.apply_text(file)
    made: dict[str, Any] = {}

    async with served(story.origin) as host:
        assert USUAL in snippet
        await asyncio.to_thread(exec, snippet.replace(USUAL, host), made)

    assert made["status"] == sdkms.v1.ApprovalStatus.APPROVED
    assert made["result"].body == {"signature": "c2ln"}


def _refused(status: int, message: str, call: Any, *args: Any, **more: Any) -> None:
    with pytest.raises(ApiException) as refused:
        call(*args, **more)
    body = refused.value.body
    assert (refused.value.status, body if isinstance(body, str) else body.decode()) == (status, message)
