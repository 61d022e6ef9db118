"""The second step of a sign-in: what it is asked for after the right password, and showing it.

It is asked of whoever has registered an app for one-time codes and, where the tenant demands passkeys to sign in,
of whoever has one. It is asked once: whatever comes of the try, the next begins with the password again.
"""

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from msgspec import Struct

from quorate.app import lockout
from quorate.app.evidence import Evidence, ToSign, check_factor, factors_of, to_sign
from quorate.app.factors import code_hash
from quorate.app.gate import Whence
from quorate.app.limits import Attempts
from quorate.app.lockout import Lockout
from quorate.app.seal import Sealer
from quorate.app.verify.assertions import Wrong
from quorate.domain.evidence import Signed
from quorate.store import challenges, signin
from quorate.store import factors as store
from quorate.store.challenges import Challenge
from quorate.store.database import Database
from quorate.store.signin import Account
from quorate.store.tx import Tx

LIFE: Final = timedelta(minutes=5)
_SIGN_IN: Final = "sign-in"


class SecondFactor(Struct, frozen=True):
    """What is shown: one of a code of the app, an assertion of a key, and a recovery code."""

    totp: str | None = None
    webauthn: dict[str, object] | None = None
    recovery_code: str | None = None

    @property
    def count(self) -> int:
        return sum(one is not None for one in (self.totp, self.webauthn, self.recovery_code))

    def __repr__(self) -> str:
        return "SecondFactor(…)"


class SecondStep:
    """The second half of signing in, whichever surface the first half came from.

    `subject` names the attempt, `token` is the secret that the first half gave for it.
    """

    def __init__(
        self,
        db: Database,
        attempts: Attempts,
        seal: Sealer,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._db, self._attempts, self._seal, self._clock = db, attempts, seal, clock
        self._lockout = Lockout(db, new_id)

    async def is_wanted(self, tx: Tx, account: Account) -> bool:
        """Say whether somebody whose password was right must show more."""
        factors = await factors_of(tx, self._seal, account.tenant, account.id)
        demands_key = factors.rules is not None and factors.rules.to_sign_in and bool(factors.keys)
        return factors.totp is not None or demands_key

    async def ask(self, tx: Tx, account: Account, subject: UUID, token: str) -> ToSign | None:
        """Begin the second half. Answers what a key could sign; None if there is no key that could."""
        at, factors = self._clock(), await factors_of(tx, self._seal, account.tenant, account.id)
        asked = Signed(secrets.token_bytes(32), _bound(token, account))
        pending = Challenge(
            principal=account.id,
            purpose=_SIGN_IN,
            subject=subject,
            random=asked.random,
            snapshot=asked.snapshot,
            expires_at=at + LIFE,
        )
        await challenges.put(tx, account.tenant, pending, at)
        if factors.rules is None:
            return None
        return to_sign(asked, factors.rules, factors.keys, LIFE)

    async def show(
        self, tenant: UUID, principal: UUID, subject: UUID, token: str, shown: SecondFactor, *, origin: Whence
    ) -> Account | None:
        """Take the second half; answers whose it is, None if it was wrong, used before, or too late.

        Raises: TooOften; LockedOut.
        """
        self._attempts.take("second step", principal.hex, origin.address)
        at = self._clock()
        async with self._db.tx({tenant}) as tx:
            pending = await challenges.take(tx, tenant, principal, _SIGN_IN, subject, at)
            locked = await lockout.remaining(tx, tenant, "second-step", principal, at)
            account = await signin.account(tx, tenant, principal, at)
        if pending is None or account is None or not hmac.compare_digest(pending.snapshot, _bound(token, account)):
            return None
        if locked is not None:
            raise locked
        async with self._db.tx({tenant}) as tx:
            right = await self._is_right(tx, account, Signed(pending.random, pending.snapshot), shown, at)
        await self._lockout.count(
            tenant, "second-step", principal, at, right=right, origin=origin, failed="second-factor"
        )
        return account if right and account.active else None

    async def _is_right(self, tx: Tx, account: Account, asked: Signed, shown: SecondFactor, at: datetime) -> bool:
        if shown.count != 1:
            return False
        if shown.recovery_code is not None:
            return await store.take_code(tx, account.tenant, account.id, code_hash(shown.recovery_code))
        factors = await factors_of(tx, self._seal, account.tenant, account.id)
        try:
            found = check_factor(Evidence(webauthn=shown.webauthn, totp=shown.totp), factors, asked, at)
        except Wrong:
            return False
        return await store.advance(tx, account.tenant, found.credential, found.count, at)


def _bound(token: str, account: Account) -> bytes:
    """Bind what is asked to the token it was asked with, and to the password that was right."""
    return sha256(f"{token} {account.password_stamp}".encode()).digest()
