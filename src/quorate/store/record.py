"""What one batch of the door writes: state, history, tasks, inbox, timers, messages, counts, in one statement.

The statement is put together from the parts that have rows. New requests come first, with `ON CONFLICT DO NOTHING`;
what hangs on one is written only if it was really made.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from quorate.domain.grants import Granted, GrantFailed
from quorate.store.requests import Changes, Held, Key, Progress
from quorate.store.tx import Tx

_encode = msgspec.json.Encoder().encode


async def record(tx: Tx, changes: Changes) -> set[Key]:
    """Write a batch.

    Returns the keys of the new requests that were made. One whose duplicate another transaction has made meanwhile
    is not among them, and nothing of it was written.
    """
    values: list[Any] = [list(tx.tenants)]
    names: list[str] = []
    for name, part in _BY_NAME.items():
        if rows := part.rows(changes):
            names.append(name)
            values += map(list, zip(*rows, strict=True))
    if not names:
        return set()
    found = await tx.all(_statement(tuple(names)), *values)
    return {Key(row["tenant_id"], row["id"]) for row in found}


@lru_cache(maxsize=1024)
def _statement(names: tuple[str, ...]) -> str:
    """Put the statement together that writes these parts."""
    makes, gives = "born" in names, "granted" in names
    if_made = "(new.tenant_id, new.request) IN (SELECT tenant_id, id FROM born)" if makes else "true"
    parts, place = [], 1
    for name in names:
        part = _BY_NAME[name]
        places = ", ".join(f"${place + n}::{kind}[]" for n, kind in enumerate(part.kinds, 1))
        place += len(part.kinds)
        text = part.sql.format(
            rows=f"unnest({places}) AS new ({', '.join(part.columns)})",
            if_made=f"(NOT new.is_new OR {if_made})",
            if_so=_IF_SO if gives else "true",
        )
        parts.append(f"{name} AS ({text})")
    made = "SELECT tenant_id, id FROM born WHERE tenant_id = ANY ($1)" if makes else "SELECT 1 WHERE $1::uuid[] IS NULL"
    return f"WITH {', '.join(parts)} {made}"


class _Part(NamedTuple):
    """One part of the statement. `columns` are `name type`; in `sql`, {rows} reads them as `new`."""

    name: str
    spec: str
    rows: Callable[[Changes], Sequence[tuple[Any, ...]]]
    sql: str

    @property
    def columns(self) -> list[str]:
        return [column.split()[0] for column in self.spec.split(",")]

    @property
    def kinds(self) -> list[str]:
        return [column.split()[1] for column in self.spec.split(",")]


def _state(held: Held) -> tuple[Any, ...]:
    """The columns that change as a request moves, but for its key."""
    request = held.request
    progress = Progress(
        request.walk,
        held.tasks,
        request.due_by,
        request.closed_by,
        request.closing_note,
        request.discarded_at,
        request.notes,
    )
    index = request.current.index if request.walk else 0
    order = request.route.steps[index].order if request.route.steps else None
    return (
        request.status.value,
        _encode(progress),
        index,
        order,
        request.due_at,
        request.expires_at,
        request.closed_at,
        request.version,
        request.updated_at,
    )


_IF_SO = (
    "(new.grant_made IS NULL"
    " OR new.grant_made = ((new.tenant_id, new.grant_id) IN (SELECT tenant_id, id FROM granted)))"
)
_STATE = (
    "status text, progress jsonb, step_index int, current_step int, due_at timestamptz, expires_at timestamptz,"
    " closed_at timestamptz, version int, updated_at timestamptz"
)


def _born(changes: Changes) -> list[tuple[Any, ...]]:
    rows = []
    for held in changes.born:
        request, filing = held.request, held.request.filing
        target = filing.target
        rows.append(
            (
                request.tenant,
                request.id,
                filing.kind.value,
                filing.requester,
                filing.beneficiary,
                filing.filed_by,
                filing.workflow,
                target.type if target else None,
                target.id if target else None,
                filing.duplicate_key,
                _encode(filing),
                _encode(request.route),
                request.created_at,
                *_state(held),
            )
        )
    return sorted(rows, key=lambda row: (row[0], row[9] or "", row[1]))


def _timers(name: str, kind: str, rows: Callable[[Changes], Sequence[tuple[Any, ...]]]) -> _Part:
    """Set the timers of one kind, or move them."""
    return _Part(
        name,
        "tenant_id uuid, request uuid, is_new bool, due_at timestamptz",
        rows,
        f"""
        INSERT INTO timer (tenant_id, kind, subject_id, due_at)
        SELECT tenant_id, '{kind}', request, due_at
          FROM {{rows}}
         WHERE {{if_made}}
        ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET due_at = excluded.due_at
        """,
    )


_PARTS = (
    _Part(
        "born",
        "tenant_id uuid, id uuid, kind text, requester_id uuid, beneficiary_id uuid, filed_by uuid, workflow_id uuid,"
        " target_type text, target_id text, duplicate_key text, filing jsonb, route jsonb, created_at timestamptz, "
        + _STATE,
        _born,
        """
        INSERT INTO request (tenant_id, id, kind, requester_id, beneficiary_id, filed_by, workflow_id, target_type,
                             target_id, duplicate_key, filing, route, created_at, status, progress, step_index,
                             current_step, due_at, expires_at, closed_at, version, updated_at)
        SELECT * FROM {rows}
        ON CONFLICT DO NOTHING
        RETURNING tenant_id, id
        """,
    ),
    _Part(
        "moved",
        "tenant_id uuid, id uuid, " + _STATE,
        lambda changes: [(held.request.tenant, held.request.id, *_state(held)) for held in changes.moved],
        """
        UPDATE request
           SET status = new.status, progress = new.progress, step_index = new.step_index,
               current_step = new.current_step, due_at = new.due_at, expires_at = new.expires_at,
               closed_at = new.closed_at, version = new.version, updated_at = new.updated_at
          FROM {rows}
         WHERE new.tenant_id = ANY ($1) AND request.tenant_id = new.tenant_id AND request.id = new.id
        """,
    ),
    _Part(
        "happened",
        "tenant_id uuid, request uuid, is_new bool, seq int, command_id uuid, command_seq int, at timestamptz,"
        " type text, actor_id uuid, credential_id uuid, surface text, address text, body jsonb",
        lambda changes: [
            (
                one.tenant,
                one.request,
                one.is_new,
                one.seq,
                one.command,
                one.command_seq,
                one.event.at,
                type(one.event).__name__,
                one.actor,
                one.credential,
                one.surface,
                one.address,
                _encode(one.event),
            )
            for one in changes.events
        ],
        """
        INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, actor_id,
                           credential_id, surface, address, body)
        SELECT tenant_id, 'request', request, seq, command_id, command_seq, at, type, actor_id, credential_id, surface,
               address, body
          FROM {rows}
         WHERE {if_made}
        """,
    ),
    _Part(
        "opened",
        "tenant_id uuid, id uuid, request uuid, is_new bool, step_index int, status text, opened_at timestamptz,"
        " due_at timestamptz, askers jsonb, closed_to jsonb, request_created_at timestamptz",
        lambda changes: [
            (
                task.tenant,
                task.id,
                task.request,
                task.is_new,
                task.step,
                task.status,
                task.opened_at,
                task.due_at,
                _encode(task.askers),
                _encode(task.closed_to),
                task.request_created_at,
            )
            for task in changes.tasks_opened
        ],
        """
        INSERT INTO task (tenant_id, id, request_id, step_index, status, opened_at, due_at, askers, closed_to,
                          request_created_at)
        SELECT tenant_id, id, request, step_index, status, opened_at, due_at,
               ARRAY(SELECT jsonb_array_elements_text(askers)::uuid),
               ARRAY(SELECT jsonb_array_elements_text(closed_to)::uuid), request_created_at
          FROM {rows}
         WHERE {if_made}
        """,
    ),
    _Part(
        "changed",
        "tenant_id uuid, id uuid, status text, due_at timestamptz, closed_to jsonb",
        lambda changes: [
            (task.tenant, task.id, task.status, task.due_at, _encode(task.closed_to)) for task in changes.tasks_changed
        ],
        """
        UPDATE task
           SET status = new.status, due_at = new.due_at,
               closed_to = ARRAY(SELECT jsonb_array_elements_text(new.closed_to)::uuid)
          FROM {rows}
         WHERE new.tenant_id = ANY ($1) AND task.tenant_id = new.tenant_id AND task.id = new.id
        """,
    ),
    _Part(
        "shown",
        "tenant_id uuid, id uuid, sign_count bigint, at timestamptz",
        lambda changes: [
            (one.tenant, one.credential, one.sign_count, one.at)
            for one in {(one.tenant, one.credential): one for one in changes.shown}.values()  # The last is the highest.
        ],
        """
        UPDATE credential
           SET sign_count = new.sign_count, last_used_at = new.at
          FROM {rows}
         WHERE new.tenant_id = ANY ($1) AND credential.tenant_id = new.tenant_id AND credential.id = new.id
        """,
    ),
    _Part(
        "listed",
        "tenant_id uuid, key text, task_id uuid, request uuid, is_new bool, request_created_at timestamptz",
        lambda changes: [
            (one.tenant, one.key, one.task, one.request, one.is_new, one.request_created_at) for one in changes.listed
        ],
        """
        INSERT INTO inbox (tenant_id, key, task_id, request_created_at)
        SELECT tenant_id, key, task_id, request_created_at
          FROM {rows}
         WHERE {if_made}
        """,
    ),
    _Part(
        "unlisted",
        "tenant_id uuid, task_id uuid, key text",
        lambda changes: changes.unlisted,
        """
        DELETE FROM inbox USING {rows}
         WHERE new.tenant_id = ANY ($1) AND inbox.tenant_id = new.tenant_id
           AND inbox.task_id = new.task_id AND inbox.key = new.key
        """,
    ),
    _Part(
        "done",
        "tenant_id uuid, task_id uuid",
        lambda changes: changes.tasks_done,
        """
        DELETE FROM inbox USING {rows}
         WHERE new.tenant_id = ANY ($1) AND inbox.tenant_id = new.tenant_id AND inbox.task_id = new.task_id
        """,
    ),
    _Part(
        "handled",
        "tenant_id uuid, person_id uuid, has_acted bool, request uuid, is_new bool, request_created_at timestamptz",
        lambda changes: sorted(
            (one.tenant, one.person, one.has_acted, one.request, one.is_new, one.request_created_at)
            for one in changes.past_approvers
        ),
        """
        INSERT INTO past_approver (tenant_id, person_id, has_acted, request_created_at, request_id)
        SELECT tenant_id, person_id, has_acted, request_created_at, request
          FROM {rows}
         WHERE {if_made}
        ON CONFLICT DO NOTHING
        """,
    ),
    _timers("timed", "request", lambda changes: changes.timers_set),
    _timers("to_be_reminded", "reminder", lambda changes: changes.reminders_set),
    _Part(
        "untimed",
        "tenant_id uuid, kind text, subject_id uuid",
        lambda changes: changes.timers_gone,
        """
        DELETE FROM timer USING {rows}
         WHERE new.tenant_id = ANY ($1) AND timer.tenant_id = new.tenant_id AND timer.kind = new.kind
           AND timer.subject_id = new.subject_id
        """,
    ),
    _Part(
        "counted",
        "tenant_id uuid, request uuid, is_new bool, status text, kind text, target_type text, delta int",
        lambda changes: [
            (one.tenant, one.request, one.is_new, one.status, one.kind, one.target_type, one.delta)
            for one in changes.counts
        ],
        """
        INSERT INTO request_count (tenant_id, status, kind, target_type, delta)
        SELECT tenant_id, status, kind, target_type, sum(delta)
          FROM {rows}
         WHERE {if_made}
         GROUP BY tenant_id, status, kind, target_type
        HAVING sum(delta) <> 0
        """,
    ),
    # An approval stands even if what it was for has gone meanwhile: then no grant is made, and history says so.
    # A resource need not be registered, so it is gone only if its row says so. What has another name is something else.
    _Part(
        "granted",
        "tenant_id uuid, id uuid, request uuid, is_new bool, principal_id uuid, target_type text, target_id uuid,"
        " target_name text, starts_at timestamptz, ends_at timestamptz",
        lambda changes: [
            (
                one.grant.tenant,
                one.grant.id,
                one.grant.request,
                one.is_new,
                one.grant.holder,
                one.grant.target.type,
                one.grant.target.id,
                one.grant.target.name,
                one.grant.starts_at,
                one.grant.ends_at,
            )
            for one in changes.grants
        ],
        """
        INSERT INTO access_grant (tenant_id, id, request_id, principal_id, target_type, target_id, target_name,
                                  starts_at, ends_at)
        SELECT tenant_id, id, request, principal_id, target_type, target_id, target_name, starts_at, ends_at
          FROM {rows}
         WHERE {if_made} AND new.tenant_id = ANY ($1)
           AND (SELECT true FROM principal p
                 WHERE p.tenant_id = new.tenant_id AND p.id = new.principal_id
                   AND p.status <> 'inactive' AND p.deleted_at IS NULL
                 LIMIT 1)
           AND CASE new.target_type
               WHEN 'role' THEN (SELECT true FROM role t
                    WHERE t.tenant_id = new.tenant_id AND t.id = new.target_id AND t.deleted_at IS NULL
                      AND t.name = new.target_name LIMIT 1)
               WHEN 'group' THEN (SELECT true FROM user_group t
                    WHERE t.tenant_id = new.tenant_id AND t.id = new.target_id AND t.deleted_at IS NULL
                      AND t.name = new.target_name LIMIT 1)
               ELSE (SELECT true FROM resource t
                    WHERE t.tenant_id = new.tenant_id AND t.id = new.target_id
                      AND (t.deleted_at IS NOT NULL OR t.name <> new.target_name)
                    LIMIT 1) IS NULL
               END
        RETURNING tenant_id, id
        """,
    ),
    _Part(
        "grant_timed",
        "tenant_id uuid, id uuid, due_at timestamptz",
        lambda changes: [
            (one.grant.tenant, one.grant.id, one.grant.ends_at) for one in changes.grants if one.grant.ends_at
        ],
        """
        INSERT INTO timer (tenant_id, kind, subject_id, due_at)
        SELECT tenant_id, 'grant', id, due_at
          FROM {rows}
         WHERE (new.tenant_id, new.id) IN (SELECT tenant_id, id FROM granted)
        """,
    ),
    _Part(
        "grant_happened",
        "tenant_id uuid, id uuid, request uuid, is_new bool, command_id uuid, at timestamptz, actor_id uuid,"
        " surface text, made jsonb, failed jsonb",
        lambda changes: [
            (
                one.grant.tenant,
                one.grant.id,
                one.grant.request,
                one.is_new,
                one.command,
                one.grant.starts_at,
                one.actor,
                one.surface,
                _encode(Granted(one.grant.starts_at, one.grant)),
                _encode(GrantFailed(one.grant.starts_at, one.grant)),
            )
            for one in changes.grants
        ],
        """
        INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, actor_id,
                           surface, body)
        SELECT new.tenant_id, 'grant', new.id, 1, new.command_id, 0, new.at,
               CASE WHEN g.id IS NULL THEN 'GrantFailed' ELSE 'Granted' END, new.actor_id, new.surface,
               CASE WHEN g.id IS NULL THEN new.failed ELSE new.made END
          FROM {rows}
          LEFT JOIN granted g ON g.tenant_id = new.tenant_id AND g.id = new.id
         WHERE {if_made}
        """,
    ),
    _Part(
        "executed",
        "tenant_id uuid, id uuid, request uuid, is_new bool, state text, at timestamptz, ended_at timestamptz,"
        " status int",
        lambda changes: [
            (
                one.tenant,
                one.id,
                one.request,
                one.is_new,
                one.state.value,
                one.at,
                None if one.status is None else one.at,
                one.status,
            )
            for one in changes.executions
        ],
        """
        INSERT INTO execution (tenant_id, id, request_id, state, created_at, ended_at, status)
        SELECT tenant_id, id, request, state, at, ended_at, status
          FROM {rows}
         WHERE {if_made}
        """,
    ),
    _Part(
        "execution_timed",
        "tenant_id uuid, id uuid, request uuid, is_new bool, at timestamptz",
        lambda changes: [
            (one.tenant, one.id, one.request, one.is_new, one.at) for one in changes.executions if one.status is None
        ],
        """
        INSERT INTO timer (tenant_id, kind, subject_id, due_at)
        SELECT tenant_id, 'execution', id, at
          FROM {rows}
         WHERE {if_made}
        """,
    ),
    _Part(
        "execution_happened",
        "tenant_id uuid, id uuid, request uuid, is_new bool, command_id uuid, at timestamptz, type text, body jsonb",
        lambda changes: [
            (
                one.tenant,
                one.id,
                one.request,
                one.is_new,
                one.command,
                one.at,
                f"operation.{one.state.value}",
                _encode({"requestId": one.request, "status": one.state.value, "httpStatus": one.status}),
            )
            for one in changes.executions
            if one.status is not None
        ],
        """
        INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, body)
        SELECT tenant_id, 'execution', id, 1, command_id, 0, at, type, body
          FROM {rows}
         WHERE {if_made}
        """,
    ),
    _Part(
        "owed",
        "tenant_id uuid, id uuid, kind text, request uuid, is_new bool, event_type text, body jsonb,"
        " due_at timestamptz, webhook_id uuid, grant_id uuid, grant_made bool",
        lambda changes: [
            (
                one.tenant,
                one.id,
                one.kind,
                one.request,
                one.is_new,
                one.event_type,
                one.body,
                one.due_at,
                one.webhook,
                one.grant,
                one.grant_made,
            )
            for one in changes.messages
        ],
        """
        INSERT INTO outbox (tenant_id, id, kind, subject_kind, subject_id, event_type, body, due_at, created_at,
                            webhook_id)
        SELECT tenant_id, id, kind, CASE WHEN grant_id IS NULL THEN 'request' ELSE 'grant' END,
               coalesce(grant_id, request), event_type, body, due_at, due_at, webhook_id
          FROM {rows}
         WHERE {if_made} AND {if_so}
        """,
    ),
)

_BY_NAME = {part.name: part for part in _PARTS}
