"""What a tenant has settled for itself, as far as the door asks."""

from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app.definitions import read_leaves
from quorate.domain.breakglass import AWS_TYPES, GlassRules
from quorate.domain.defaults import Settled
from quorate.domain.messages import Subscription
from quorate.domain.operations import EXPIRY_S
from quorate.domain.workflows import Leaf
from quorate.store import signin
from quorate.store.database import Database
from quorate.store.tx import Tx

USUAL_S: Final = 3600


class Rules(Struct, frozen=True):
    """May people decide what is their own, who steps in where nobody can decide, who wants to hear of it,
    who may break the glass, how long access lasts that must end where nobody says when, how long an operation waits,
    whether what has expired stays to be seen where it would not, what is settled for steps of any workflow, and whether
    the result of an operation is only for who could still ask for it."""

    self_approval: bool = False
    fallback: tuple[Leaf, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    glass: GlassRules = GlassRules()
    usual_s: int = USUAL_S
    operation_expiry_s: int = EXPIRY_S
    retains_expired: bool = False
    defaults: tuple[Settled, ...] = ()
    rechecks_results: bool = False


async def rules(tx: Tx) -> dict[UUID, Rules]:
    """Read the rules of the transaction's tenants."""
    rows = await tx.all(
        """
        SELECT t.id, t.settings,
               (SELECT jsonb_agg(jsonb_build_object('webhook', w.id, 'events', w.events) ORDER BY w.id)
                  FROM webhook w
                 WHERE w.tenant_id = t.id AND w.disabled_at IS NULL) AS webhooks,
               (SELECT jsonb_agg(jsonb_build_object('scope', d.scope, 'subject', d.subject, 'defaults', d.defaults)
                                 ORDER BY d.scope, d.subject)
                  FROM approval_default d
                 WHERE d.tenant_id = t.id) AS defaults
          FROM tenant t
         WHERE t.id = ANY ($1)
        """,
        list(tx.tenants),
    )
    known = {row["id"]: _rules(row["settings"], row["webhooks"], row["defaults"]) for row in rows}
    return {tenant: Rules() for tenant in tx.tenants} | known


class Naming(Struct, frozen=True):
    """How a tenant names resources from outside: their types beside the six of AWS, and whether ids must look right."""

    types: tuple[str, ...] = AWS_TYPES
    is_strict: bool = False


class Tenants:
    """What anybody signed in may know of their tenant's settings."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def slug(self, tenant: UUID) -> str | None:
        """Read the tenant's short name; None when there is no such tenant."""
        async with self._db.tx([tenant]) as tx:
            return await signin.slug(tx, tenant)

    async def user(self, tenant: UUID, login: str) -> UUID | None:
        """Find a live user by login, whatever its case."""
        async with self._db.tx([tenant]) as tx:
            return await signin.user_by_login(tx, tenant, login)

    async def naming(self, tenant: UUID) -> Naming:
        """Read how the tenant names resources."""
        async with self._db.tx([tenant]) as tx:
            row = await tx.one("SELECT settings FROM tenant WHERE id = ANY ($1)", [tenant])
        return _naming(row["settings"]) if row else Naming()


@lru_cache(maxsize=1024)
def _naming(settings: bytes) -> Naming:
    said = msgspec.json.decode(settings).get("jitsudo") or {}
    types = dict.fromkeys((*AWS_TYPES, *(said.get("resourceTypes") or ())))
    return Naming(tuple(types), said.get("strictIds") is True)


@lru_cache(maxsize=1024)
def _rules(settings: bytes, webhooks: bytes | None, defaults: bytes | None) -> Rules:
    said: dict[str, Any] = msgspec.json.decode(settings)
    leaves, _ = read_leaves(said.get("fallbackApprovers"))
    subscriptions = _subscriptions.decode(webhooks) if webhooks else ()
    glass = msgspec.convert(_camel_to_ours(said.get("breakGlass") or {}), GlassRules)
    usual_s = (said.get("jitsudo") or {}).get("defaultDurationSeconds") or USUAL_S
    expiry_s, retains = said.get("operationExpirySeconds") or EXPIRY_S, said.get("retainExpiredRequests") is True
    settled = _settled.decode(defaults) if defaults else ()
    return Rules(
        said.get("selfApproval") is True,
        leaves,
        subscriptions,
        glass,
        usual_s,
        expiry_s,
        retains,
        settled,
        said.get("recheckAccessForResults") is True,
    )


def _camel_to_ours(said: dict[str, Any]) -> dict[str, Any]:
    known = {"enabled": "enabled", "groups": "groups", "maxSeconds": "max_seconds", "types": "types"}
    return {ours: said[theirs] for theirs, ours in known.items() if said.get(theirs) is not None}


_settled = msgspec.json.Decoder(tuple[Settled, ...])
_subscriptions = msgspec.json.Decoder(tuple[Subscription, ...])
