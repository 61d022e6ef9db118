"""Verifies what comes with an approval: outside any transaction, after a cheap look whether it could count at all.

A challenge is taken before anything is judged, and that is committed: one that was shown once is gone, whether what
came with it was right or wrong. What was right becomes a proof, and the door checks that it is still current.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from quorate.app import lockout
from quorate.app.actor import Actor
from quorate.app.limits import Attempts
from quorate.app.verify import Passwords
from quorate.app.verify.assertions import KeyRules, Passkey, Shown, U2f, Wrong, check_assertion, check_u2f
from quorate.app.verify.jwk import base64url
from quorate.domain import refusals as no
from quorate.domain.evidence import Proof, Signed
from quorate.store import challenges, credentials, signin, tenants
from quorate.store.challenges import Challenge
from quorate.store.credentials import StoredCredential
from quorate.store.database import Database
from quorate.store.signin import Account
from quorate.store.tx import Tx

__all__ = ["NO_EVIDENCE", "Evidence", "U2f", "Verifier", "key_rules", "passkeys"]

DECIDE: Final = "decide"


class Evidence(Struct, frozen=True):
    """What came with an approval, not looked at yet. At most one second factor.

    `webauthn` is what a browser's `PublicKeyCredential.toJSON()` gives; without `rawId` it will do.
    """

    password: str | None = None
    webauthn: Mapping[str, Any] | None = None
    u2f: U2f | None = None
    totp: str | None = None

    @property
    def factors(self) -> tuple[str, ...]:
        """Name the second factors that came."""
        return tuple(name for name in ("webauthn", "u2f", "totp") if getattr(self, name) is not None)

    def __repr__(self) -> str:
        return "Evidence(…)"  # Passwords and signatures stay out of logs.


NO_EVIDENCE: Final = Evidence()


class _Known(Struct, frozen=True):
    """What is read, and taken, before anything is verified."""

    account: Account | None
    rules: KeyRules | None
    keys: Sequence[Passkey]
    challenge: Challenge | None


class Verifier:
    """Verifies evidence, counts what is wrong, and locks out whoever is wrong too often."""

    def __init__(
        self, db: Database, passwords: Passwords, attempts: Attempts, *, clock: Callable[[], datetime]
    ) -> None:
        self._db, self._passwords, self._attempts, self._clock = db, passwords, attempts, clock

    async def verify(self, actor: Actor, evidence: Evidence, request: UUID, step: int) -> Proof:
        """Verify what came with an approval of a request's step, by somebody who may decide it.

        Raises: TooOften; LockedOut; EvidenceWrong; BadReference: there are several second factors.
        """
        if len(evidence.factors) > 1:
            raise no.BadReference("evidence", "give one second factor, not several")
        self._attempts.take("evidence", str(actor.principal), actor.how.address)
        async with self._db.tx({actor.tenant}) as tx:
            known = await self._known(tx, actor, evidence, request)
            locked = await lockout.remaining(tx, actor.tenant, "evidence", actor.principal, self._clock())
        if locked is not None:
            raise locked

        stamp, shown, signed = None, None, None
        wrong_password, wrong_factor = False, None
        if evidence.password is not None:
            account = known.account
            verdict = await self._passwords.verify(account.password_hash if account else None, evidence.password)
            wrong_password = account is None or not verdict.right
            stamp = account.password_stamp if account else None
        for name in evidence.factors:
            try:
                shown, signed = _check(evidence, known, step)
            except Wrong:
                wrong_factor = name
        right = not wrong_password and wrong_factor is None
        await lockout.count(self._db, actor.tenant, "evidence", actor.principal, self._clock(), right=right)
        if not right:
            raise no.EvidenceWrong(wrong_password, wrong_factor)
        if shown is None:
            return Proof(stamp)
        return Proof(stamp, shown.credential, shown.count, signed)

    async def _known(self, tx: Tx, actor: Actor, evidence: Evidence, request: UUID) -> _Known:
        at = self._clock()
        account = await signin.account(tx, actor.tenant, actor.principal, at)
        if evidence.webauthn is None and evidence.u2f is None:
            return _Known(account, None, (), None)
        taken = await challenges.take(tx, actor.tenant, actor.principal, DECIDE, request, at)
        keys = await credentials.passkeys_of(tx, actor.tenant, actor.principal)
        return _Known(account, await key_rules(tx, actor.tenant), passkeys(keys), taken)


def _check(evidence: Evidence, known: _Known, step: int) -> tuple[Shown, Signed | None]:
    """Check the second factor. Raises: Wrong."""
    if evidence.totp is not None:
        raise Wrong("no one-time codes are registered")
    protocol = "fido2" if evidence.webauthn is not None else "u2f"
    asked, rules = known.challenge, known.rules
    if asked is None or rules is None or (asked.step, asked.protocol) != (step, protocol):
        raise Wrong("nothing was asked, or something else, or too long ago")
    signed = Signed(asked.random, asked.snapshot)
    if evidence.webauthn is not None:
        return check_assertion(evidence.webauthn, challenge_of(signed), known.keys, rules), signed
    assert evidence.u2f is not None
    return check_u2f(evidence.u2f, challenge_of(signed), known.keys, rules), signed


def challenge_of(signed: Signed) -> bytes:
    """Make the challenge that a key signs. Source: design §7."""
    return sha256(signed.random + signed.snapshot).digest()


async def key_rules(tx: Tx, tenant: UUID) -> KeyRules | None:
    """Read what the tenant settled about security keys; None if it takes none."""
    said = next((one.settings.get("webauthn") for one in await tenants.tenants(tx) if one.id == tenant), None) or {}
    if not said.get("rpId"):
        return None
    origins = tuple(one.rstrip("/") for one in said.get("origins") or ())
    return KeyRules(
        said["rpId"],
        origins,
        said.get("appId") or (origins[0] if origins else f"https://{said['rpId']}"),
        said.get("verifyUser") is True,
        said.get("u2f") is True,
        said.get("signIn") is True,
    )


def passkeys(stored: Sequence[StoredCredential]) -> list[Passkey]:
    """Give stored passkeys as they are checked against."""
    return [
        Passkey(one.id, base64url(one.public["id"]), one.public["publicKey"], one.sign_count)
        for one in stored
        if one.public is not None
    ]
