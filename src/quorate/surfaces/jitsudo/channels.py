"""Notification channels: a webhook of ours, made in this API's words. Source: JITSudo contract b.8.

Events are chosen by this API's names. What arrives is our messages, signed, in our words: docs/webhooks.md.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct
from starlette.responses import Response

from quorate.app.webhooks import Draft
from quorate.surfaces.http.answering import answer, moment
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.reading import ChannelEvent, NewChannel
from quorate.surfaces.jitsudo.services import Call

EVENTS: Final[Mapping[ChannelEvent, str]] = {
    "request.pending": "approval.requested",
    "request.approved": "access_request.approved",
    "request.denied": "access_request.rejected",
    "request.expired": "access_request.expired",
    "grant.active": "grant.active",
    "grant.expired": "grant.expired",
    "grant.revoked": "grant.revoked",
}
"""What this API calls them, and the message of ours that tells the same."""


class ChannelShown(Struct, frozen=True):
    """A new channel. `secret` is what its messages are signed with; nobody is shown it again."""

    id: shown.Id
    type: Literal["generic-webhook"]
    name: str
    url: str
    headers: dict[str, str]
    enabled: bool
    event_filters: list[ChannelEvent]
    created_at: shown.Moment
    secret: str


async def create(http: Call) -> Response:
    asked = await body(http, NewChannel)
    if asked.headers:
        raise BadInput.at("headers", "must be empty: a message carries a signature instead, made with the secret")
    if not asked.enabled:
        raise BadInput.at("enabled", "must be true: make the channel when it is to be told")
    filters = list(dict.fromkeys(asked.event_filters or ()))
    events = tuple(EVENTS[name] for name in filters or EVENTS)

    made = await http.services.webhooks.create(http.actor, Draft(name=asked.name.strip(), url=asked.url, events=events))

    channel = made.webhook
    return answer(
        ChannelShown(
            id=str(channel.id),
            type="generic-webhook",
            name=channel.name,
            url=channel.url,
            headers={},
            enabled=True,
            event_filters=filters,
            created_at=moment(channel.created_at),
            secret=made.secret,
        ),
        201,
    )
