"""The vendor's own Python package, unmodified, against our server: version 4.7.0 from PyPI."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from britive.britive import Britive
from britive.exceptions import Conflict, MethodNotAllowed, NotFound, ProfileCheckoutAlreadyApproved
from britive.exceptions.badrequest import MissingJustificationError, PendingProfileApprovalRequestError
from britive.exceptions.generic import EvaluationError, StepUpAuthenticationRequiredError, ValidationError
from britive.exceptions.unauthorized import (
    ApiTokenExpiredError,
    ApiTokenRevokedError,
    InvalidApiTokenError,
    InvalidTenantError,
)

from quorate.app.commands import Door
from quorate.app.filing import AskAccess
from quorate.app.keys import secret_hash
from quorate.app.orders import Order
from quorate.surfaces.http.serving import config
from tests.surfaces.britive.proxy import proxy
from tests.surfaces.britive.story import Brit
from tests.surfaces.http.test_serving import Announced

ADMIN = {"profile_name": "Admin", "environment_name": "Production", "application_name": "Billing"}


class Clients:
    """The SDK's clients, each on a thread of its own."""

    def __init__(self, brit: Brit) -> None:
        self.brit = brit
        self.tenant = f"t-{brit.story.tenant}"

    async def of(self, who: str, tenant: str | None = None) -> Any:
        return await done(Britive, tenant=tenant or self.tenant, token=self.brit.story.keys[who])

    async def key(self, who: str, secret: str, **facts: Any) -> None:
        """Give somebody a key with a secret of our choosing."""
        story = self.brit.story
        async with story.db.tx([story.tenant]) as tx:
            await tx.run(
                """INSERT INTO credential
                          (tenant_id, id, principal_id, kind, secret_hash, created_at, expires_at, revoked_at)
                   VALUES ($1, $2, $3, 'key', $4, $5, $6, $7)""",
                story.tenant,
                uuid4(),
                story.ids[who],
                secret_hash(secret),
                self.brit.clock(),
                facts.get("expires_at"),
                facts.get("revoked_at"),
            )


