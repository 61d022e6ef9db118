"""Writes what happened to anything but a request, and with it the messages that this owes the world."""

from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

from quorate.domain.messages import EVENTS, Fact, owed_of_facts
from quorate.store import events, outbox, webhooks
from quorate.store.events import Entry
from quorate.store.outbox import Post
from quorate.store.tx import Tx

Ids = Callable[[], UUID]


async def tell(tx: Tx, tenant: UUID, entries: Collection[Entry], new_id: Ids) -> None:
    """Write entries into the history, as `store.events.add` does, and their messages beside them.

    The type of an entry is the name of its message and stands in `domain.messages.EVENTS`; of its body leave only
    the keys in `domain.messages.FACTS`.
    """
    if not entries:
        return
    facts = [
        Fact(name=one.type, kind=one.subject_kind, subject=one.subject, at=one.at, actor=one.actor, body=one.body)
        for one in entries
    ]
    await events.add(tx, tenant, entries)
    await owe(tx, tenant, facts, new_id, max(one.at for one in entries))


async def owe(tx: Tx, tenant: UUID, facts: Collection[Fact], new_id: Ids, at: datetime) -> None:
    """Write the messages that events owe which stand in the history already. They are due at a moment: now."""
    unknown = {one.name for one in facts} - EVENTS.keys()
    assert not unknown, f"not in domain.messages.EVENTS: {unknown}"
    subscriptions = (await webhooks.subscriptions(tx)).get(tenant, ())
    posts = [
        Post(
            id=new_id(),
            webhook=message.webhook,
            subject_kind=fact.kind,
            subject=fact.subject,
            name=message.name,
            body=message.body,
        )
        for fact in facts
        for message in owed_of_facts(tenant, [fact], subscriptions)
    ]
    if posts:
        await outbox.add(tx, tenant, posts, at)
