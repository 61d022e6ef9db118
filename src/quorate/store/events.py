"""What happens to anything but requests (whose door writes its own): definitions, the directory, settings."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.store.tx import Tx


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that happened to one subject, and who brought it about, from where."""

    subject_kind: str
    subject: UUID
    command: UUID
    at: datetime
    type: str
    actor: UUID | None
    credential: UUID | None = None
    surface: str | None = None
    address: str | None = None
    body: dict[str, Any] = {}


async def add(tx: Tx, tenant: UUID, entries: Collection[Entry]) -> None:
    """Write entries into the history, each behind the last of its subject.

    The caller holds the subjects' rows (or has just made them), so that numbers are not taken twice.
    """
    await tx.run(
        """
        INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, actor_id,
                           credential_id, surface, address, body)
        SELECT $1, new.kind, new.id,
               coalesce((SELECT max(past.seq) FROM event past
                          WHERE past.tenant_id = $1 AND past.subject_kind = new.kind AND past.subject_id = new.id), 0)
                   + row_number() OVER (PARTITION BY new.kind, new.id ORDER BY new.place),
               new.command, new.place - 1, new.at, new.type, new.actor, new.credential, new.surface, new.address,
               new.body
          FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $7::uuid[], $8::uuid[],
                      $9::text[], $10::text[], $11::jsonb[])
               WITH ORDINALITY
               AS new (kind, id, command, at, type, actor, credential, surface, address, body, place)
         ORDER BY new.place
        """,
        tenant,
        [one.subject_kind for one in entries],
        [one.subject for one in entries],
        [one.command for one in entries],
        [one.at for one in entries],
        [one.type for one in entries],
        [one.actor for one in entries],
        [one.credential for one in entries],
        [one.surface for one in entries],
        [one.address for one in entries],
        [msgspec.json.encode(one.body) for one in entries],
    )
