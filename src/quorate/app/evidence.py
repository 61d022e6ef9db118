"""Verifies what comes with an approval: outside any transaction, after a cheap look whether it could count at all.

A challenge is taken before anything is judged, and that is committed: one that was shown once is gone, whether what
came with it was right or wrong. What was right becomes a proof, and the door checks that it is still current.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from quorate.app import lockout
from quorate.app.actor import Actor
from quorate.app.gate import whence
from quorate.app.limits import Attempts
from quorate.app.lockout import Lockout
from quorate.app.seal import Sealer
from quorate.app.verify import Passwords
from quorate.app.verify.assertions import KeyRules, Passkey, Shown, U2f, Wrong, check_assertion, check_u2f
from quorate.app.verify.jwk import base64url
from quorate.app.verify.totp import period_shown
from quorate.domain import refusals as no
from quorate.domain.evidence import Proof, Signed
from quorate.store import challenges, credentials, signin, tenants
from quorate.store import factors as stored_factors
from quorate.store.challenges import Challenge
from quorate.store.credentials import StoredCredential
from quorate.store.database import Database
from quorate.store.signin import Account
from quorate.store.tx import Tx

__all__ = ["NO_EVIDENCE", "Evidence", "U2f", "Verifier", "key_rules", "passkeys"]

DECIDE: Final = "decide"
SHOW: Final = "show"
LIFE: Final = timedelta(minutes=5)


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


class Totp(Struct, frozen=True):
    """The app that shows somebody's one-time codes: our credential, its secret, and the last period that was used."""

    credential: UUID
    secret: bytes
    last_period: int

    def __repr__(self) -> str:
        return f"Totp(credential={self.credential})"


class Factors(Struct, frozen=True):
    """The second factors that somebody has registered. `rules` None: the tenant takes no security keys."""

    rules: KeyRules | None
    keys: Sequence[Passkey]
    totp: Totp | None


class ToSign(Struct, frozen=True, kw_only=True):
    """What a security key is to sign, and which keys may: good once, for so long.

    `key_ids` are the keys' own ids. `app_id` stands for `rp_id` where a key was registered for U2F.
    """

    challenge: bytes
    rp_id: str
    app_id: str
    key_ids: tuple[bytes, ...]
    demands_user: bool
    takes_u2f: bool
    timeout_s: int


_NONE: Final = Factors(None, (), None)


class Verifier:
    """Verifies evidence, counts what is wrong, and locks out whoever is wrong too often."""

    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        attempts: Attempts,
        seal: Sealer,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._db, self._passwords, self._attempts = db, passwords, attempts
        self._seal, self._clock, self._lockout = seal, clock, Lockout(db, new_id)

    async def verify(self, actor: Actor, evidence: Evidence, request: UUID, step: int) -> Proof:
        """Verify what came with an approval of a request's step, by somebody who may decide it.

        Raises: TooOften; LockedOut; EvidenceWrong; BadReference: there are several second factors.
        """
        if len(evidence.factors) > 1:
            raise no.BadReference("evidence", "give one second factor, not several")
        self._attempts.take("evidence", str(actor.principal), actor.how.address)
        at, tenant, asked = self._clock(), actor.tenant, None
        async with self._db.tx({tenant}) as tx:
            account = await signin.account(tx, tenant, actor.principal, at)
            factors = await factors_of(tx, self._seal, tenant, actor.principal) if evidence.factors else _NONE
            if evidence.webauthn is not None or evidence.u2f is not None:
                asked = await challenges.take(tx, tenant, actor.principal, DECIDE, request, at)
            locked = await lockout.remaining(tx, tenant, "evidence", actor.principal, at)
        if locked is not None:
            raise locked

        is_right = evidence.password is None or await self._is_password(account, evidence.password)
        wrong_factor, shown = None, None
        signed = _signed(asked, evidence, step)
        for name in evidence.factors:
            try:
                shown = check_factor(evidence, factors, signed, at)
            except Wrong:
                wrong_factor = name
        await self._count(actor, right=is_right and wrong_factor is None)
        if not is_right or wrong_factor is not None:
            raise no.EvidenceWrong(not is_right, wrong_factor)
        stamp = account.password_stamp if account is not None and evidence.password is not None else None
        if shown is None:
            return Proof(stamp)
        return Proof(stamp, shown.credential, shown.count, signed)

    async def ask_key(self, actor: Actor) -> ToSign:
        """Ask for a signature of somebody's key, for no decision; it voids the one before.

        Raises: TooOften; CannotChallenge.
        """
        self._attempts.take("challenge", str(actor.principal), actor.how.address)
        at, signed = self._clock(), Signed(secrets.token_bytes(32), sha256(actor.principal.bytes).digest())
        async with self._db.tx({actor.tenant}) as tx:
            factors = await factors_of(tx, self._seal, actor.tenant, actor.principal)
            if factors.rules is None:
                raise no.CannotChallenge("unset" if factors.keys else "no_key")
            asked = Challenge(
                principal=actor.principal,
                purpose=SHOW,
                subject=actor.principal,
                random=signed.random,
                snapshot=signed.snapshot,
                expires_at=at + LIFE,
            )
            await challenges.put(tx, actor.tenant, asked, at)
        return to_sign(signed, factors.rules, factors.keys, LIFE)

    async def demand_factor(self, actor: Actor, evidence: Evidence) -> None:
        """Have somebody show a code of their app, or what their key was asked to sign, for no decision.

        Either is used up. Raises: TooOften; LockedOut; EvidenceWrong.
        """
        self._attempts.take("evidence", str(actor.principal), actor.how.address)
        at, asked = self._clock(), None
        async with self._db.tx({actor.tenant}) as tx:
            if evidence.webauthn is not None:
                asked = await challenges.take(tx, actor.tenant, actor.principal, SHOW, actor.principal, at)
            locked = await lockout.remaining(tx, actor.tenant, "evidence", actor.principal, at)
        if locked is not None:
            raise locked
        signed = Signed(asked.random, asked.snapshot) if asked is not None else None
        async with self._db.tx({actor.tenant}) as tx:
            factors = await factors_of(tx, self._seal, actor.tenant, actor.principal)
            try:
                shown = check_factor(evidence, factors, signed, at)
                right = await stored_factors.advance(tx, actor.tenant, shown.credential, shown.count, at)
            except Wrong:
                right = False
        await self._count(actor, right=right)
        if not right:
            raise no.EvidenceWrong(password=False, factor=evidence.factors[0])

    async def demand_password(self, actor: Actor, password: str | None) -> None:
        """Let only the person themselves go on, where they have a password: not whoever found their session.

        Raises: TooOften; LockedOut; EvidenceMissing, EvidenceWrong.
        """
        async with self._db.tx({actor.tenant}) as tx:
            account = await signin.account(tx, actor.tenant, actor.principal, self._clock())
            locked = await lockout.remaining(tx, actor.tenant, "evidence", actor.principal, self._clock())
        if account is not None and account.password_hash is None:
            return
        if password is None:
            raise no.EvidenceMissing(password=True, second_factor=False)
        self._attempts.take("evidence", str(actor.principal), actor.how.address)
        if locked is not None:
            raise locked
        is_right = await self._is_password(account, password)
        await self._count(actor, right=is_right)
        if not is_right:
            raise no.EvidenceWrong(password=True, factor=None)

    async def judged(self, actor: Actor, factor: str, *, right: bool) -> None:
        """Count what was shown of a new factor, like evidence. Raises: TooOften; LockedOut; EvidenceWrong."""
        self._attempts.take("evidence", str(actor.principal), actor.how.address)
        async with self._db.tx({actor.tenant}) as tx:
            locked = await lockout.remaining(tx, actor.tenant, "evidence", actor.principal, self._clock())
        if locked is not None:
            raise locked
        await self._count(actor, right=right)
        if not right:
            raise no.EvidenceWrong(password=False, factor=factor)

    async def _is_password(self, account: Account | None, password: str) -> bool:
        verdict = await self._passwords.verify(account.password_hash if account else None, password)
        return account is not None and verdict.right

    async def _count(self, actor: Actor, *, right: bool) -> None:
        at, origin = self._clock(), whence(actor)
        await self._lockout.count(actor.tenant, "evidence", actor.principal, at, right=right, origin=origin)


