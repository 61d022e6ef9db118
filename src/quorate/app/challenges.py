"""What somebody is asked to sign with a security key before they approve."""

import enum
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec

from quorate.app.actor import Actor
from quorate.app.commands import Door
from quorate.app.evidence import DECIDE, ToSign, key_rules, passkeys, to_sign
from quorate.app.limits import Attempts
from quorate.app.look import people_of
from quorate.app.orders import Order
from quorate.app.requests import OpenStep
from quorate.app.verify.assertions import KeyRules
from quorate.domain import commands as do
from quorate.domain import lifecycle
from quorate.domain import refusals as no
from quorate.domain.events import Choice, RequestKind
from quorate.domain.evidence import Signed
from quorate.domain.requests import Request
from quorate.store import challenges as store
from quorate.store import credentials
from quorate.store.database import Database

LIFE: Final = timedelta(minutes=5)


class Protocol(enum.StrEnum):
    FIDO2 = "fido2"
    U2F = "u2f"


class Challenges:
    """The use case. A challenge is of one person, for approving one step of one request."""

    def __init__(
        self,
        db: Database,
        door: Door,
        attempts: Attempts,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._db, self._door, self._attempts = db, door, attempts
        self._clock, self._new_id = clock, new_id

    async def issue(
        self,
        actor: Actor,
        about: UUID | OpenStep,
        protocol: Protocol = Protocol.FIDO2,
        *,
        to_override: bool = False,
    ) -> ToSign:
        """Ask for a signature: about the step whose task this is, or a request's open one. It voids the one before.

        Raises: TooOften; NoSuchRequest; as `lifecycle.decide` does for whoever may not approve, or as
            `lifecycle.override`, if that is what it is for; CannotChallenge.
        """
        self._attempts.take("challenge", str(actor.principal), actor.how.address)
        request, step = await self._now(actor, about)
        if to_override and request.filing.kind is not RequestKind.ACCESS:
            raise no.NoSuchRequest(request.id)
        at = self._clock()
        async with self._db.tx({actor.tenant}) as tx:
            people = await people_of(tx, actor.principal, [request], at)
            if to_override:
                lifecycle.may_override(request, actor.principal, people)
            else:
                lifecycle.may_decide(request, do.Decide(actor.principal, Choice.APPROVE, step=step), people)
            rules = _usable(await key_rules(tx, actor.tenant), protocol)
            keys = passkeys(await credentials.passkeys_of(tx, actor.tenant, actor.principal))
            if not keys:
                raise no.CannotChallenge("no_key")
            signed = Signed(secrets.token_bytes(32), snapshot(request, request.current.index))
            asked = store.Challenge(
                principal=actor.principal,
                purpose=DECIDE,
                subject=request.id,
                step=request.current.index,
                protocol=protocol.value,
                random=signed.random,
                snapshot=signed.snapshot,
                expires_at=at + LIFE,
            )
            await store.put(tx, actor.tenant, asked, at)
        return to_sign(signed, rules, keys, LIFE)

    async def _now(self, actor: Actor, about: UUID | OpenStep) -> tuple[Request, int | None]:
        """Read the request as time has left it, and which step of it is meant, if one is. Raises: NoSuchRequest."""
        of, task = (about.of, None) if isinstance(about, OpenStep) else (None, about)
        done = await self._door.take(Order(self._new_id(), actor.tenant, actor.principal, None, of, task))
        return done.request, None if task is None else done.held.tasks.index(task)


def snapshot(request: Request, step: int) -> bytes:
    """Hash what somebody agrees to who approves a step: what was asked, as it was fixed at submission.

    It can be computed again from the request's first event. Source: design §7.
    """
    seen = {
        "tenant": request.tenant,
        "request": request.id,
        "step": step,
        "decision": Choice.APPROVE,
        "filing": request.filing,
        "route": request.route,
    }
    return sha256(msgspec.json.encode(seen, order="deterministic")).digest()


def _usable(rules: KeyRules | None, protocol: Protocol) -> KeyRules:
    if rules is None:
        raise no.CannotChallenge("unset")
    if protocol is Protocol.U2F and not rules.takes_u2f:
        raise no.CannotChallenge("protocol")
    return rules
