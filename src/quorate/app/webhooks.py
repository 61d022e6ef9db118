"""Webhooks: made, read and deleted, their deliveries looked at and made again. The secret is shown once."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

from msgspec import Struct

from quorate.app import authority
from quorate.app.actor import Actor
from quorate.app.operations.own import attempt
from quorate.app.operations.rules import demand_approved
from quorate.app.outgoing import BadTarget, demand_callable
from quorate.app.seal import Sealer
from quorate.app.tell import tell
from quorate.app.values import is_storable, suggestion
from quorate.domain.messages import EVENTS, NOUNS, is_known
from quorate.domain.permissions import WEBHOOK_WRITE
from quorate.domain.refusals import Refusal
from quorate.store import outbox
from quorate.store import webhooks as store
from quorate.store.database import Database
from quorate.store.events import Entry
from quorate.store.outbox import Delivery, Tried
from quorate.store.tx import Tx
from quorate.store.webhooks import Webhook

__all__ = ["BadWebhook", "Delivery", "Draft", "Made", "Tried", "Webhook", "Webhooks", "status_of"]

MOST: Final = 50  # A tenant. Each of them may owe a message for every event.
LONGEST_NAME: Final = 200
SECRET_BYTES: Final = 32  # The specification wants 24 to 64.
PREFIX: Final = "whsec_"


@dataclass(eq=False)
class NoSuchWebhook(Refusal):
    """No webhook, or no delivery of it, of this id in this tenant."""

    code = "no_such_webhook"
    webhook: UUID | str


@dataclass(eq=False)
class BadWebhook(Refusal):
    """It cannot be made so. `field` is name, url or events; `why` a sentence for people."""

    code = "bad_webhook"
    field: str
    why: str


@dataclass(eq=False)
class TooManyWebhooks(Refusal):
    """The tenant has as many as it may have."""

    code = "too_many_webhooks"
    most: int


class Draft(Struct, frozen=True, kw_only=True):
    """What a new webhook shall be. `events`: names, `noun.*` or `*`."""

    name: str
    url: str
    events: tuple[str, ...]


class Made(Struct, frozen=True):
    """A new webhook and its secret, which nobody will be shown again."""

    webhook: Webhook
    secret: str


class Webhooks:
    """The use cases. Every one of them asks the directory, in its own transaction, whether the actor may.

    Args:
        allow_private: whether a URL may name an address that is not public.
    """

    def __init__(
        self,
        db: Database,
        seal: Sealer,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        allow_private: bool,
    ) -> None:
        self._db, self._seal, self._clock, self._new_id = db, seal, clock, new_id
        self._allow_private = allow_private

    async def page(self, actor: Actor, limit: int, offset: int) -> tuple[list[Webhook], int]:
        """Read a page of webhooks, newest first, and their number in all. Raises: NotPermitted."""
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, WEBHOOK_WRITE, self._clock())
            return await store.page(tx, actor.tenant, limit, offset)

    async def read(self, actor: Actor, id: UUID) -> Webhook:
        """Read one. Raises: NotPermitted, NoSuchWebhook."""
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, WEBHOOK_WRITE, self._clock())
            return _found(await store.read(tx, actor.tenant, id), id)

    async def create(self, actor: Actor, draft: Draft) -> Made:
        """Make a webhook. It hears what happens from now on.

        Raises: NotPermitted, TooManyWebhooks; BadWebhook: see `problem`.
        """
        wrong = problem(draft, allow_private=self._allow_private)
        at, id, secret = self._clock(), self._new_id(), mint()
        async with authority.transaction(self._db, actor) as tx:
            await authority.demand(tx, actor, WEBHOOK_WRITE, at)
            if wrong is not None:
                raise wrong
            if await store.count(tx, actor.tenant) >= MOST:
                raise TooManyWebhooks(MOST)
            await demand_approved(tx, actor, attempt("POST", "webhooks"))
            new = Webhook(
                id=id,
                name=draft.name,
                url=draft.url,
                events=tuple(dict.fromkeys(draft.events)),
                sealed=self._seal.seal(secret.encode(), tenant=actor.tenant, purpose=purpose(id)),
                created_at=at,
            )
            await store.add(tx, actor.tenant, new)
            await self._happened(tx, actor, id, at, "webhook.created", _shown(new))
        return Made(new, secret)

    async def delete(self, actor: Actor, id: UUID) -> None:
        """Remove a webhook; what it has not been sent yet never will be. Raises: NotPermitted, NoSuchWebhook."""
        at = self._clock()
        async with authority.transaction(self._db, actor) as tx:
            await authority.demand(tx, actor, WEBHOOK_WRITE, at)
            gone = _found(await store.delete(tx, actor.tenant, id), id)
            await demand_approved(tx, actor, attempt("DELETE", "webhooks", id))
            await self._happened(tx, actor, id, at, "webhook.deleted", _shown(gone))

    async def deliveries(
        self, actor: Actor, webhook: UUID, limit: int, offset: int, status: str | None = None
    ) -> tuple[list[Delivery], int]:
        """Read what a webhook was owed, newest first, each with its attempts; and how many there are in all.

        Those that arrived are kept for some days, dead ones longer: see `app.sending`.

        Args:
            status: pending, delivered or dead; None for all.

        Raises: NotPermitted, NoSuchWebhook.
        """
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, WEBHOOK_WRITE, self._clock())
            _found(await store.read(tx, actor.tenant, webhook), webhook)
            return await outbox.deliveries(tx, actor.tenant, webhook, limit, offset, status)

    async def replay(self, actor: Actor, webhook: UUID, delivery: UUID) -> Delivery:
        """Send a message again, now, whatever became of it, under the id it had: a receiver that has seen it knows.

        It is tried for as long as a new one. What is on its way just now may arrive twice.

        Raises: NotPermitted; NoSuchWebhook: there is no such webhook, or it is disabled, or it has no such delivery.
        """
        at = self._clock()
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, WEBHOOK_WRITE, at)
            if _found(await store.read(tx, actor.tenant, webhook), webhook).disabled_at is not None:
                raise NoSuchWebhook(webhook)
            if not await outbox.again(tx, actor.tenant, webhook, delivery, at):
                raise NoSuchWebhook(delivery)
            found = await outbox.delivery(tx, actor.tenant, webhook, delivery)
        assert found is not None, "it was there a moment ago, in this transaction"
        return found

    async def _happened(self, tx: Tx, actor: Actor, id: UUID, at: datetime, what: str, body: dict[str, Any]) -> None:
        entry = Entry(
            subject_kind="webhook",
            subject=id,
            command=self._new_id(),
            at=at,
            type=what,
            actor=actor.principal,
            credential=actor.how.credential,
            surface=actor.how.surface,
            address=actor.how.address,
            body=body,
        )
        await tell(tx, actor.tenant, [entry], self._new_id)


def problem(draft: Draft, *, allow_private: bool) -> BadWebhook | None:
    """Say what is wrong with a draft: its name, its URL, or an event nobody would ever hear of."""
    if not 0 < len(draft.name.strip()) <= LONGEST_NAME or not is_storable(draft.name):
        return BadWebhook("name", f"must have 1 to {LONGEST_NAME} characters")
    try:
        demand_callable(draft.url, allow_private=allow_private)
    except BadTarget as bad:
        return BadWebhook("url", str(bad))
    if not 0 < len(draft.events) <= len(EVENTS):
        return BadWebhook("events", f"must name 1 to {len(EVENTS)} events")
    for one in draft.events:
        if not is_known(one):
            known = [*EVENTS, *(f"{noun}.*" for noun in sorted(NOUNS)), "*"]
            return BadWebhook("events", f"there is no event {one[:60]!r}{suggestion(one, known)}")
    return None


def status_of(delivery: Delivery) -> Literal["pending", "delivered", "dead"]:
    """Name what became of a message: pending, delivered or dead."""
    return "delivered" if delivery.sent_at else "dead" if delivery.dead_at else "pending"


def mint() -> str:
    """Make a signing secret. Source: the Standard Webhooks specification, "Signature scheme"."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def purpose(webhook: UUID) -> str:
    """Name what a webhook's secret is sealed for, so that it opens in no other's place."""
    return f"webhook {webhook}"


def _found(found: Webhook | None, id: UUID) -> Webhook:
    if found is None:
        raise NoSuchWebhook(id)
    return found


def _shown(webhook: Webhook) -> dict[str, Any]:
    """What history keeps of a webhook. Of the URL only the host: what follows is often a secret of the receiver's."""
    return {"name": webhook.name, "host": urlsplit(webhook.url).hostname, "events": list(webhook.events)}
