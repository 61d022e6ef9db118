"""What tenants have settled for steps beside their workflows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain.defaults import Defaults, Scope, Settled
from quorate.store.tx import Tx


class Kept(Struct, frozen=True):
    """What is settled, and how the caller who settled it put it; None where the file did."""

    defaults: Defaults
    said: Mapping[str, Any] | None


async def read(tx: Tx, tenant: UUID, scope: Scope, subject: str) -> Kept | None:
    row = await tx.one(
        "SELECT defaults, shown FROM approval_default WHERE tenant_id = $1 AND scope = $2 AND subject = $3",
        tenant,
        scope.value,
        subject,
    )
    if row is None:
        return None
    said = None if row["shown"] is None else msgspec.json.decode(row["shown"], type=dict[str, Any])
    return Kept(msgspec.json.decode(row["defaults"], type=Defaults), said)


async def every(tx: Tx, tenant: UUID) -> list[Settled]:
    """Read all that a tenant has settled, the wider first, and hold it until the transaction ends."""
    rows = await tx.all(
        """
        SELECT scope, subject, defaults
          FROM approval_default
         WHERE tenant_id = $1
         ORDER BY scope <> 'tenant', scope <> 'type', subject
           FOR UPDATE
        """,
        tenant,
    )
    return [
        Settled(Scope(row["scope"]), row["subject"], msgspec.json.decode(row["defaults"], type=Defaults))
        for row in rows
    ]


async def put(
    tx: Tx, tenant: UUID, scope: Scope, subject: str, defaults: Defaults, shown: Mapping[str, Any] | None, at: datetime
) -> None:
    await tx.run(
        """
        INSERT INTO approval_default AS d (tenant_id, scope, subject, defaults, shown, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant_id, scope, subject) DO UPDATE
           SET defaults = excluded.defaults, shown = excluded.shown, updated_at = excluded.updated_at
         WHERE d.tenant_id = $1
        """,
        tenant,
        scope.value,
        subject,
        msgspec.json.encode(defaults),
        None if shown is None else msgspec.json.encode(shown),
        at,
    )


async def remove(tx: Tx, tenant: UUID, scope: Scope, subject: str) -> bool:
    """Say whether there was one."""
    row = await tx.one(
        "DELETE FROM approval_default WHERE tenant_id = $1 AND scope = $2 AND subject = $3 RETURNING 1",
        tenant,
        scope.value,
        subject,
    )
    return row is not None
