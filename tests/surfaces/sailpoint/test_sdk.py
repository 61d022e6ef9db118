"""The vendor's own client, unmodified, against a real server on a socket. Source: SailPoint contract §2."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sailpoint.approvals.api.approvals_api import ApprovalsApi
from sailpoint.approvals.api_client import ApiClient
from sailpoint.approvals.exceptions import ApiException, BadRequestException, ForbiddenException, NotFoundException
from sailpoint.approvals.models.approval_approve_request import ApprovalApproveRequest
from sailpoint.approvals.models.approval_comments_request import ApprovalCommentsRequest
from sailpoint.approvals.models.approval_config import ApprovalConfig
from sailpoint.approvals.models.approval_config_serial_chain_inner import ApprovalConfigSerialChainInner
from sailpoint.approvals.models.approval_reassign_request import ApprovalReassignRequest
from sailpoint.approvals.models.bulk_approve_request_dto import BulkApproveRequestDTO
from sailpoint.approvals.models.bulk_reassign_request_dto import BulkReassignRequestDTO
from sailpoint.configuration import Configuration, ConfigurationParams
from sailpoint.paginator import Paginator

from quorate.surfaces.http.serving import config
from tests.app.directory import a_client
from tests.surfaces.http.test_serving import Announced
from tests.surfaces.native.story import Story, by
from tests.surfaces.sailpoint.calls import V1, generic, shown

UNREADABLE = "requester,requestee,batchRequest,approvalConfig"
NOWHERE = "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"


@asynccontextmanager
async def served(story: Story) -> AsyncIterator[str]:
    """Serve the story on a port of its own; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Announced(config(story.origin, host="127.0.0.1", port=0, drain_s=1))
        running = asyncio.create_task(server._serve([listening]))
        try:
            async with asyncio.timeout(10):
                await server.is_up.wait()
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def sdk(story: Story) -> AsyncIterator[Callable[..., Any]]:
    """Makes the vendor's client of somebody: as its own documentation says, from client credentials."""
    async with served(story) as url:

        async def client(who: str, *, omit: str = "") -> ApprovalsApi:
            tenant = story.elsewhere if who == "olu" else story.tenant
            id, secret = f"{who}-{tenant}{omit[:1]}", f"the secret of {who} {tenant}{omit}"
            await a_client(story.db, tenant, story.ids[who], id, secret)
            given = ConfigurationParams()
            given.base_url, given.client_id, given.client_secret = url, id, secret
            api_client = ApiClient(await asyncio.to_thread(Configuration, given))
            if omit:
                api_client.set_default_header("X-Compat-Omit", omit)
            return ApprovalsApi(api_client)

        yield client


def read(raw: Any) -> Any:
    assert 200 <= raw.status < 300, raw.data
    return json.loads(raw.data)


async def test_a_day_of_an_approver_with_raw_answers(story: Story, sdk: Any) -> None:
    first, second = await generic(story), await generic(story)
    ana = await sdk("ana")

    listed = await asyncio.to_thread(ana.get_approvals_v1_without_preload_content, count=True, include_comments=True)
    assert [one["id"] for one in read(listed)] == [first, second]
    assert listed.headers["X-Total-Count"] == "2"
    got = read(await asyncio.to_thread(ana.get_approval_v1_without_preload_content, first))
    assert (got["status"], got["requester"]["name"]) == ("PENDING", "Rhea")
    said = ApprovalApproveRequest(comment="fine", additional_attributes={"ticket": "T-1"})
    done = read(await asyncio.to_thread(ana.approve_approval_v1_without_preload_content, first, said))
    assert (done["status"], done["additionalAttributes"]) == ("APPROVED", '{"ticket":"T-1"}')
    remark = ApprovalCommentsRequest(comment="hm")
    await asyncio.to_thread(ana.update_approvals_comments_v1_without_preload_content, second, remark)
    assert await asyncio.to_thread(ana.reject_approval_v1, second) is None
    assert (await shown(story, "rhea", second))["status"] == "REJECTED"


