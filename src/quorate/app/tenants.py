"""What a tenant has settled for itself, as far as the rules ask."""

from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app.definitions import read_leaves
from quorate.domain.workflows import Leaf
from quorate.store.tx import Tx


class Rules(Struct, frozen=True):
    """May people decide what is their own, and who steps in where nobody can decide."""

    self_approval: bool = False
    fallback: tuple[Leaf, ...] = ()


async def rules(tx: Tx) -> dict[UUID, Rules]:
    """Read the rules of the transaction's tenants."""
    rows = await tx.all("SELECT id, settings FROM tenant WHERE id = ANY ($1)", list(tx.tenants))
    return {tenant: Rules() for tenant in tx.tenants} | {row["id"]: _rules(row["settings"]) for row in rows}


@lru_cache(maxsize=1024)
def _rules(settings: bytes) -> Rules:
    said: dict[str, Any] = msgspec.json.decode(settings)
    leaves, _ = read_leaves(said.get("fallbackApprovers"))
    return Rules(said.get("selfApproval") is True, leaves)
