"""What may be asked for as an operation, and how it is then carried out."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain.operations import Call, Execute, Internal, Reply, Retry
from quorate.store.tx import Tx


class Rule(Struct, frozen=True):
    """What governs the calls of one method and shape of path. `sealed`: headers of the call it makes."""

    id: UUID
    method: str
    path: str
    workflow: UUID
    resource: UUID | None
    execute: Execute
    sealed: str | Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"Rule({self.method} {self.path})"  # Headers stay out of logs.


async def rules(tx: Tx) -> dict[UUID, list[Rule]]:
    """Read the rules of the transaction's tenants."""
    rows = await tx.all(
        """
        SELECT tenant_id, id, method, path, workflow_id, resource_id, execute
          FROM operation
         WHERE tenant_id = ANY ($1)
        """,
        list(tx.tenants),
    )
    found: dict[UUID, list[Rule]] = {tenant: [] for tenant in tx.tenants}
    for row in rows:
        said = msgspec.json.decode(row["execute"])
        found[row["tenant_id"]].append(
            Rule(
                row["id"],
                row["method"],
                row["path"],
                row["workflow_id"],
                row["resource_id"],
                execute_of(said),
                said.get("headers") if isinstance(said, dict) else None,
            )
        )
    return found


def execute_of(said: Any) -> Execute:
    """Read how an operation is carried out from the words of the file."""
    if said == "internal":
        return Internal()
    if "reply" in said:
        return Reply(said["reply"]["status"], said["reply"].get("body"))
    return Call(said["url"], Retry(said.get("retry") or Retry.NEVER), said.get("timeoutSeconds") or 30)
