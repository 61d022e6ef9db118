"""Notification channels, which are webhooks. Source: JITSudo contract b.8."""

from typing import Any, get_args

import pytest

from quorate.domain.messages import EVENTS as OURS
from quorate.surfaces.jitsudo.channels import EVENTS
from quorate.surfaces.jitsudo.reading import ChannelEvent
from tests.surfaces.jitsudo.story import Jit, error

PATH = "/notification-channels/generic-webhook"
CHANNEL: dict[str, Any] = {"name": "chat", "url": "https://hooks.acme.example/jitsudo?key=1"}


async def heard(jit: Jit, channel: Any) -> list[str]:
    """The names of the messages that a channel is owed."""
    owed = await jit.story.get("ada", f"/webhooks/{channel['id']}/deliveries")
    return sorted(one["event"] for one in owed["deliveries"])


def test_every_name_stands_for_a_message_there_is() -> None:
    assert set(EVENTS) == set(get_args(ChannelEvent))
    assert set(EVENTS.values()) <= set(OURS)


async def test_a_channel_hears_what_it_asked_for_and_shows_its_secret_once(jit: Jit) -> None:
    filters = ["request.pending", "grant.active", "request.pending"]
    made = await jit.post("ada", PATH, CHANNEL | {"headers": {}, "enabled": True, "event_filters": filters}, 201)
    every = await jit.post("ada", PATH, CHANNEL | {"headers": None, "event_filters": []}, 201)

    await jit.decided("ana", await jit.ask())
    await jit.decided("ana", await jit.ask(), "deny")

    assert made.pop("secret").startswith("whsec_")
    assert made == {
        **CHANNEL,
        "id": made["id"],
        "type": "generic-webhook",
        "headers": {},
        "enabled": True,
        "event_filters": ["request.pending", "grant.active"],
        "created_at": made["created_at"],
    }
    assert await heard(jit, made) == ["approval.requested", "approval.requested", "grant.active"]
    assert await heard(jit, every) == [
        "access_request.approved",
        "access_request.rejected",
        "approval.requested",
        "approval.requested",
        "grant.active",
    ]
    native = await jit.story.get("ada", f"/webhooks/{made['id']}")
    assert (native["name"], native["events"]) == ("chat", ["approval.requested", "grant.active"])
    assert "secret" not in native


async def test_a_channel_is_made_by_who_may_write_webhooks_and_of_their_own_tenant(jit: Jit) -> None:
    for who in ("rhea", "ana", "rita"):
        assert error(await jit.call(who, "POST", PATH, CHANNEL)) == (403, "forbidden")
    key = await jit.api_key(permissions=["webhook:write"])
    assert (await jit.call(key["id"], "POST", PATH, CHANNEL)).status_code == 201
    theirs = await jit.post("olu", PATH, CHANNEL, 201)

    assert (await jit.story.call("ada", "GET", f"/webhooks/{theirs['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field", "why"),
    [
        ({"headers": {"Authorization": "Bearer x"}}, "headers", "a signature instead"),
        ({"enabled": False}, "enabled", "must be true"),
        ({"event_filters": ["grant.expiring_soon"]}, "event_filters[0]", ""),
        ({"event_filters": ["request.break_glass"]}, "event_filters[0]", ""),
        ({"event_filters": ["access_request.approved"]}, "event_filters[0]", ""),
        ({"url": "ftp://hooks.acme.example"}, "url", ""),
        ({"url": "http://127.0.0.1/"}, "url", ""),
        ({"name": " "}, "name", ""),
    ],
)
async def test_what_a_channel_cannot_do_is_refused_in_words(
    jit: Jit, wrong: dict[str, Any], field: str, why: str
) -> None:
    refused = await jit.call("ada", "POST", PATH, CHANNEL | wrong)

    assert error(refused) == (400, "invalid_input")
    [told] = refused.json()["details"]["errors"]
    assert told["field"] == field
    assert why in told["message"]
    assert "Bearer x" not in refused.text