async def done(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return await asyncio.to_thread(call, *args, **named)


@pytest.fixture
async def clients(brit: Brit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = Announced(config(brit.story.origin, host="127.0.0.1", port=port, drain_s=1))
    running = asyncio.create_task(server._serve([listening]))  # `serve` would take the signal handlers.
    made = Clients(brit)
    hosts = [f"{made.tenant}.britive-app.com", f"{made.tenant}.lab-britive-app.com", "other.britive-app.com"]
    try:
        async with asyncio.timeout(10):
            await server.is_up.wait()
        async with proxy(hosts, port, tmp_path) as (address, trusted):
            for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "CURL_CA_BUNDLE"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("HTTPS_PROXY", address)
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
            yield made
    finally:
        server.should_exit = True
        await running
        listening.close()


async def test_a_request_is_listed_read_approved_rejected_and_withdrawn(clients: Clients) -> None:
    assert version("britive") == "4.7.0"
    rhea, ana = await clients.of("rhea"), await clients.of("ana")
    assert rhea.feature_flags["approvals"] is True
    assert (await done(rhea.my_access.whoami))["username"] == "rhea@acme.example"

    asked = await done(rhea.my_access.request_approval_by_name, justification="The quarter ends", **ADMIN)
    id = asked["requestId"]
    assert [one["requestId"] for one in await done(rhea.my_requests.list)] == [id]
    assert [one["requestId"] for one in await done(ana.my_approvals.list)] == [id]
    assert await done(ana.my_requests.approval_request_status, id) == asked
    with pytest.raises(PendingProfileApprovalRequestError):
        await done(rhea.my_access.request_approval_by_name, justification="again", **ADMIN)
    with pytest.raises(EvaluationError):
        await done(rhea.my_approvals.approve_request, id)
    assert await done(ana.my_approvals.approve_request, id, "fine") is None
    approved = await done(rhea.my_requests.approval_request_status, id)
    assert (approved["status"], approved["actionBy"], approved["approverComment"]) == (
        "APPROVED",
        "ana@acme.example",
        "fine",
    )
    with pytest.raises(Conflict):
        await done(ana.my_approvals.reject_request, id)
    with pytest.raises(ProfileCheckoutAlreadyApproved):
        await done(rhea.my_access.request_approval_by_name, justification="again", **ADMIN)

    second = await done(rhea.my_access.request_approval, "admin", "again", environment_id="test")
    assert await done(ana.my_approvals.reject_request, second["requestId"], "no need") is None
    status = await done(rhea.my_requests.approval_request_status, second["requestId"])
    assert status["status"] == "REJECTED"

    third = await done(rhea.my_access.request_approval, "admin", "again", environment_id="test")
    assert await done(rhea.my_requests.withdraw_approval_request, third["requestId"]) is None
    status = await done(rhea.my_requests.approval_request_status, third["requestId"])
    assert status["status"] == "CANCELLED"


async def test_what_is_asked_for_by_name_is_withdrawn_by_name(clients: Clients) -> None:
    rhea = await clients.of("rhea")
    asked = await done(rhea.my_access.request_approval_by_name, justification="x", **ADMIN)
    with pytest.raises(NotFound):  # It ignores the id, and sends `None/None`.
        await done(rhea.my_resources.withdraw_approval_request, request_id=asked["requestId"])
    assert await done(rhea.my_access.withdraw_approval_request_by_name, **ADMIN) is None
    with pytest.raises(NotFound):
        await done(rhea.my_access.withdraw_approval_request_by_name, **ADMIN)

    server = {"profile_name": "Root", "resource_name": "Server 1"}
    await done(rhea.my_resources.request_approval_by_name, justification="x", **server)
    assert await done(rhea.my_resources.withdraw_approval_request_by_name, **server) is None
    assert {one["status"] for one in await done(rhea.my_requests.list)} == {"CANCELLED"}


async def test_whoever_waits_learns_what_was_decided(clients: Clients) -> None:
    rhea, ana = await clients.of("rhea"), await clients.of("ana")
    for environment, decide, end in (
        ("prod", ana.my_approvals.approve_request, "approved"),
        ("test", ana.my_approvals.reject_request, "rejected"),
    ):
        waiting = asyncio.create_task(
            done(
                rhea.my_access.request_approval,
                "admin",
                "x",
                environment_id=environment,
                block_until_disposition=True,
                wait_time=0.05,
            )
        )
        async with asyncio.timeout(20):
            while not (found := [one for one in await done(ana.my_approvals.list) if one["status"] == "PENDING"]):
                assert not waiting.done(), waiting.exception()
        await done(decide, found[0]["requestId"])
        assert await waiting == end


async def test_a_long_list_comes_as_one(clients: Clients) -> None:
    brit = clients.brit
    await brit.story.workflow(resourceTypes=["role"])
    door = Door(brit.story.db, brit.clock, uuid4)
    asked = AskAccess("role", str(brit.story.auditors), "x", refuses_duplicates=False)
    for _ in range(101):
        await door.take(Order(uuid4(), brit.story.tenant, brit.ids["rhea"], asked))
    await door.close()
    rhea = await clients.of("rhea", f"{clients.tenant}.lab-britive-app.com")

    found = await done(rhea.my_requests.list)

    assert len({one["requestId"] for one in found}) == len(found) == 101


async def test_refusals_raise_what_the_package_has_for_them(clients: Clients) -> None:
    brit = clients.brit
    quorum = {"n": 1, "requirePassword": True, "members": [{"user": "@ana"}]}
    workflow = await brit.story.workflow({"order": 1, "name": "Proof", "quorum": quorum})
    sealed = await brit.thing("profile", "Sealed", "sealed", workflow=workflow, approval={"justification": "required"})
    await brit.thing("environment", "Production", "prod", sealed)
    await clients.key("rhea", "a-short-key-of-rhea-1234")
    await clients.key("ana", f"{'a' * 30}::{'b' * 30}")
    brit.story.keys |= {"rhea": "a-short-key-of-rhea-1234", "ana": f"{'a' * 30}::{'b' * 30}"}
    rhea, ana, olu = await clients.of("rhea"), await clients.of("ana"), clients.brit.story.keys["olu"]

    with pytest.raises(MissingJustificationError):
        await done(rhea.my_access.request_approval, "sealed", "", environment_id="prod")
    asked = await done(rhea.my_access.request_approval, "sealed", "x", environment_id="prod")
    with pytest.raises(StepUpAuthenticationRequiredError):
        await done(ana.my_approvals.approve_request, asked["requestId"])
    for unknown in (str(uuid4()), "nothing"):
        with pytest.raises(NotFound):
            await done(ana.my_approvals.approve_request, unknown)
    with pytest.raises(ValidationError):
        await done(ana.patch, f"{ana.base_url}/v1/approvals/{asked['requestId']}")
    with pytest.raises(MethodNotAllowed):
        await done(ana.put, f"{ana.base_url}/v1/approvals/{asked['requestId']}")
    with pytest.raises(NotFound):
        await done(ana.get, f"{ana.base_url}/nothing")
    with pytest.raises(EvaluationError):
        await done(ana.my_approvals.list, headers={"X-On-Behalf-Of": "rhea@acme.example"})

    at = brit.clock()
    await clients.key("ana", "a-revoked-key-of-ana-1", revoked_at=at)
    await clients.key("ana", "an-expired-key-of-ana-1", expires_at=at)
    for token, tenant, raised in (
        ("nobody-has-this-key-1234", clients.tenant, InvalidApiTokenError),
        ("a-revoked-key-of-ana-1", clients.tenant, ApiTokenRevokedError),
        ("an-expired-key-of-ana-1", clients.tenant, ApiTokenExpiredError),
        (olu, clients.tenant, InvalidTenantError),
        (brit.story.keys["ana"], "other", InvalidTenantError),
    ):
        with pytest.raises(raised):
            await done(Britive, tenant=tenant, token=token)
