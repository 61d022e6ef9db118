"""Challenges: each is asked once, taken once, and gone."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.store.rows import decoded
from quorate.store.tx import Tx


class Challenge(Struct, frozen=True, kw_only=True):
    """Random bytes that wait to be signed by somebody, for a purpose. `subject`: the request it is about."""

    principal: UUID
    purpose: str
    subject: UUID
    step: int = 0
    protocol: str = ""
    random: bytes
    snapshot: bytes
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Challenge(purpose={self.purpose}, subject={self.subject})"


async def put(tx: Tx, tenant: UUID, challenge: Challenge, at: datetime) -> None:
    """Keep a challenge in place of the one before, and forget those of the same person that are over."""
    await tx.run(
        "DELETE FROM challenge WHERE tenant_id = $1 AND principal_id = $2 AND expires_at <= $3",
        tenant,
        challenge.principal,
        at,
    )
    await tx.run(
        """
        INSERT INTO challenge (tenant_id, principal_id, purpose, subject_id, step_index, protocol, random, snapshot,
                               expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (tenant_id, principal_id, purpose, subject_id) DO UPDATE
           SET step_index = excluded.step_index, protocol = excluded.protocol, random = excluded.random,
               snapshot = excluded.snapshot, expires_at = excluded.expires_at
        """,
        tenant,
        challenge.principal,
        challenge.purpose,
        challenge.subject,
        challenge.step,
        challenge.protocol,
        challenge.random,
        challenge.snapshot,
        challenge.expires_at,
    )


async def take(tx: Tx, tenant: UUID, principal: UUID, purpose: str, subject: UUID, at: datetime) -> Challenge | None:
    """Take a challenge away, for good; None if there is none, or its time is up.

    To be committed before what was signed is looked at, whatever comes of that.
    """
    row = await tx.one(
        """
        DELETE FROM challenge
         WHERE tenant_id = $1 AND principal_id = $2 AND purpose = $3 AND subject_id = $4
        RETURNING principal_id AS principal, purpose, subject_id AS subject, step_index AS step, protocol, random,
                  snapshot, expires_at
        """,
        tenant,
        principal,
        purpose,
        subject,
    )
    if row is None:
        return None
    taken = decoded(Challenge, row)
    return taken if at < taken.expires_at else None