async def test_the_typed_methods_work_once_the_client_says_what_it_cannot_read(story: Story, sdk: Any) -> None:
    ids = [await generic(story) for _ in range(3)]
    ana = await sdk("ana", omit=UNREADABLE)

    listed = await asyncio.to_thread(ana.get_approvals_v1, include_approvers=True, include_reassignment_history=True)
    assert [one.id for one in listed] == ids
    assert [one.identity_id for one in listed[0].approvers] == [str(story.ids["ana"])]
    paged = await asyncio.to_thread(Paginator.paginate, ana.get_approvals_v1, 10, limit=2)
    assert [one.id for one in paged] == ids
    one = await asyncio.to_thread(ana.get_approval_v1, ids[0])
    assert (one.id, one.approval_criteria.type, one.escalation_step) == (ids[0], "PARALLEL", "0")
    approved = await asyncio.to_thread(ana.approve_approval_v1, ids[0])  # No body at all.
    assert approved.approved_by[0].identity_id == str(story.ids["ana"])
    filtered = await asyncio.to_thread(ana.get_approvals_v1, filters='status eq "PENDING"')
    assert [one.id for one in filtered] == ids[1:]


async def test_without_that_the_clients_model_fails_after_the_work_is_done(story: Story, sdk: Any) -> None:
    id = await generic(story)
    ana = await sdk("ana")

    with pytest.raises(NameError):
        await asyncio.to_thread(ana.approve_approval_v1, id)

    assert (await shown(story, "ana", id))["status"] == "APPROVED"


async def test_an_administrator_acts_on_many_and_gives_away(story: Story, sdk: Any) -> None:
    ids = [await generic(story) for _ in range(3)]
    who = {name: str(id) for name, id in story.ids.items()}
    ada = await sdk("ada")

    away = ApprovalReassignRequest(reassign_to=who["ben"], reassign_from=who["ana"], comment="yours")
    assert await asyncio.to_thread(ada.update_approvals_reassign_v1, ids[0], away) is None
    many = BulkReassignRequestDTO(approval_ids=ids, reassign_from=who["ana"], reassign_to=who["cyd"])
    assert await asyncio.to_thread(ada.move_approval_v1, many) in (None, {})
    holders = [(await shown(story, "rhea", id))["assignedTo"][0]["name"] for id in ids]
    assert holders == ["Ben", "Cyd", "Cyd"]
    chosen = BulkApproveRequestDTO(approval_ids=[*ids[:2], NOWHERE], comment="all")
    assert await asyncio.to_thread(ada.approve_approval_in_bulk_v1, chosen) == {}
    await asyncio.to_thread(ada.cancel_approval_by_id_v1, ids[2])
    assert [(await shown(story, "rhea", id))["status"] for id in ids] == ["APPROVED", "APPROVED", "CANCELLED"]


async def test_an_administrator_settles_what_steps_want(story: Story, sdk: Any) -> None:
    ada, tenant = await sdk("ada"), str(story.tenant)
    wanted = ApprovalConfig(requires_comment="ALL", auto_approve="OFF")

    settled = await asyncio.to_thread(ada.put_approvals_config_v1, tenant, "TENANT", wanted)
    assert settled.requires_comment == "ALL"
    assert (await asyncio.to_thread(ada.get_approvals_config_v1, tenant)).requires_comment == "ALL"
    id = await generic(story)
    ana = await sdk("ana")
    with pytest.raises(BadRequestException):
        await asyncio.to_thread(ana.approve_approval_v1, id)
    await asyncio.to_thread(ada.delete_approval_config_request_v1, tenant, "TENANT")
    with pytest.raises(NotFoundException):
        await asyncio.to_thread(ada.get_approvals_config_v1, tenant)


