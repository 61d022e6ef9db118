"""Requests as rows: locked for the door and read one by one. `record` writes them.

What was asked and the frozen route are written once; how far it has come is `progress`. Columns beside them
repeat what lists and timers look for.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import Struct
from msgspec.structs import replace

from quorate.domain.events import Event, Filing, Outcome
from quorate.domain.grants import Grant
from quorate.domain.operations import State
from quorate.domain.requests import Request, StepState
from quorate.domain.workflows import Route
from quorate.store.tx import Tx


class Key(NamedTuple):
    """What names a row: an id alone finds nothing."""

    tenant: UUID
    id: UUID


class Held(Struct, frozen=True):
    """A request as it was read, and the ids of its tasks: one for each step opened, in order.

    `lost_at`: since when what was asked for is not what it was.
    """

    request: Request
    tasks: tuple[UUID, ...] = ()
    lost_at: datetime | None = None


class Progress(Struct, frozen=True, omit_defaults=True):
    """How far a request has come, as the column `progress` keeps it."""

    walk: tuple[StepState, ...]
    tasks: tuple[UUID, ...] = ()
    due_by: datetime | None = None
    closed_by: UUID | None = None
    closing_note: str | None = None
    discarded_at: datetime | None = None
    notes: dict[str, str] = {}


class Happening(Struct, frozen=True):
    """An event of a request to write, and what caused it."""

    tenant: UUID
    request: UUID
    is_new: bool
    seq: int
    command: UUID
    command_seq: int
    event: Event
    actor: UUID | None = None
    credential: UUID | None = None
    surface: str | None = None
    address: str | None = None


class TaskRow(Struct, frozen=True):
    tenant: UUID
    id: UUID
    request: UUID
    is_new: bool
    step: int
    status: str
    opened_at: datetime
    due_at: datetime | None
    askers: tuple[UUID, ...]
    closed_to: tuple[UUID, ...]
    request_created_at: datetime


class Listing(Struct, frozen=True):
    """An inbox row: a task under the key of those whose it may be."""

    tenant: UUID
    key: str
    task: UUID
    request: UUID
    is_new: bool
    request_created_at: datetime


class PastApprover(Struct, frozen=True):
    """Somebody through whose hands a request went. `has_acted`: their say was used or given away, or merely there."""

    tenant: UUID
    person: UUID
    has_acted: bool
    request: UUID
    is_new: bool
    request_created_at: datetime


class Counted(Struct, frozen=True):
    """One request more (or less) of this status, kind and type."""

    tenant: UUID
    request: UUID
    is_new: bool
    status: str
    kind: str
    target_type: str
    delta: int


class Given(Struct, frozen=True):
    """A grant to make, with the command that history shall know it by."""

    grant: Grant
    is_new: bool
    command: UUID
    actor: UUID | None = None
    surface: str | None = None


class ToExecute(Struct, frozen=True):
    """An execution that an approval makes. A fixed answer has it end at once, with its `status`.

    `command` is what history shall know its end by.
    """

    tenant: UUID
    id: UUID
    request: UUID
    is_new: bool
    at: datetime
    status: int | None
    command: UUID

    @property
    def state(self) -> State:
        return State.WAITING if self.status is None else State.after(self.status)


class Message(Struct, frozen=True):
    """Something the world is owed because of an event. `body` is what it says, as JSON; `webhook` whom it is for.

    With `grant`, it is about a grant of this batch, and is owed only if that was made (or was not: `grant_made`).
    """

    tenant: UUID
    id: UUID
    kind: str
    request: UUID
    is_new: bool
    event_type: str
    body: bytes
    due_at: datetime
    webhook: UUID | None = None
    grant: UUID | None = None
    grant_made: bool | None = None


class FactorShown(Struct, frozen=True):
    """A second factor was shown with a decision, and its count now stands here."""

    tenant: UUID
    credential: UUID
    sign_count: int
    at: datetime


class Changes(Struct):
    """Everything one batch writes. Each list may be empty. `is_new`: it hangs on a request made in this batch."""

    born: list[Held] = []
    moved: list[Held] = []
    events: list[Happening] = []
    tasks_opened: list[TaskRow] = []
    tasks_changed: list[TaskRow] = []
    listed: list[Listing] = []
    unlisted: list[tuple[UUID, UUID, str]] = []
    tasks_done: list[Key] = []
    past_approvers: list[PastApprover] = []
    timers_set: list[tuple[UUID, UUID, bool, datetime]] = []
    reminders_set: list[tuple[UUID, UUID, bool, datetime]] = []
    timers_gone: list[tuple[UUID, str, UUID]] = []
    counts: list[Counted] = []
    messages: list[Message] = []
    grants: list[Given] = []
    shown: list[FactorShown] = []
    executions: list[ToExecute] = []


_progress_of = msgspec.json.Decoder(Progress)
_filing_of = msgspec.json.Decoder(Filing)
_route_of = msgspec.json.Decoder(Route)
COLUMNS = "tenant_id, id, status, filing, route, progress, closed_at, version, created_at, updated_at"
LOST_AT = """(SELECT m.due_at FROM timer m
                 WHERE m.tenant_id = r.tenant_id AND m.kind = 'target' AND m.subject_id = r.id) AS lost_at"""
"""Since when the target of a request `r` is not what it was."""


async def lock(
    tx: Tx, requests: Collection[Key], tasks: Collection[Key], duplicates: Collection[tuple[UUID, str]]
) -> dict[Key, Held]:
    """Read requests and hold their rows until the transaction ends.

    They are named by their own id, by that of one of their tasks, or by the duplicate key of an open one. Rows are
    taken in key order, so that two batches which share requests wait for each other instead of deadlocking: each by a
    lookup of its own, which after a wait looks at the row again and at nothing else. What does not exist is simply
    absent from the answer.
    """
    ways = ["SELECT k.* FROM unnest($2::uuid[], $3::uuid[]) AS k (tenant_id, id) WHERE k.tenant_id = ANY ($1)"]
    values: list[list[UUID] | list[str]] = [*_pairs(requests)]
    if tasks:
        ways.append(
            f"""SELECT t.tenant_id, t.request_id
                  FROM unnest(${len(values) + 2}::uuid[], ${len(values) + 3}::uuid[]) AS k (tenant_id, id)
                  JOIN task t ON t.tenant_id = k.tenant_id AND t.id = k.id
                 WHERE k.tenant_id = ANY ($1)"""
        )
        values += _pairs(tasks)
    if duplicates:
        ways.append(
            f"""SELECT r.tenant_id, r.id
                  FROM unnest(${len(values) + 2}::uuid[], ${len(values) + 3}::text[]) AS k (tenant_id, duplicate_key)
                  JOIN request r ON r.tenant_id = k.tenant_id AND r.duplicate_key = k.duplicate_key
                 WHERE k.tenant_id = ANY ($1) AND r.status = 'pending'"""
        )
        values.append([tenant for tenant, _ in duplicates])
        values.append([key for _, key in duplicates])
    rows = await tx.all(
        f"""
        SELECT r.*, {LOST_AT}
          FROM (SELECT DISTINCT w.tenant_id, w.id FROM ({" UNION ALL ".join(ways)}) w (tenant_id, id)
                 ORDER BY w.tenant_id, w.id) k
         CROSS JOIN LATERAL (
               SELECT {COLUMNS} FROM request WHERE tenant_id = k.tenant_id AND id = k.id FOR UPDATE) r
        """,
        list(tx.tenants),
        *values,
    )
    return _locked(rows)


async def due(tx: Tx, kind: str, at: datetime, most: int) -> list[UUID]:
    """Name requests whose timer of this kind is due, oldest first."""
    rows = await tx.all(
        """
        SELECT subject_id
          FROM timer
         WHERE tenant_id = ANY ($1) AND kind = $2 AND due_at <= $3
         ORDER BY due_at
         LIMIT $4
        """,
        list(tx.tenants),
        kind,
        at,
        most,
    )
    return [row["subject_id"] for row in rows]


async def lock_free(tx: Tx, ids: Collection[UUID]) -> dict[Key, Held]:
    """Hold those of these requests that nobody else holds."""
    rows = await tx.all(
        f"""
        SELECT {COLUMNS}, {LOST_AT}
          FROM request r
         WHERE tenant_id = ANY ($1) AND id = ANY ($2)
         ORDER BY tenant_id, id
           FOR UPDATE SKIP LOCKED
        """,
        list(tx.tenants),
        list(ids),
    )
    return _locked(rows)


async def put_off(tx: Tx, kind: str, id: UUID, until: datetime) -> None:
    """Have a request that could not be brought up to date looked at again later."""
    await tx.run(
        "UPDATE timer SET due_at = $4 WHERE tenant_id = ANY ($1) AND kind = $2 AND subject_id = $3",
        list(tx.tenants),
        kind,
        id,
        until,
    )


async def load(tx: Tx, ids: Collection[UUID]) -> dict[Key, Held]:
    """Read requests of the transaction's tenants by id, without holding them."""
    rows = await tx.all(
        f"SELECT {COLUMNS} FROM request WHERE tenant_id = ANY ($1) AND id = ANY ($2)", list(tx.tenants), list(ids)
    )
    return _held(rows)


