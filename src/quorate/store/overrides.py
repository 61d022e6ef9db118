"""What administrators said when they passed a step: kept in history alone, since no rule asks for it."""

from collections.abc import Collection
from uuid import UUID

import msgspec

from quorate.domain.events import Event, Overridden
from quorate.store.tx import Tx

_event_of = msgspec.json.Decoder(Event)


async def latest(tx: Tx, tenant: UUID, requests: Collection[UUID]) -> dict[UUID, Overridden]:
    """Find the last override of each of these requests; one without any is absent."""
    rows = await tx.all(
        """
        SELECT DISTINCT ON (subject_id) subject_id, body
          FROM event
         WHERE tenant_id = $1 AND subject_kind = 'request' AND subject_id = ANY ($2) AND type = 'Overridden'
         ORDER BY subject_id, seq DESC
        """,
        tenant,
        list(requests),
    )
    found = {row["subject_id"]: _event_of.decode(row["body"]) for row in rows}
    return {id: event for id, event in found.items() if isinstance(event, Overridden)}