async def test_an_administrator_settles_when_steps_remind_and_whom_they_escalate_to(story: Story, sdk: Any) -> None:
    ada, tenant = await sdk("ada"), str(story.tenant)
    chain = [{"identityType": "MANAGER_OF"}, {"identityId": str(story.ids["cyd"]), "identityType": "IDENTITY"}]
    said = {
        "reminderConfig": {
            "enabled": True,
            "daysUntilFirstReminder": 1,
            "reminderCronSchedule": "0 9 * * 1-5",
            "maxReminders": 5,
        },
        "escalationConfig": {
            "enabled": True,
            "daysUntilFirstEscalation": 2,
            "escalationCronSchedule": "@every 24h",
            "escalationChain": chain,
        },
        "timeoutConfig": {"enabled": True, "daysUntilTimeout": 14, "timeoutResult": "EXPIRED"},
        "cronTimezone": {"location": "Europe/Berlin", "offset": "+01:00"},
    }
    wanted = ApprovalConfig.from_dict(said)

    await asyncio.to_thread(ada.put_approvals_config_v1, tenant, "TENANT", wanted)

    kept = (await asyncio.to_thread(ada.get_approvals_config_v1, tenant)).to_dict()
    assert {key: kept[key] for key in said} == said
    shown_config = (await shown(story, "rhea", await generic(story)))["approvalConfig"]
    said["cronTimezone"] = {"location": "Europe/Berlin"}
    assert {key: shown_config[key] for key in said} == said


async def test_an_administrator_settles_who_decides(story: Story, sdk: Any) -> None:
    ada, tenant = await sdk("ada"), str(story.tenant)
    ben = ApprovalConfigSerialChainInner(identity_type="IDENTITY", identity_id=str(story.ids["ben"]))
    manager = ApprovalConfigSerialChainInner(identity_type="MANAGER_OF_REQUESTER")
    wanted = ApprovalConfig(serial_chain=[ben, manager])

    settled = await asyncio.to_thread(ada.put_approvals_config_v1, tenant, "TENANT", wanted)
    assert settled.serial_chain == wanted.serial_chain
    id = await generic(story)
    for who in ("ben", "mona"):
        caller = await sdk(who)
        await asyncio.to_thread(caller.approve_approval_v1_without_preload_content, id)
    waived = ApprovalConfig(circumvent_approval_process=True)
    await asyncio.to_thread(ada.put_approvals_config_v1, "GENERIC_APPROVAL", "APPROVAL_TYPE", waived)
    assert [(await shown(story, "rhea", one))["status"] for one in (id, await generic(story))] == ["APPROVED", "PASSED"]


async def test_errors_are_the_clients_own(story: Story, sdk: Any) -> None:
    id = await generic(story, by("ana"), by("ben", 2))
    rhea, olu = await sdk("rhea"), await sdk("olu")

    with pytest.raises(ForbiddenException) as forbidden:
        await asyncio.to_thread(rhea.approve_approval_v1, id)
    assert forbidden.value.data.detail_code == "403 Forbidden"
    with pytest.raises(NotFoundException):
        await asyncio.to_thread(olu.approve_approval_v1, id)
    with pytest.raises(BadRequestException) as bad:
        await asyncio.to_thread(rhea.get_approvals_v1, filters="status EQ PENDING")
    assert bad.value.data.messages[0].locale == "en-US"
    with pytest.raises(ForbiddenException):
        await asyncio.to_thread(rhea.approve_approval_in_bulk_v1, BulkApproveRequestDTO(approval_ids=[id]))


async def test_a_client_that_calls_too_often_is_told_when_to_come_back(story: Story, sdk: Any) -> None:
    ana = await sdk("ana")
    await story.callers["ana"].get(f"{V1}?limit=0")  # Another credential, which counts for itself.

    def unless_refused() -> None:
        for _ in range(100):
            with suppress(NotFoundException):
                ana.approve_approval_v1(NOWHERE)  # It repeats a GET by itself, and never a POST.

    await asyncio.to_thread(unless_refused)
    with pytest.raises(ApiException) as refused:
        await asyncio.to_thread(ana.approve_approval_v1, NOWHERE)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
