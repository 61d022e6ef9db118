"""Signing in: with a password, with a refresh token, with client credentials.

A login that does not exist and a wrong password get the same answer after the same work. That an account
is suspended is said only to who knows its password.
"""

import hmac
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from quorate.app import lockout
from quorate.app.actor import Actor
from quorate.app.credentials import is_alive, is_usable
from quorate.app.evidence import ToSign
from quorate.app.gate import Failed, Whence, tell_of, whence
from quorate.app.keys import mint_secret, secret_hash
from quorate.app.limits import Attempts
from quorate.app.lockout import Lockout
from quorate.app.second_step import SecondFactor, SecondStep
from quorate.app.tokens import Issued, Tokens
from quorate.app.verify import Passwords
from quorate.domain.permissions import KNOWN, allows
from quorate.domain.refusals import Refusal
from quorate.store import signin as store
from quorate.store.database import Database
from quorate.store.signin import Account
from quorate.store.tx import Tx

log = logging.getLogger(__name__)

REMEMBERED = 4  # times the usual life of a refresh token, for who asks to be remembered


@dataclass(eq=False)
class InvalidCredentials(Refusal):
    """The login and the password do not go together."""

    code = "invalid_credentials"


@dataclass(eq=False)
class InvalidClient(Refusal):
    """The client id and the secret do not go together, or do no longer count."""

    code = "invalid_client"


@dataclass(eq=False)
class InvalidScope(Refusal):
    """The client asked for a permission it does not hold."""

    code = "invalid_scope"


@dataclass(eq=False)
class AccountSuspended(Refusal):
    """The password is right, but the account is suspended."""

    code = "account_suspended"


@dataclass(eq=False)
class AccountNotVerified(Refusal):
    """The password is right, but the account is not active yet."""

    code = "account_not_verified"


