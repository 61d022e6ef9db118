"""What an Idempotency-Key was answered: the domain answer, kept for 24 hours, written with what it answers."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.store.tx import Tx


class ReplayKey(NamedTuple):
    tenant: UUID
    caller: UUID
    key: str


class Kept(Struct, frozen=True, omit_defaults=True):
    """An answer: the request and how many of its events it saw, or a refusal by code and facts."""

    request: UUID | None = None
    version: int = 0
    command: UUID | None = None
    code: str | None = None
    facts: dict[str, Any] = {}


_kept_of = msgspec.json.Decoder(Kept)


async def find(tx: Tx, keys: Collection[ReplayKey], since: datetime) -> dict[ReplayKey, tuple[bytes, Kept]]:
    """Find what was answered under these keys since a moment: the fingerprint of the call, and the answer."""
    rows = await tx.all(
        """
        SELECT tenant_id, caller_id, key, fingerprint, answer
          FROM replay
         WHERE tenant_id = ANY ($1)
           AND (tenant_id, caller_id, key) IN (SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::text[]))
           AND created_at > $5
        """,
        list(tx.tenants),
        [key.tenant for key in keys],
        [key.caller for key in keys],
        [key.key for key in keys],
        since,
    )
    return {
        ReplayKey(row["tenant_id"], row["caller_id"], row["key"]): (row["fingerprint"], _kept_of.decode(row["answer"]))
        for row in rows
    }


async def keep(tx: Tx, answers: Collection[tuple[ReplayKey, bytes, Kept]], at: datetime, since: datetime) -> bool:
    """Keep answers. False when another transaction has just kept one under the same key: ours must not be committed.

    An answer from before `since` has had its time and gives way.
    """
    ordered = sorted(answers, key=lambda answer: answer[0])
    rows = await tx.all(
        """
        INSERT INTO replay (tenant_id, caller_id, key, fingerprint, answer, created_at)
        SELECT new.*, $6 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::jsonb[]) AS new
        ON CONFLICT (tenant_id, caller_id, key) DO UPDATE
           SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
         WHERE replay.created_at <= $7
        RETURNING key
        """,
        [key.tenant for key, _, _ in ordered],
        [key.caller for key, _, _ in ordered],
        [key.key for key, _, _ in ordered],
        [fingerprint for _, fingerprint, _ in ordered],
        [msgspec.json.encode(kept) for _, _, kept in ordered],
        at,
        since,
    )
    return len(rows) == len(ordered)
