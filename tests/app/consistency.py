"""Whether everything a tenant's rows say of its requests agrees: state, history, tasks, inbox, timers, grants, counts.

What disagrees is answered in sentences, so that a test fails with all of them and a long run can count them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from quorate.app.record import inbox_keys
from quorate.domain.events import Closed, Decided, Outcome
from quorate.domain.grants import granted_by
from quorate.domain.history import replay
from quorate.domain.messages import Subscription, name_of
from quorate.domain.requests import Request, StepState
from quorate.store import history
from quorate.store import requests as store
from quorate.store.history import Past
from quorate.store.requests import Held
from quorate.store.tx import Tx

_GRANT_MESSAGES = {
    "Granted": "grant.active",
    "GrantFailed": "grant.failed",
    "GrantExpired": "grant.expired",
    "GrantRevoked": "grant.revoked",
}


class Seen(Struct):
    """What was looked at, and what disagreed."""

    requests: dict[UUID, Held] = {}
    past: dict[UUID, list[Past]] = {}
    wrong: list[str] = []


async def look(
    tx: Tx,
    tenant: UUID,
    only: Collection[UUID] | None = None,
    subscriptions: Sequence[Subscription] | None = None,
) -> Seen:
    """Compare what the rows of a tenant say with each other.

    Args:
        tx: sees one moment of the database, if others are writing (`REPEATABLE READ`).
        only: these requests and what hangs on them; None: all. Counts and what may exist once are always whole.
        subscriptions: who was to be told of everything these requests did; None: the outbox is left alone.
    """
    rows = await tx.all("SELECT id FROM request WHERE tenant_id = $1", tenant)
    ids = [row["id"] for row in rows if only is None or row["id"] in only]
    loaded = {key.id: held for key, held in (await store.load(tx, ids)).items()}
    seen = Seen(loaded, {id: await history.of_request(tx, tenant, id) for id in ids})
    for id, held in loaded.items():
        seen.wrong += [f"request {id}: {what}" for what in _state(held, seen.past[id])]
    seen.wrong += await _rows(tx, tenant, loaded)
    grants = await _grants(tx, tenant, seen)
    seen.wrong += await _whole(tx, tenant)
    if subscriptions is not None:
        seen.wrong += await _outbox(tx, tenant, seen, grants, subscriptions)
    return seen


async def check(tx: Tx, tenant: UUID) -> None:
    """Raises AssertionError unless everything agrees."""
    assert (await look(tx, tenant)).wrong == []


def _state(held: Held, past: list[Past]) -> Iterator[str]:
    request = held.request
    if [one.seq for one in past] != list(range(1, len(past) + 1)):
        yield f"its history has the numbers {[one.seq for one in past]}"
    elif replay(request.tenant, request.id, [one.event for one in past]) != request:
        yield "its state is not the replay of its history"
    if len(held.tasks) != len(request.walk):
        yield f"{len(held.tasks)} tasks for {len(request.walk)} steps"
    decided = Counter((one.event.step, one.event.human) for one in past if isinstance(one.event, Decided))
    yield from (f"{human} decided step {step} {times} times" for (step, human), times in decided.items() if times > 1)
    closings = [one for one in past if isinstance(one.event, Closed)]
    if len(closings) != (0 if request.is_open else 1):
        yield f"it is {request.status} and was closed {len(closings)} times"


async def _rows(tx: Tx, tenant: UUID, held: Mapping[UUID, Held]) -> list[str]:
    """Compare tasks, inbox and timers with the state."""
    wrong: list[str] = []
    mine = [tenant, list(held)]

    def compare(what: str, found: dict[Any, Any], wanted: dict[Any, Any]) -> None:
        wrong.extend(
            f"{what} {key}: is {found.get(key)}, should be {wanted.get(key)}"
            for key in found.keys() | wanted.keys()
            if found.get(key) != wanted.get(key)
        )

    rows = await tx.all(
        "SELECT request_id, id, step_index, status, due_at FROM task WHERE tenant_id = $1 AND request_id = ANY ($2)",
        *mine,
    )
    compare(
        "task",
        {(row["request_id"], row["id"]): (row["step_index"], row["status"], row["due_at"]) for row in rows},
        {
            (id, task): (state.index, _status(one.request, state), state.due_at)
            for id, one in held.items()
            for state, task in zip(one.request.walk, one.tasks, strict=False)
        },
    )
    tasks = [task for one in held.values() for task in one.tasks]
    listed: dict[UUID, set[str]] = defaultdict(set)
    for row in await tx.all(
        "SELECT task_id, key FROM inbox WHERE tenant_id = $1 AND task_id = ANY ($2)", tenant, tasks
    ):
        listed[row["task_id"]].add(row["key"])
    pending = {id: one for id, one in held.items() if one.request.is_open}
    compare(
        "inbox of task",
        dict(listed),
        {one.tasks[-1]: set(inbox_keys(one.request, one.request.current)) for one in pending.values()},
    )
    timers: Mapping[str, Callable[[Request], datetime | None]] = {
        "request": lambda one: one.wakes_at,
        "reminder": lambda one: one.remind_at,
    }
    for kind, due_at in timers.items():
        rows = await tx.all(
            "SELECT subject_id, due_at FROM timer WHERE tenant_id = $1 AND kind = $3 AND subject_id = ANY ($2)",
            *mine,
            kind,
        )
        compare(
            f"timer of {kind}",
            {row["subject_id"]: row["due_at"] for row in rows},
            {id: at for id, one in pending.items() if (at := due_at(one.request))},
        )
    return wrong


def _status(request: Request, state: StepState) -> str:
    if state is not request.current:
        return "approved"
    closed: dict[Outcome, str] = {Outcome.PENDING: "open", Outcome.CANCELLED: "closed"}
    return closed.get(request.status, request.status.value)


async def _grants(tx: Tx, tenant: UUID, seen: Seen) -> dict[UUID, UUID]:
    """Compare grants with the approvals that give them, with their histories and timers. Answers their requests."""
    rows = await tx.all(
        """
        SELECT g.*, t.due_at AS timer,
               ARRAY(SELECT e.type FROM event e
                      WHERE e.tenant_id = $1 AND e.subject_kind = 'grant' AND e.subject_id = g.id
                      ORDER BY e.seq) AS past
          FROM access_grant g
          LEFT JOIN timer t ON t.tenant_id = $1 AND t.kind = 'grant' AND t.subject_id = g.id
         WHERE g.tenant_id = $1 AND g.request_id = ANY ($2)
        """,
        tenant,
        list(seen.requests),
    )
    failed = {
        row["request"]
        for row in await tx.all(
            """
            SELECT (body -> 'grant' ->> 'request')::uuid AS request
              FROM event
             WHERE tenant_id = $1 AND subject_kind = 'grant' AND type = 'GrantFailed'
            """,
            tenant,
        )
    }
    found = {row["request_id"]: row for row in rows}
    for id, held in seen.requests.items():
        closed = next((one.event for one in seen.past[id] if isinstance(one.event, Closed)), None)
        approved = closed is not None and closed.status is Outcome.APPROVED
        wanted = granted_by(held.request, closed.at, id) if closed is not None and approved else None
        row = found.get(id)
        if (wanted is not None) != (row is not None or id in failed):
            seen.wrong.append(f"request {id} is {held.request.status} and its grant {'is' if row else 'is not'} there")
        if row is None or wanted is None:
            continue
        if (row["principal_id"], row["starts_at"], row["ends_at"]) != (wanted.holder, wanted.starts_at, wanted.ends_at):
            seen.wrong.append(f"the grant of request {id} is not what was approved")
        ends = (["GrantRevoked"] if row["revoked_at"] else []) + (["GrantExpired"] if row["told_at"] else [])
        if row["past"] != ["Granted", *ends] or row["version"] != len(row["past"]):
            seen.wrong.append(f"the grant of request {id} has the history {row['past']}, version {row['version']}")
        if row["timer"] != (None if ends else row["ends_at"]):
            seen.wrong.append(f"the grant of request {id} ends at {row['ends_at']}, its timer is {row['timer']}")
    return {row["id"]: row["request_id"] for row in rows}


async def _whole(tx: Tx, tenant: UUID) -> list[str]:
    """Look for what may be there once, and compare the counts, in the whole tenant."""
    wrong = []
    for what, sql in _ONCE.items():
        wrong += [f"{what}: {tuple(row)}" for row in await tx.all(sql, tenant)]
    rows = await tx.all(
        """
        SELECT status, kind, target_type, sum(delta)::int AS counted, sum(real)::int AS real
          FROM (SELECT status, kind, target_type, delta, 0 AS real FROM request_count WHERE tenant_id = $1
                 UNION ALL
                SELECT status, kind, coalesce(target_type, ''), 0, 1 FROM request WHERE tenant_id = $1) AS both_ways
         GROUP BY status, kind, target_type
        HAVING sum(delta) <> sum(real)
        """,
        tenant,
    )
    return wrong + [f"count {tuple(row)}" for row in rows]


_ONCE: Mapping[str, str] = {
    "pending twice for the same": """
        SELECT duplicate_key, count(*) FROM request
         WHERE tenant_id = $1 AND status = 'pending' AND duplicate_key IS NOT NULL
         GROUP BY duplicate_key HAVING count(*) > 1""",
    "a command in two histories": """
        SELECT command_id, count(DISTINCT subject_id) FROM event
         WHERE tenant_id = $1 AND subject_kind = 'request'
         GROUP BY command_id HAVING count(DISTINCT subject_id) > 1""",
    "a command recorded twice": """
        SELECT command_id, command_seq FROM event WHERE tenant_id = $1
         GROUP BY command_id, command_seq HAVING count(*) > 1""",
    "an open task of a closed request": """
        SELECT t.id FROM task t JOIN request r ON r.tenant_id = $1 AND r.id = t.request_id
         WHERE t.tenant_id = $1 AND (t.status = 'open') AND r.status <> 'pending'""",
    "an inbox row without an open task": """
        SELECT i.task_id FROM inbox i
         WHERE i.tenant_id = $1 AND NOT EXISTS (SELECT FROM task t
                    WHERE t.tenant_id = $1 AND t.id = i.task_id AND t.status = 'open')""",
    "a timer without a pending request": """
        SELECT t.subject_id FROM timer t
         WHERE t.tenant_id = $1 AND t.kind IN ('request', 'reminder') AND NOT EXISTS (SELECT FROM request r
                    WHERE r.tenant_id = $1 AND r.id = t.subject_id AND r.status = 'pending')""",
    "an answer kept for a call that did nothing": """
        SELECT p.key FROM replay p
         WHERE p.tenant_id = $1 AND p.answer ? 'command' AND NOT EXISTS (SELECT FROM event e
                    WHERE e.tenant_id = $1 AND e.command_id = (p.answer ->> 'command')::uuid)""",
}


async def _outbox(
    tx: Tx, tenant: UUID, seen: Seen, grants: Mapping[UUID, UUID], subscriptions: Sequence[Subscription]
) -> list[str]:
    """Compare the messages owed with what happened: one for each event and webhook that wants it."""
    wanted: Counter[tuple[UUID, UUID, str]] = Counter()

    def happened(subject: UUID, name: str | None) -> None:
        if name is not None:
            wanted.update((one.webhook, subject, name) for one in subscriptions if one.wants(name))

    for id, past in seen.past.items():
        for one in past:
            happened(id, name_of(one.event, seen.requests[id].request.filing.kind))
    events = await tx.all(
        "SELECT subject_id, type FROM event WHERE tenant_id = $1 AND subject_kind = 'grant' AND subject_id = ANY ($2)",
        tenant,
        list(grants),
    )
    for row in events:
        happened(row["subject_id"], _GRANT_MESSAGES[row["type"]])
    rows = await tx.all(
        """
        SELECT webhook_id, subject_id, event_type, count(*) AS times
          FROM outbox
         WHERE tenant_id = $1 AND subject_kind IN ('request', 'grant') AND subject_id = ANY ($2)
         GROUP BY webhook_id, subject_id, event_type
        """,
        tenant,
        [*seen.requests, *grants],
    )
    found = Counter({(row["webhook_id"], row["subject_id"], row["event_type"]): row["times"] for row in rows})
    return [
        f"message {name} of {subject}: is there {found[webhook, subject, name]} times, should be"
        f" {wanted[webhook, subject, name]}"
        for webhook, subject, name in found.keys() | wanted.keys()
        if found[webhook, subject, name] != wanted[webhook, subject, name]
    ]


async def overdue(tx: Tx, tenant: UUID, before: datetime) -> list[str]:
    """Name what should have been done before a moment and was not."""
    rows = await tx.all("SELECT kind, subject_id FROM timer WHERE tenant_id = $1 AND due_at < $2", tenant, before)
    return [
        f"{row['kind']} {row['subject_id']}"
        for row in rows
        if row["kind"] in ("request", "grant", "recheck", "target", "reminder")
    ]