@dataclass(eq=False)
class TenantNotFound(Refusal):
    """No such tenant; or none was named and there is not exactly one."""

    code = "tenant_not_found"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in gives. The secrets are kept out of its repr."""

    account: Account
    access: Issued
    identity: Issued
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientToken:
    """What client credentials give. `scope` is what the client may do, whatever it asked for."""

    access: Issued
    tenant: UUID
    slug: str
    scope: Sequence[str]
    user: UUID | None  # Whom it acts as; None: it is a program's own.


@dataclass(frozen=True, slots=True)
class Halfway:
    """The password was right, and a second factor is wanted: with this token, once, within five minutes.

    `to_sign`: what a security key could sign for it.
    """

    token: str = field(repr=False)
    to_sign: ToSign | None


class SignIn:
    """The use cases.

    Args:
        attempts: counted first, before anything is looked up.
        new_id: mints ids of sessions.
        region: the `region` claim.
        refresh_life: how long a refresh token counts; each use starts it anew.
        forget: told the tenant whenever a session ends, so that its tokens die at once here.
    """

    def __init__(
        self,
        db: Database,
        tokens: Tokens,
        passwords: Passwords,
        attempts: Attempts,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        region: str,
        refresh_life: timedelta,
        forget: Callable[[UUID], None],
        second: SecondStep,
    ) -> None:
        self._db = db
        self._second = second
        self._lockout = Lockout(db, new_id)
        self._tokens = tokens
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock
        self._new_id = new_id
        self._region = region
        self._refresh_life = refresh_life
        self._forget = forget

    async def login(
        self,
        tenant: UUID | None,
        login: str,
        password: str,
        *,
        address: str,
        remember: bool = False,
        surface: str | None = None,
        agent: str | None = None,
    ) -> SignedIn | Halfway:
        """Sign a user in by password, or halfway, if more is wanted of them.

        Args:
            tenant: None where it can be inferred, because there is only one.
            surface, agent: as `Whence` has them.

        Raises:
            TooOften, TenantNotFound, LockedOut, InvalidCredentials: in this order;
            AccountSuspended, AccountNotVerified: only after the right password.
        """
        self._attempts.take("sign-in", login, address)
        origin = Whence(address, surface, agent)
        tenant = tenant or await store.only_tenant(self._db)
        if tenant is None:
            raise TenantNotFound
        at = self._clock()
        async with self._db.tx({tenant}) as tx:
            if await store.slug(tx, tenant) is None:
                raise TenantNotFound
            account = await store.account_by_login(tx, tenant, login, at)
            subject = account.id if account else lockout.nobody(login)
            locked = await lockout.remaining(tx, tenant, "sign-in", subject, at)
        if locked is not None:
            raise locked
        verdict = await self._passwords.verify(account.password_hash if account else None, password)
        seen = origin if account else None
        await self._lockout.count(tenant, "sign-in", subject, at, right=verdict.right, origin=seen, failed="password")
        if account is None or not verdict.right:
            log.info("sign-in refused", extra={"tenant": str(tenant), "address": address})
            raise InvalidCredentials
        await demand_active(self._db, account, at, origin, self._new_id)
        async with self._db.tx({tenant}) as tx:
            if await self._second.is_wanted(tx, account):
                return await self._halfway(tx, account)
        return await self._open(account, origin, rehashed=verdict.rehashed, remember=remember)

    async def by_provider(self, account: Account, stamp: UUID, issuer: str, origin: Whence) -> SignedIn:
        """Sign in whom a provider has proved to be this account's holder. A second factor is the provider's affair.

        Args:
            stamp: of the provider as it was asked; what is opened ends when it is changed.

        Raises: InvalidCredentials: the account may not act. Who can sign in elsewhere only is told no more.
        """
        try:
            await demand_active(self._db, account, self._clock(), origin, self._new_id)
        except (AccountSuspended, AccountNotVerified):
            raise InvalidCredentials from None
        return await self._open(account, origin, provider=(stamp, issuer))

    async def show_factor(
        self,
        token: str,
        shown: SecondFactor,
        *,
        address: str,
        remember: bool = False,
        surface: str | None = None,
        agent: str | None = None,
    ) -> SignedIn:
        """Go the other half of the way. The token counts once, whatever comes of it.

        Raises:
            TooOften, LockedOut;
            InvalidCredentials: token or factor is wrong, was used before, or comes too late.
        """
        tenant, principal, subject = _halfway_named(token)
        origin = Whence(address, surface, agent)
        account = await self._second.show(tenant, principal, subject, token, shown, origin=origin)
        if account is None:
            log.info("second step refused", extra={"tenant": str(tenant), "address": address})
            raise InvalidCredentials
        return await self._open(account, origin, remember=remember)

    async def _halfway(self, tx: Tx, account: Account) -> Halfway:
        subject = self._new_id()
        token = f"qm_{account.tenant.hex}_{account.id.hex}_{subject.hex}_{mint_secret()}"
        return Halfway(token, await self._second.ask(tx, account, subject, token))

    async def refresh(self, refresh_token: str, *, address: str) -> SignedIn:
        """Exchange a refresh token for new tokens; it counts once.

        One that was exchanged before ends the session: somebody has a copy (RFC 9700 §4.14.2).

        Raises:
            TooOften, InvalidCredentials.
        """
        tenant, session_id, secret = _parts(refresh_token)
        self._attempts.take("refresh", session_id.hex, address)
        at, given, following = self._clock(), secret_hash(secret), mint_secret()
        async with self._db.tx({tenant}) as tx:
            session = await store.lock_session(tx, tenant, session_id)
            account = await store.account(tx, tenant, session.principal, at) if session else None
            fits = session is not None and hmac.compare_digest(session.secret_hash, given)
            if session is not None and not fits and hmac.compare_digest(session.previous_hash or b"", given):
                log.warning("refresh token used twice", extra={"tenant": str(tenant), "session": str(session_id)})
                await store.end_session(tx, tenant, session_id, at)
            counts = fits and account is not None and account.active and session and is_alive(session, account, at)
            if counts and session:
                expires_at = at + max(self._refresh_life, session.expires_at - at)
                await store.renew_session(tx, tenant, session_id, secret_hash(following), expires_at)
        if not counts or account is None:
            self._forget(tenant)
            raise InvalidCredentials
        await self._tokens.look()
        return self._signed_in(account, session_id, following)

    async def logout(self, actor: Actor, session: UUID) -> None:
        """End a session of the caller's.

        Its refresh token, and the access tokens it gave, count no more (elsewhere seconds later).
        """
        async with self._db.tx({actor.tenant}) as tx:
            await end_session(tx, actor, session, self._clock(), self._new_id)
        self._forget(actor.tenant)

    async def client(self, client_id: str, secret: str, scope: str, *, address: str) -> ClientToken:
        """Give a token for client credentials (RFC 6749 §4.4).

        It carries all the client may do. Asking for less is ignored, as §3.3 allows, and the answer says so.

        Raises:
            TooOften, InvalidClient;
            InvalidScope: it asked for a permission of ours that it does not hold.
        """
        self._attempts.take("token", client_id, address)
        at = self._clock()
        found = [
            one
            for one in await store.credentials_by_hash(self._db, secret_hash(secret))
            if one.kind == "client" and hmac.compare_digest((one.client_id or "").encode(), client_id.encode())
        ]
        live = [one for one in found if is_usable(one, at)]
        if len(live) != 1:
            raise InvalidClient
        client = live[0]
        async with self._db.tx({client.tenant}) as tx:
            account = await store.account(tx, client.tenant, client.principal, self._clock())
            slug = await store.slug(tx, client.tenant)
            await store.used(tx, [(client.tenant, client.id)], at)
        if account is None or slug is None or not account.active:
            raise InvalidClient
        if any(word in KNOWN and not allows(account.permissions, word) for word in scope.split()):
            raise InvalidScope
        await self._tokens.look()
        access = self._tokens.access(self._claims(account), credential=client.id)
        user = None if account.is_service else account.id
        return ClientToken(access, client.tenant, slug, sorted(account.permissions), user)

    async def _open(
        self,
        account: Account,
        origin: Whence,
        *,
        rehashed: str | None = None,
        remember: bool = False,
        provider: tuple[UUID, str] | None = None,
    ) -> SignedIn:
        """Open a session. `provider`: the stamp and the issuer of the one that opens it; None: the password does."""
        at, session_id, secret = self._clock(), self._new_id(), mint_secret()
        life = self._refresh_life * (REMEMBERED if remember else 1)
        stamp, issuer = provider or (None, None)
        password = account.password_stamp if provider is None else None
        assert provider is not None or password is not None, "the database lets no password be without a stamp"
        session = store.Session(
            session_id, account.id, secret_hash(secret), None, password, at, at + life, provider_stamp=stamp
        )
        facts = {"issuer": issuer} if issuer else None
        async with self._db.tx({account.tenant}) as tx:
            await store.open_session(tx, account.tenant, session)
            await tell_of(
                tx,
                account.tenant,
                account.id,
                "auth.signed_in",
                at,
                origin,
                self._new_id,
                session=session_id,
                facts=facts,
            )
            if rehashed is not None:
                assert account.password_hash is not None, "it was right a moment ago"
                await store.rehash(tx, account.tenant, account.id, account.password_hash, rehashed)
        await self._tokens.look()
        return self._signed_in(account, session_id, secret)

    def _signed_in(self, account: Account, session: UUID, secret: str) -> SignedIn:
        claims = self._claims(account)
        return SignedIn(
            account,
            self._tokens.access(claims, session=session),
            self._tokens.identity(claims),
            f"qr_{account.tenant.hex}_{session.hex}_{secret}",
        )

    def _claims(self, account: Account) -> dict[str, Any]:
        """Information for whoever holds the token (native contract b.1); never read back for authority."""
        return {
            "sub": str(account.id),
            "tenant_id": str(account.tenant),
            "email": account.email or "",
            "display_name": account.name,
            "roles": list(account.roles),
            "permissions": sorted(account.permissions),
            "region": self._region,
        }


async def demand_active(
    db: Database, account: Account, at: datetime, origin: Whence, new_id: Callable[[], UUID]
) -> None:
    """Let in only whose account may act. To be asked after the right password.

    Raises: AccountSuspended, AccountNotVerified.
    """
    if account.active:
        return
    why: Failed = "suspended" if account.status == "suspended" else "inactive"
    async with db.tx({account.tenant}) as tx:
        await tell_of(tx, account.tenant, account.id, "auth.failed", at, origin, new_id, facts={"why": why})
    raise AccountSuspended if why == "suspended" else AccountNotVerified


async def end_session(tx: Tx, actor: Actor, session: UUID, at: datetime, new_id: Callable[[], UUID]) -> None:
    """End a session of the caller's, and tell that a person has signed out."""
    await store.end_session(tx, actor.tenant, session, at)
    if not actor.is_service:
        origin = whence(actor)
        await tell_of(tx, actor.tenant, actor.principal, "auth.signed_out", at, origin, new_id, session=session)


def _halfway_named(token: str) -> tuple[UUID, UUID, UUID]:
    """Read which tenant, user and attempt a token claims to be of. Raises: InvalidCredentials."""
    try:
        mark, tenant, principal, subject, _ = token.split("_", 4)
        if mark != "qm":
            raise ValueError(mark)
        return UUID(tenant), UUID(principal), UUID(subject)
    except ValueError:
        raise InvalidCredentials from None


def _parts(refresh_token: str) -> tuple[UUID, UUID, str]:
    try:
        mark, tenant, session, secret = refresh_token.split("_", 3)
        if mark != "qr" or not secret.isascii():
            raise ValueError(mark)
        return UUID(tenant), UUID(session), secret
    except ValueError:
        raise InvalidCredentials from None
