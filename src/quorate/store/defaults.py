"""What tenants have settled for steps beside their workflows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from quorate.domain.defaults import Defaults, Scope
from quorate.store.tx import Tx


async def read(tx: Tx, tenant: UUID, scope: Scope, subject: str) -> Mapping[str, Any] | None:
    """Read what was said, as it was said."""
    row = await tx.one(
        "SELECT shown FROM approval_default WHERE tenant_id = $1 AND scope = $2 AND subject = $3",
        tenant,
        scope.value,
        subject,
    )
    return None if row is None else msgspec.json.decode(row["shown"], type=dict[str, Any])


async def put(
    tx: Tx, tenant: UUID, scope: Scope, subject: str, defaults: Defaults, shown: Mapping[str, Any], at: datetime
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
        msgspec.json.encode(shown),
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
