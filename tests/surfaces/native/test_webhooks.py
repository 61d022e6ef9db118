"""Webhooks over HTTP: contract b.7 and b.8, row by row."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from quorate.app.sending import Parcel, Sending, Sent
from quorate.store.database import Database
from quorate.store.outbox import Tried
from tests.app.directory import SEALER
from tests.surfaces.native.story import Story, error

URL = "https://hooks.acme.example/quorate?key=1"
WEBHOOK = {"id", "name", "url", "events", "status", "createdAt", "disabledAt", "disabledReason"}
DELIVERY = {
    "id",
    "event",
    "subjectKind",
    "subjectId",
    "status",
    "attempts",
    "createdAt",
    "nextAttemptAt",
    "deliveredAt",
    "deadAt",
    "log",
}
ATTEMPT = {"at", "tookMs", "status", "answer", "trouble"}


@pytest.fixture
def sending(story: Story, worker: Database) -> Sending:
    """What a courier does, without the network."""
    return Sending(worker, SEALER, clock=story.clock, new_id=uuid4)


async def made(story: Story, *events: str) -> Any:
    return await story.post("ada", "/webhooks", {"name": "ops", "url": URL, "events": list(events) or ["*"]}, 201)


async def settled(story: Story, sending: Sending, status: int) -> Parcel:
    """Let the receiver answer the one message that is due."""
    [parcel] = await sending.claim(story.tenant, 10, 10, {})
    await sending.settle(parcel, Sent(Tried(at=story.clock(), took_ms=12, status=status, answer="so")))
    return parcel


async def deliveries(story: Story, hook: Any, query: str = "") -> Any:
    return await story.get("ada", f"/webhooks/{hook['id']}/deliveries{query}")


async def test_a_webhook_is_made_with_a_secret_that_is_shown_this_once(story: Story) -> None:
    hook = await made(story, "grant.*", "grant.*", "workflow.created")

    assert set(hook) == WEBHOOK | {"secret"}
    assert hook["secret"].startswith("whsec_")
    assert (hook["name"], hook["url"], hook["events"]) == ("ops", URL, ["grant.*", "workflow.created"])
    assert (hook["status"], hook["disabledAt"], hook["disabledReason"]) == ("active", None, None)
    shown = await story.get("ada", f"/webhooks/{hook['id']}")
    assert shown == {key: hook[key] for key in WEBHOOK}
    assert await story.get("ada", "/webhooks") == {"webhooks": [shown], "total": 1}
    assert (await story.get("ada", "/webhooks?page=2"))["webhooks"] == []
    assert (await story.get("olu", "/webhooks"))["total"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", None),
        ("url", "ftp://hooks.acme.example/"),
        ("url", "http://127.0.0.1:8080/"),
        ("url", "http://169.254.169.254/latest"),
        ("url", "https://me:secret@hooks.acme.example/"),
        ("events", []),
        ("events", ["grant.stolen"]),
        ("events", "*"),
    ],
)
async def test_what_cannot_be_called_or_heard_is_refused(story: Story, field: str, value: Any) -> None:
    body = {"name": "ops", "url": URL, "events": ["*"]} | {field: value}

    answer = await story.call("ada", "POST", "/webhooks", body)

    assert error(answer) == (400, "VALIDATION_ERROR")
    assert [one["field"] for one in answer.json()["error"]["details"]] == [field]
    assert (await story.get("ada", "/webhooks"))["total"] == 0


async def test_a_tenant_has_fifty_webhooks_at_most(story: Story) -> None:
    for _ in range(50):
        await made(story, "grant.*")

    fifty_first = await story.call("ada", "POST", "/webhooks", {"name": "ops", "url": URL, "events": ["*"]})

    assert error(fifty_first) == (409, "CONFLICT")
    await story.post("olu", "/webhooks", {"name": "ops", "url": URL, "events": ["*"]}, 201)


async def test_a_webhook_that_is_deleted_is_gone(story: Story) -> None:
    hook = await made(story)

    done = await story.call("ada", "DELETE", f"/webhooks/{hook['id']}")

    assert done.json() == {"success": True, "message": "Webhook deleted"}
    for method, path in every(hook["id"]):
        assert error(await story.call("ada", method, path)) == (404, "RESOURCE_NOT_FOUND"), path


async def test_deliveries_say_what_was_sent_and_what_became_of_it(story: Story, sending: Sending) -> None:
    hook = await made(story, "workflow.created")
    workflow = await story.workflow()
    [owed] = (await deliveries(story, hook))["deliveries"]
    assert set(owed) == DELIVERY
    assert (owed["event"], owed["subjectKind"], owed["subjectId"]) == ("workflow.created", "workflow", workflow)
    assert (owed["status"], owed["attempts"], owed["log"]) == ("pending", 0, [])
    assert owed["nextAttemptAt"] == owed["createdAt"]

    await settled(story, sending, 500)
    [tried] = (await deliveries(story, hook, "?status=pending"))["deliveries"]
    assert (tried["status"], tried["attempts"]) == ("pending", 1)
    assert tried["nextAttemptAt"] > owed["nextAttemptAt"]
    [attempt] = tried["log"]
    assert set(attempt) == ATTEMPT
    assert (attempt["status"], attempt["answer"], attempt["tookMs"], attempt["trouble"]) == (500, "so", 12, None)

    story.clock.passes(hours=1)
    await settled(story, sending, 204)
    [arrived] = (await deliveries(story, hook, "?status=delivered"))["deliveries"]
    assert (arrived["status"], arrived["nextAttemptAt"], len(arrived["log"])) == ("delivered", None, 2)
    assert arrived["deliveredAt"] is not None
    assert (await deliveries(story, hook, "?status=dead"))["total"] == 0
    assert (await deliveries(story, hook, "?page=2&limit=1")) == {"deliveries": [], "total": 1}
    odd = await story.call("ada", "GET", f"/webhooks/{hook['id']}/deliveries?status=lost")
    assert error(odd) == (400, "VALIDATION_ERROR")


async def test_what_happens_to_policies_is_told(story: Story) -> None:
    hook = await made(story, "policy.*")
    policy = (await story.post("ada", "/policies", {"name": "Base", "cedar": ""}, 201))["id"]
    await story.call("ada", "PUT", f"/policies/{policy}", {"priority": 1})
    await story.call("ada", "PUT", f"/policies/{policy}", {"priority": 1})
    await story.call("ada", "DELETE", f"/policies/{policy}")

    told = (await deliveries(story, hook))["deliveries"]

    assert sorted(one["event"] for one in told) == ["policy.created", "policy.deleted", "policy.updated"]
    assert {one["subjectId"] for one in told} == {policy}


async def test_a_delivery_is_replayed_under_its_own_id(story: Story, sending: Sending) -> None:
    hook = await made(story, "workflow.created")
    await story.workflow()
    first = await settled(story, sending, 200)
    path = f"/webhooks/{hook['id']}/deliveries/{first.id}/replay"

    again = await story.post("ada", path)

    assert set(again) == DELIVERY
    assert (again["id"], again["status"], again["attempts"]) == (str(first.id), "pending", 0)
    assert (await settled(story, sending, 200)).body == first.body
    other = await made(story, "grant.*")
    crossed = f"/webhooks/{other['id']}/deliveries/{first.id}/replay"
    assert error(await story.call("ada", "POST", crossed)) == (404, "RESOURCE_NOT_FOUND")


async def test_a_receiver_that_is_gone_disables_its_webhook_and_nothing_is_replayed(
    story: Story, sending: Sending
) -> None:
    hook = await made(story, "workflow.created")
    await story.workflow()

    parcel = await settled(story, sending, 410)

    shown = await story.get("ada", f"/webhooks/{hook['id']}")
    assert (shown["status"], shown["disabledReason"]) == ("disabled", "its receiver answered 410 Gone")
    assert shown["disabledAt"] is not None
    [dead] = (await deliveries(story, hook))["deliveries"]
    assert (dead["status"], dead["nextAttemptAt"]) == ("dead", None)
    assert dead["deadAt"] is not None
    replay = await story.call("ada", "POST", f"/webhooks/{hook['id']}/deliveries/{parcel.id}/replay")
    assert error(replay) == (404, "RESOURCE_NOT_FOUND")


async def test_only_who_may_write_webhooks_sees_them(story: Story) -> None:
    hook = await made(story)

    for stranger in ("rhea", "rita", "bot"):
        for method, path in [("GET", "/webhooks"), ("POST", "/webhooks"), *every(hook["id"])]:
            assert error(await story.call(stranger, method, path, {})) == (403, "FORBIDDEN"), (stranger, method, path)
    for method, path in [("GET", "/webhooks"), ("POST", "/webhooks"), *every(hook["id"])]:
        assert error(await story.call(None, method, path)) == (401, "UNAUTHORIZED"), path


async def test_unknown_and_foreign_webhooks_and_deliveries_are_the_same(story: Story, sending: Sending) -> None:
    hook = await made(story, "workflow.created")
    await story.workflow()
    parcel = await settled(story, sending, 200)

    for id in (hook["id"], str(uuid4()), "no-id"):
        for method, path in every(id, parcel.id):
            assert error(await story.call("olu", method, path)) == (404, "RESOURCE_NOT_FOUND"), path
    for unknown in (uuid4(), "no-id"):
        path = f"/webhooks/{hook['id']}/deliveries/{unknown}/replay"
        assert error(await story.call("ada", "POST", path)) == (404, "RESOURCE_NOT_FOUND")
    assert (await deliveries(story, hook))["deliveries"][0]["status"] == "delivered"


def every(hook: str, delivery: UUID | None = None) -> list[tuple[str, str]]:
    """Every call there is about one webhook."""
    return [
        ("GET", f"/webhooks/{hook}"),
        ("GET", f"/webhooks/{hook}/deliveries"),
        ("POST", f"/webhooks/{hook}/deliveries/{delivery or uuid4()}/replay"),
        ("DELETE", f"/webhooks/{hook}"),
    ]
