"""What is told of the gate: who came in, who was turned away, who left, and who is locked out.

It is told of accounts that exist. What does not exist is counted like one that does, and nothing is written of it: a
stranger must not be able to fill the history, nor to read back from it what was typed where a login belongs. A wrong
password that is not even looked at, because the account is locked, is not told either; so nobody's failures are more
than five in five minutes, plus a few that came at the same moment.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.tell import tell
from quorate.store import signin
from quorate.store.events import Entry
from quorate.store.tx import Tx

KIND: Final = "login"  # A subject of its own, so that signing in waits for no change of the directory.

Told = Literal["auth.signed_in", "auth.failed", "auth.signed_out", "security.lockout"]
Failed = Literal["password", "second-factor", "suspended", "inactive"]


class Whence(Struct, frozen=True):
    """Where a call came from. `agent`: what the caller's program says it is, which may be anything."""

    address: str
    surface: str | None = None
    agent: str | None = None


def whence(actor: Actor) -> Whence:
    """Say where a signed-in caller's call came from."""
    return Whence(actor.how.address, actor.how.surface, actor.how.agent)


async def tell_of(
    tx: Tx,
    tenant: UUID,
    account: UUID,
    what: Told,
    at: datetime,
    origin: Whence,
    new_id: Callable[[], UUID],
    *,
    session: UUID | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write what happened to an account at the gate, and owe its messages.

    Args:
        session: that was opened or ended. Without one nobody has proved to be anybody, so nobody is said to have acted.
        facts: more of its body.
    """
    await signin.hold(tx, tenant, account)
    agent = {"userAgent": origin.agent} if origin.agent else {}
    entry = Entry(
        subject_kind=KIND,
        subject=account,
        command=new_id(),
        at=at,
        type=what,
        actor=account if session else None,
        credential=session,
        surface=origin.surface,
        address=origin.address or None,
        body={"userId": str(account), **(facts or {}), **agent},
    )
    await tell(tx, tenant, [entry], new_id)
