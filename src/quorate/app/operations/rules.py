"""What governs a call, and the guard that stands in every use case of ours that can need approval."""

from uuid import UUID

from quorate.app.actor import Actor
from quorate.app.operations.own import Attempt
from quorate.domain.operations import closest
from quorate.domain.refusals import ApprovalRequired
from quorate.store import operations as store
from quorate.store.operations import Rule
from quorate.store.tx import Tx


async def governing(tx: Tx, tenant: UUID, method: str, path: str) -> tuple[Rule, dict[str, str]] | None:
    """Find the rule a call falls under, and what its parameters stand for."""
    return closest((await store.rules(tx))[tenant], method, path)


async def demand_approved(tx: Tx, actor: Actor, trying: Attempt) -> None:
    """Refuse what needs approval and does not come with one.

    To be asked in the transaction that acts, once it is known that the actor may: nobody else learns what does.

    Raises: ApprovalRequired.
    """
    if actor.mandate is not None and actor.mandate.covers(trying.method, trying.path):
        return
    if await governing(tx, actor.tenant, trying.method, trying.path) is not None:
        raise ApprovalRequired(trying.method, trying.path)
