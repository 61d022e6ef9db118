"""History as rows: what happened to a request, and which commands have been carried out."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain.events import Event
from quorate.store.tx import Tx

_event_of = msgspec.json.Decoder(Event)


class Past(Struct, frozen=True):
    """One recorded event. `seq` counts from 1 within the request."""

    seq: int
    command: UUID
    at: datetime
    event: Event


async def of_request(tx: Tx, tenant: UUID, request: UUID, upto: int | None = None) -> list[Past]:
    """Read a request's history in order, as far as event `upto` if given."""
    rows = await tx.all(
        """
        SELECT seq, command_id, at, body
          FROM event
         WHERE tenant_id = $1 AND subject_kind = 'request' AND subject_id = $2 AND ($3::int IS NULL OR seq <= $3)
         ORDER BY seq
        """,
        tenant,
        request,
        upto,
    )
    return [Past(row["seq"], row["command_id"], row["at"], _event_of.decode(row["body"])) for row in rows]


async def of_requests(tx: Tx, tenant: UUID, requests: Collection[UUID]) -> dict[UUID, list[Past]]:
    """Read the histories of several requests, each in order."""
    found: dict[UUID, list[Past]] = {id: [] for id in requests}
    rows = await tx.all(
        """
        SELECT subject_id, seq, command_id, at, body
          FROM event
         WHERE tenant_id = $1 AND subject_kind = 'request' AND subject_id = ANY ($2)
         ORDER BY subject_id, seq
        """,
        tenant,
        list(requests),
    )
    for row in rows:
        found[row["subject_id"]].append(Past(row["seq"], row["command_id"], row["at"], _event_of.decode(row["body"])))
    return found


async def carried_out(tx: Tx, commands: Collection[UUID]) -> dict[UUID, tuple[UUID, UUID, int]]:
    """Say which commands history knows: for each its tenant, its request, and the number of its last event."""
    rows = await tx.all(
        """
        SELECT command_id, tenant_id, subject_id, max(seq) AS seq
          FROM event
         WHERE tenant_id = ANY ($1) AND command_id = ANY ($2) AND subject_kind = 'request'
         GROUP BY command_id, tenant_id, subject_id
        """,
        list(tx.tenants),
        list(commands),
    )
    return {row["command_id"]: (row["tenant_id"], row["subject_id"], row["seq"]) for row in rows}
