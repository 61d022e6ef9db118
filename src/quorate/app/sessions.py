"""Sessions that are their own credential: an opaque token, prolonged and ended under the same token.

For surfaces whose clients sign in first and prolong what they got. A token is found by its SHA-256; what its holder
may do is read from the directory on every call, as with any credential.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.app import lockout
from quorate.app.actor import Actor
from quorate.app.credentials import program_credential
from quorate.app.evidence import ToSign
from quorate.app.gate import Whence, tell_of
from quorate.app.keys import mint_session, secret_hash, session_named
from quorate.app.limits import Attempts
from quorate.app.lockout import Lockout, WrongNames
from quorate.app.second_step import SecondFactor, SecondStep
from quorate.app.signin import InvalidCredentials, TenantNotFound, demand_active, end_session
from quorate.app.verify import Passwords
from quorate.domain.refusals import Refusal
from quorate.store import signin as store
from quorate.store.database import Database
from quorate.store.signin import Account, Credential, Session

MOST_TENANTS: Final = 3  # with the same login; each costs a slow look at the password


@dataclass(eq=False)
class NoSession(Refusal):
    """The call was not made in a session, so there is none to prolong, end or open anew."""

    code = "no_session"


class Opened(Struct, frozen=True):
    """A session that was opened. The token stays out of its repr.

    `awaits_factor`: it counts only once a second factor is shown, within five minutes; `to_sign` is what a security
    key could sign for that.
    """

    account: UUID
    tenant: UUID
    token: str
    expires_in_s: int
    awaits_factor: bool = False
    to_sign: ToSign | None = None

    def __repr__(self) -> str:
        return f"Opened(account={self.account})"


class Sessions:
    """The use cases.

    Args:
        life: how long a session lasts; prolonging it starts that anew.
        forget: told whose session ended or was prolonged.
    """

    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        attempts: Attempts,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        life: timedelta,
        forget: Callable[[UUID, UUID], None],
        second: SecondStep,
    ) -> None:
        self._second, self._lockout, self._wrong = second, Lockout(db, new_id), WrongNames()
        self._db, self._passwords, self._attempts = db, passwords, attempts
        self._clock, self._new_id, self._life, self._forget = clock, new_id, life, forget

    async def by_password(
        self,
        tenant: UUID | None,
        login: str,
        password: str,
        *,
        address: str,
        surface: str | None = None,
        agent: str | None = None,
    ) -> Opened:
        """Open a session for a user; it may wait for a second factor, see `show_factor`.

        After five wrong passwords in a row no password is right for five minutes. It is said of a login that was
        tried five times here, whether or not there is such a login in any tenant.

        Args:
            tenant: None where the caller had no place to name one: the login and the password find it.
            surface, agent: as `Whence` has them.

        Raises:
            TooOften, LockedOut, InvalidCredentials: in this order;
            TenantNotFound: the login and the password fit in several tenants, and one must be named;
            AccountSuspended, AccountNotVerified: only after the right password.
        """
        self._attempts.take("sign-in", login, address)
        at, origin, name = self._clock(), Whence(address, surface, agent), f"{tenant} {login}"
        self._wrong.demand_free(name, at)
        tenants = [tenant] if tenant else await store.tenants_of_login(self._db, login, MOST_TENANTS)
        accounts = [await self._account(one, login, at) for one in tenants]
        fitting = await self._fitting([one for one in accounts if one is not None], password, origin)
        self._wrong.count(name, at, right=bool(fitting))
        if not fitting:
            raise InvalidCredentials
        if len(fitting) > 1:
            raise TenantNotFound
        [account] = fitting
        await demand_active(self._db, account, at, origin, self._new_id)
        return await self._open(account, None, origin)

    async def show_factor(
        self,
        token: str,
        shown: SecondFactor,
        *,
        address: str,
        surface: str | None = None,
        agent: str | None = None,
    ) -> None:
        """Let a session count that waits for a second factor. A wrong one ends it.

        Raises: TooOften; LockedOut; InvalidCredentials: the factor is wrong or too late, or nothing waits for one.
        """
        named = session_named(token)
        if named is None:
            raise InvalidCredentials
        tenant, id = named
        async with self._db.tx({tenant}) as tx:
            session = await store.session(tx, tenant, id)
        if session is None or not session.awaits_factor or session.ended_at is not None:
            raise InvalidCredentials
        if not hmac.compare_digest(session.secret_hash, secret_hash(token)):
            raise InvalidCredentials
        at, origin = self._clock(), Whence(address, surface, agent)
        account = await self._second.show(tenant, session.principal, id, token, shown, origin=origin)
        async with self._db.tx({tenant}) as tx:
            if account is not None:
                await store.factor_shown(tx, tenant, id)
                await tell_of(tx, tenant, account.id, "auth.signed_in", at, origin, self._new_id, session=id)
            else:
                await store.end_session(tx, tenant, id, at)
        self._forget(tenant, session.principal)
        if account is None:
            raise InvalidCredentials

    async def by_secret(self, service: UUID, secret: str, *, address: str) -> Opened:
        """Open a session for a service. Raises: TooOften, InvalidCredentials."""
        self._attempts.take("token", str(service), address)
        return await self._of_program(await program_credential(self._db, secret, self._clock(), of=service))

    async def by_name(self, tenant: UUID, name: str, secret: str, *, address: str) -> Opened:
        """Open a session for the service of this name. Raises: TooOften, InvalidCredentials."""
        self._attempts.take("token", name, address)
        at = self._clock()
        for one in await store.credentials_by_hash(self._db, secret_hash(secret)):
            if one.tenant == tenant:
                account = await self._by_id(one.tenant, one.principal, at)
                if account is not None and account.name == name:
                    return await self._of_program(await program_credential(self._db, secret, at, of=one.principal))
        raise InvalidCredentials

    async def again(self, actor: Actor) -> Opened:
        """Open another session for the service that calls. Raises: NoSession: the caller is no service."""
        credential = actor.how.credential
        if actor.how.kind == "session" and credential is not None:
            async with self._db.tx({actor.tenant}) as tx:
                session = await store.session(tx, actor.tenant, credential)
            credential = session.credential if session else None
        account = await self._by_id(actor.tenant, actor.principal, self._clock())
        if not actor.is_service or credential is None or account is None:
            raise NoSession
        return await self._open(account, credential, None)

    async def prolong(self, actor: Actor) -> None:
        """Let the session that a call was made in last its full life from now. Raises: NoSession."""
        session = _session_of(actor)
        async with self._db.tx({actor.tenant}) as tx:
            await store.prolong_session(tx, actor.tenant, session, self._clock() + self._life)
        self._forget(actor.tenant, actor.principal)

    async def end(self, actor: Actor) -> None:
        """End the session that a call was made in. Others of the same account go on. Raises: NoSession."""
        session = _session_of(actor)
        async with self._db.tx({actor.tenant}) as tx:
            await end_session(tx, actor, session, self._clock(), self._new_id)
        self._forget(actor.tenant, actor.principal)

    async def _fitting(self, accounts: Sequence[Account], password: str, origin: Whence) -> list[Account]:
        """Pick the accounts this is the password of. Nobody's costs what a wrong password costs, and so does a locked
        one's."""
        at = self._clock()
        free = [not await self._is_locked(one, at) for one in accounts]
        hashes = [one.password_hash if is_free else None for one, is_free in zip(accounts, free, strict=True)] or [None]
        verdicts = [await self._passwords.verify(stored, password) for stored in hashes]
        for account, is_free, verdict in zip(accounts, free, verdicts, strict=False):
            if is_free:
                await self._lockout.count(
                    account.tenant, "sign-in", account.id, at, right=verdict.right, origin=origin, failed="password"
                )
        return [account for account, verdict in zip(accounts, verdicts, strict=False) if verdict.right]

    async def _is_locked(self, account: Account, at: datetime) -> bool:
        async with self._db.tx({account.tenant}) as tx:
            return await lockout.remaining(tx, account.tenant, "sign-in", account.id, at) is not None

    async def _account(self, tenant: UUID, login: str, at: datetime) -> Account | None:
        async with self._db.tx({tenant}) as tx:
            return await store.account_by_login(tx, tenant, login, at)

    async def _by_id(self, tenant: UUID, id: UUID, at: datetime) -> Account | None:
        async with self._db.tx({tenant}) as tx:
            return await store.account(tx, tenant, id, at)

    async def _of_program(self, found: Credential | None) -> Opened:
        account = await self._by_id(found.tenant, found.principal, self._clock()) if found else None
        if found is None or account is None or not account.active or not account.is_service:
            raise InvalidCredentials
        return await self._open(account, found.id, None)

    async def _open(self, account: Account, credential: UUID | None, origin: Whence | None) -> Opened:
        """Open a session. `origin`: of a person's; what programs open for themselves is not told."""
        at, id = self._clock(), self._new_id()
        token = mint_session(account.tenant, id)
        session = Session(
            id,
            account.id,
            secret_hash(token),
            None,
            None if credential else account.password_stamp,
            at,
            at + self._life,
            credential=credential,
        )
        to_sign = None
        async with self._db.tx({account.tenant}) as tx:
            waits = credential is None and await self._second.is_wanted(tx, account)
            await store.open_session(tx, account.tenant, replace(session, awaits_factor=waits))
            if credential is not None:
                await store.used(tx, [(account.tenant, credential)], at)
            if waits:
                to_sign = await self._second.ask(tx, account, id, token)
            elif origin is not None:
                await tell_of(tx, account.tenant, account.id, "auth.signed_in", at, origin, self._new_id, session=id)
        return Opened(account.id, account.tenant, token, int(self._life.total_seconds()), waits, to_sign)


def _session_of(actor: Actor) -> UUID:
    if actor.how.kind != "session" or actor.how.credential is None:
        raise NoSession
    return actor.how.credential
