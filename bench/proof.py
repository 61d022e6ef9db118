"""What must hold after a crash: whatever was answered is there, nothing is there twice, and all rows agree."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from tests.app import consistency

from bench.crowd import Deed, People
from quorate.domain.messages import Subscription
from quorate.store.database import Database
from quorate.store.tx import Tx

DONE: Final = timedelta(seconds=1)  # How late the clock may be before what is due counts as waiting.
SLACK: Final = 500  # Numbers of events that another transaction may have drawn before ours, and committed after.

# What each kind of call leaves in the history, once.
LEAVES: Final = {
    "file": "Submitted",
    "decide": "Decided",
    "override": "Overridden",
    "cancel": "Closed",
    "comment": "Commented",
    "reassign": "Reassigned",
    "revoke": "GrantRevoked",
}
_WORDS = re.compile(r"words [0-9a-f-]{36}")


@dataclass
class Proof:
    """Looks at a tenant again and again; each time at what has happened since, and at all that is still open.

    `seen` counts how many requests were compared, a request once for each time.
    """

    people: People
    tenant: str
    subscriptions: Sequence[Subscription] = ()
    seen: int = 0
    _upto: int = 0
    _told: set[UUID] = field(default_factory=set)

    async def wrong(
        self, owner: Database, deeds: Iterable[Deed], told: Collection[UUID], *, whole: bool = False
    ) -> list[str]:
        """Say what does not hold, in sentences.

        Args:
            deeds: the calls whose fate is looked at: those since the last look, or all if `whole`.
            told: the ids of all messages that have arrived.
        """
        tenant = self.people.tenants[self.tenant]
        async with owner.tx([tenant]) as tx:
            await tx.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            since = 0 if whole else self._upto
            events = await tx.all(
                """
                SELECT id, subject_kind, subject_id, command_id, type, actor_id, body::text AS body
                  FROM event
                 WHERE tenant_id = $1 AND id > $2
                """,
                tenant,
                max(0, since - SLACK),
            )
            seen = await consistency.look(tx, tenant, await _touched(tx, tenant, events), self.subscriptions)
            wrong = [*seen.wrong, *await self._fates(tx, tenant, deeds, events)]
            wrong += await self._messages(tx, tenant, set(told))
        self._upto = max((row["id"] for row in events), default=self._upto)
        self.seen += len(seen.requests)
        return wrong

    async def waiting(self, owner: Database) -> list[str]:
        """Name what was due a second ago and is not done."""
        tenant = self.people.tenants[self.tenant]
        async with owner.tx([tenant]) as tx:
            return await consistency.overdue(tx, tenant, datetime.now(UTC) - DONE)

    async def _fates(self, tx: Tx, tenant: UUID, deeds: Iterable[Deed], events: Sequence[Any]) -> list[str]:
        left = defaultdict(list)
        for row in events:
            for words in set(_WORDS.findall(row["body"])):
                left[words].append(row)
        mine = [deed for deed in deeds if self.people.tenant(deed.who) == tenant]
        kept = {
            (row["caller_id"], row["key"]): row["command"]
            for row in await tx.all(
                """
                SELECT caller_id, key, answer ->> 'command' AS command
                  FROM replay
                 WHERE tenant_id = $1 AND key = ANY ($2)
                """,
                tenant,
                [deed.key for deed in mine if deed.key],
            )
        }
        wrong = []
        for deed in mine:
            what = self._fate(deed, left[deed.words], kept.get((self.people.ids[deed.who], deed.key)))
            if what is not None:
                wrong.append(f"{deed.what} by {deed.who}, answered {deed.statuses}: {what}")
        return wrong

    def _fate(self, deed: Deed, rows: Sequence[Any], kept: str | None) -> str | None:
        times = sum(row["type"] == LEAVES[deed.what] for row in rows)
        if deed.is_refused:
            # Without a key a repetition is refused because of the first try.
            may_be = 1 if deed.key is None and len(deed.statuses) > 1 else 0
            return f"is in the history {times} times" if times > may_be else None
        if deed.is_open:
            return "never got an answer"
        if times != 1:
            return f"is in the history {times} times"
        if len({row["command_id"] for row in rows}) != 1:
            return "is in the history under several commands"
        if any(row["actor_id"] != self.people.ids[deed.who] for row in rows):
            return "is in the history as another's"
        if deed.key is not None and kept != str(rows[0]["command_id"]):
            return f"its key leads to {kept}, not to {rows[0]['command_id']}"
        if deed.what == "file" and str(rows[0]["subject_id"]) != deed.answer["data"]["id"]:
            return "the answer named another request"
        return None

    async def _messages(self, tx: Tx, tenant: UUID, told: set[UUID]) -> list[str]:
        """Look whether everything that was told to the world is owed to it, and whether what is not sent will be."""
        new = told - self._told
        rows = await tx.all("SELECT id FROM outbox WHERE tenant_id = $1 AND id = ANY ($2)", tenant, list(new))
        known = {row["id"] for row in rows}
        if self.subscriptions:
            self._told |= known
        dead = await tx.all("SELECT id FROM outbox WHERE tenant_id = $1 AND dead_at IS NOT NULL", tenant)
        wrong = [f"message {id} was sent of what never happened" for id in new - known] if self.subscriptions else []
        return wrong + [f"message {row['id']} was given up" for row in dead]


async def _touched(tx: Tx, tenant: UUID, events: Sequence[Any]) -> set[UUID]:
    """Name the requests that events are about, those whose grants they are about, and all that are open."""
    about = [row["subject_id"] for row in events]
    rows = await tx.all(
        """
        SELECT id FROM request WHERE tenant_id = $1 AND (id = ANY ($2) OR status = 'pending')
         UNION
        SELECT request_id FROM access_grant WHERE tenant_id = $1 AND id = ANY ($2)
        """,
        tenant,
        about,
    )
    return {row["id"] for row in rows}