async def load_keys(tx: Tx, keys: Collection[Key]) -> dict[Key, Held]:
    """Read requests of several tenants, without holding them."""
    rows = await tx.all(
        f"""
        SELECT r.*
          FROM unnest($2::uuid[], $3::uuid[]) AS k (tenant_id, id)
         CROSS JOIN LATERAL (SELECT {COLUMNS} FROM request WHERE tenant_id = k.tenant_id AND id = k.id) r
         WHERE k.tenant_id = ANY ($1)
        """,
        list(tx.tenants),
        *_pairs(keys),
    )
    return _held(rows)


def held(row: Record) -> Held:
    """Make the value of one row that has the columns `COLUMNS`."""
    progress = _progress_of.decode(row["progress"])
    request = Request(
        tenant=row["tenant_id"],
        id=row["id"],
        filing=_filing_of.decode(row["filing"]),
        route=_route_of.decode(row["route"]),
        status=Outcome(row["status"]),
        walk=progress.walk,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        due_by=progress.due_by,
        closed_at=row["closed_at"],
        closed_by=progress.closed_by,
        closing_note=progress.closing_note,
        discarded_at=progress.discarded_at,
        notes=progress.notes,
        version=row["version"],
    )
    return Held(request, progress.tasks)


def _held(rows: Iterable[Record]) -> dict[Key, Held]:
    return {Key(row["tenant_id"], row["id"]): held(row) for row in rows}


def _locked(rows: Iterable[Record]) -> dict[Key, Held]:
    """As `_held`, of rows that have `LOST_AT`."""
    return {
        Key(row["tenant_id"], row["id"]): one if (lost_at := row["lost_at"]) is None else replace(one, lost_at=lost_at)
        for row in rows
        for one in (held(row),)
    }


def _pairs(keys: Collection[Key]) -> list[list[UUID]]:
    return [[key.tenant for key in keys], [key.id for key in keys]]