async def factors_of(tx: Tx, seal: Sealer, tenant: UUID, principal: UUID) -> Factors:
    """Read the second factors that somebody has registered."""
    keys = passkeys(await credentials.passkeys_of(tx, tenant, principal))
    stored = await stored_factors.totp_of(tx, tenant, principal)
    totp = None
    if stored is not None:
        secret = seal.open(stored.sealed, tenant=tenant, purpose=totp_purpose(principal))
        totp = Totp(stored.id, secret, stored.last_period)
    return Factors(await key_rules(tx, tenant) if keys else None, keys, totp)


def totp_purpose(principal: UUID) -> str:
    """Say what the secret of somebody's app is sealed for."""
    return f"totp of {principal}"


def check_factor(evidence: Evidence, factors: Factors, asked: Signed | None, at: datetime) -> Shown:
    """Check the one second factor that came. `asked` is what a key was to sign, if anything. Raises: Wrong."""
    if evidence.totp is not None:
        if factors.totp is None:
            raise Wrong("no app is registered")
        period = period_shown(factors.totp.secret, evidence.totp, at, factors.totp.last_period)
        if period is None:
            raise Wrong("not a code of now, or used already")
        return Shown(factors.totp.credential, period)
    if asked is None or factors.rules is None:
        raise Wrong("nothing was asked, or something else, or too long ago")
    if evidence.webauthn is not None:
        return check_assertion(evidence.webauthn, challenge_of(asked), factors.keys, factors.rules)
    assert evidence.u2f is not None
    return check_u2f(evidence.u2f, challenge_of(asked), factors.keys, factors.rules)


def _signed(asked: Challenge | None, evidence: Evidence, step: int) -> Signed | None:
    """Give what was to be signed, if it was asked for this step and in this protocol."""
    protocol = "fido2" if evidence.webauthn is not None else "u2f"
    if asked is None or (asked.step, asked.protocol) != (step, protocol):
        return None
    return Signed(asked.random, asked.snapshot)


def to_sign(asked: Signed, rules: KeyRules, keys: Iterable[Passkey], life: timedelta) -> ToSign:
    """Say what is to be signed, for whom, and with which keys."""
    return ToSign(
        challenge=challenge_of(asked),
        rp_id=rules.rp_id,
        app_id=rules.app_id,
        key_ids=tuple(key.id for key in keys),
        demands_user=rules.demands_user,
        takes_u2f=rules.takes_u2f,
        timeout_s=int(life.total_seconds()),
    )


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
