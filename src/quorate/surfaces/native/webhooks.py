"""Webhooks: who is told what happens, and what became of the telling.

Source: native contract b.7 and b.8. What a receiver gets: docs/webhooks.md.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from quorate.app.webhooks import Delivery, Draft, Made, Tried, Webhook, status_of
from quorate.surfaces.http.answering import moment, moment_or_none
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import as_id
from quorate.surfaces.native.shown import Id, Moment

DeliveryStatus = Literal["pending", "delivered", "dead"]


class NewWebhook(Struct, frozen=True):
    """A webhook to make. `events`: names, all of a kind (`grant.*`), or `*`."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    events: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(min_length=1)]


class DeliveryFilter(Paging, frozen=True):
    """Which deliveries."""

    status: DeliveryStatus | None = None


class WebhookShown(Struct, frozen=True, rename="camel"):
    """A webhook. It is disabled once its receiver has answered 410."""

    id: Id
    name: str
    url: str
    events: list[str]
    status: Literal["active", "disabled"]
    created_at: Moment
    disabled_at: Moment | None
    disabled_reason: str | None


class WebhookMade(WebhookShown, frozen=True, rename="camel", kw_only=True):
    """A new webhook, with the secret that signs its messages. Nobody is shown it again."""

    secret: str


class WebhookList(Struct, frozen=True):
    webhooks: list[WebhookShown]
    total: Annotated[int, Meta(ge=0)]


class AttemptShown(Struct, frozen=True, rename="camel"):
    """One attempt. `status` is what the receiver answered; without one, `trouble` says why."""

    at: Moment
    took_ms: int
    status: int | None
    answer: str | None
    trouble: str | None


class DeliveryShown(Struct, frozen=True, rename="camel"):
    """A message and what became of it. Its id is what the receiver sees as `webhook-id`."""

    id: Id
    event: str
    subject_kind: str
    subject_id: Id
    status: DeliveryStatus
    attempts: int
    created_at: Moment
    next_attempt_at: Moment | None
    delivered_at: Moment | None
    dead_at: Moment | None
    log: list[AttemptShown]


class DeliveryList(Struct, frozen=True):
    deliveries: list[DeliveryShown]
    total: Annotated[int, Meta(ge=0)]


async def list_all(http: Call) -> Response:
    wanted = query(http, Paging)

    found, total = await http.services.webhooks.page(http.actor, wanted.limit, wanted.offset)

    return given(WebhookList([_shown(one) for one in found], total))


async def read(http: Call) -> Response:
    return given(_shown(await http.services.webhooks.read(http.actor, as_id(http.path["id"]))))


async def create(http: Call) -> Response:
    asked = await body(http, NewWebhook)

    made = await http.services.webhooks.create(
        http.actor, Draft(name=asked.name.strip(), url=asked.url, events=tuple(asked.events))
    )

    return given(_made(made), status=201)


async def delete(http: Call) -> Response:
    await http.services.webhooks.delete(http.actor, as_id(http.path["id"]))

    return said("Webhook deleted")


async def deliveries(http: Call) -> Response:
    wanted = query(http, DeliveryFilter)

    found, total = await http.services.webhooks.deliveries(
        http.actor, as_id(http.path["id"]), wanted.limit, wanted.offset, wanted.status
    )

    return given(DeliveryList([_delivery(one) for one in found], total))


async def replay(http: Call) -> Response:
    done = await http.services.webhooks.replay(http.actor, as_id(http.path["id"]), as_id(http.path["deliveryId"]))

    return given(_delivery(done))


def _shown(one: Webhook) -> WebhookShown:
    return WebhookShown(
        id=str(one.id),
        name=one.name,
        url=one.url,
        events=list(one.events),
        status="disabled" if one.disabled_at else "active",
        created_at=moment(one.created_at),
        disabled_at=moment_or_none(one.disabled_at),
        disabled_reason=one.disabled_why,
    )


def _made(made: Made) -> WebhookMade:
    shown = _shown(made.webhook)
    return WebhookMade(**{name: getattr(shown, name) for name in shown.__struct_fields__}, secret=made.secret)


def _delivery(one: Delivery) -> DeliveryShown:
    status = status_of(one)
    return DeliveryShown(
        id=str(one.id),
        event=one.event_type,
        subject_kind=one.subject_kind,
        subject_id=str(one.subject_id),
        status=status,
        attempts=one.attempts,
        created_at=moment(one.created_at),
        next_attempt_at=moment(one.due_at) if status == "pending" else None,
        delivered_at=moment_or_none(one.sent_at),
        dead_at=moment_or_none(one.dead_at),
        log=[_attempt(tried) for tried in one.log],
    )


def _attempt(one: Tried) -> AttemptShown:
    return AttemptShown(moment(one.at), one.took_ms, one.status, one.answer, one.trouble)
