"""Turns a credential into an actor, whichever way a surface took it out of the call.

What was found is remembered for seconds, since every call asks. A revoked key, a suspended user or a
changed role counts at once in the process that did it (it calls `forget`), and elsewhere when that
process notices that the tenant's directory changed (`notice`), at most `TTL_S` later.
"""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from quorate.app.actor import Actor, CredentialKind, How, NotSignedIn
from quorate.app.keys import secret_hash, session_named
from quorate.app.lanes import Lane, each_its_own
from quorate.app.tokens import Claims, Tokens
from quorate.store import signin as store
from quorate.store.database import Database
from quorate.store.tenants import directory_versions

TTL_S = 5.0
MOST_REMEMBERED = 10_000


Foreign = Callable[[str], Awaitable[tuple[store.Account, datetime]]]
"""Finds whose a token is that somebody else signed, and until when it counts. Raises `NotSignedIn`."""


@dataclass(frozen=True, slots=True)
class _Known:
    account: store.Account
    credential: UUID | None
    kind: CredentialKind
    expires_at: datetime | None
    until: float  # monotonic seconds
    stamp: int  # of the tenant when this was read


class Credentials:
    """Looks credentials up, in the database or in memory.

    Args:
        foreign: reads tokens that are not ours; None: there are no others.
        now: monotonic seconds, for what is remembered; `clock` judges expiry.
    """

    def __init__(
        self,
        db: Database,
        tokens: Tokens,
        *,
        clock: Callable[[], datetime],
        foreign: Foreign | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._foreign = foreign
        self._tokens = tokens
        self._clock = clock
        self._now = now
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._of_account: dict[tuple[UUID, UUID], set[bytes]] = {}
        self._stamps: dict[UUID, int] = {}
        self._versions: dict[UUID, int] = {}
        self._forgettings = 0
        self._keys = Lane(each_its_own(self._find_keys), at_once=2)

    async def actor(self, credential: str, *, surface: str, address: str) -> Actor:
        """Sign in by an API key, an access token of ours, a session's own token, or a token of a tenant's provider.

        Raises:
            NotSignedIn: it is unknown, expired or revoked, or its holder is suspended or deleted.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        return await self._actor(digest, lambda: self._by_bearer(credential, digest), surface, address)

    async def program(self, service: UUID, secret: str, *, surface: str, address: str) -> Actor:
        """Sign a service in by its id and the secret of any of its keys or clients. Raises: NotSignedIn."""
        digest = hashlib.sha256(f"{service}\0{secret}".encode()).digest()
        return await self._actor(digest, lambda: self._by_secret(service, secret), surface, address)

    async def _actor(self, digest: bytes, find: Callable[[], Awaitable[_Known]], surface: str, address: str) -> Actor:
        known = self._known.get(digest)
        if known is None or self._is_stale(known):
            known = await self._look_up(find, digest)
        if known.expires_at is not None and known.expires_at <= self._clock():
            raise NotSignedIn("expired")
        account = known.account
        return Actor(
            account.tenant,
            account.id,
            account.permissions,
            How(known.credential, known.kind, surface, address),
            account.is_service,
        )

    def forget(self, tenant: UUID) -> None:
        """Ask the directory again for this tenant: something about its people or credentials has changed."""
        self._stamps[tenant] = self._stamps.get(tenant, 0) + 1
        self._forgettings += 1

    def forget_account(self, tenant: UUID, principal: UUID) -> None:
        """Ask the directory again for one account: what it may do has changed."""
        for digest in self._of_account.pop((tenant, principal), ()):
            self._known.pop(digest, None)
        self._forgettings += 1

    def _is_stale(self, known: _Known) -> bool:
        account = known.account
        if known.expires_at is not None and known.expires_at <= self._clock():
            return True  # A session may have been prolonged elsewhere.
        if known.until <= self._now() or known.stamp != self._stamps.get(account.tenant, 0):
            return True
        return account.until is not None and account.until <= self._clock()

    async def notice(self) -> None:
        """Forget the tenants whose directory has changed, wherever that was done. To be called once a second."""
        tenants = {known.account.tenant for known in self._known.values()}
        if not tenants:
            return
        async with self._db.tx(tenants) as tx:
            versions = await directory_versions(tx)
        for tenant, version in versions.items():
            if self._versions.get(tenant) != version:
                self.forget(tenant)
        self._versions = versions

    async def _look_up(self, find: Callable[[], Awaitable[_Known]], digest: bytes) -> _Known:
        before = self._forgettings
        known = await find()
        if not known.account.active:
            raise NotSignedIn
        # Read before a change but kept after it, it would outlive the change.
        if before == self._forgettings:
            self._remember(digest, known)
        return known

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        self._of_account.setdefault((known.account.tenant, known.account.id), set()).add(digest)
        while len(self._known) > MOST_REMEMBERED:
            oldest, gone = self._known.popitem(last=False)
            account = (gone.account.tenant, gone.account.id)
            digests = self._of_account.get(account, set())
            digests.discard(oldest)
            if not digests:
                self._of_account.pop(account, None)

    async def _by_bearer(self, credential: str, digest: bytes) -> _Known:
        if _looks_like_a_token(credential):
            if self._foreign is not None and not self._tokens.claims_to_be_ours(credential):
                account, expires_at = await self._foreign(credential)
                return self._found(account, None, "token", expires_at)
            return await self._by_token(await self._tokens.verify(credential))
        named = session_named(credential)
        return await (self._by_key(digest) if named is None else self._by_session(*named, digest))

    async def _by_session(self, tenant: UUID, id: UUID, digest: bytes) -> _Known:
        at = self._clock()
        async with self._db.tx({tenant}) as tx:
            session = await store.session(tx, tenant, id)
            if session is None or not hmac.compare_digest(session.secret_hash, digest):
                raise NotSignedIn
            account = await store.account(tx, tenant, session.principal, at)
            if account is None or not is_alive(session, account, at):
                raise NotSignedIn
            if session.credential is not None:
                opener = await store.credential(tx, tenant, session.credential)
                if opener is None or not is_usable(opener, at):
                    raise NotSignedIn
        return self._found(account, id, "session", session.expires_at)

    async def _by_secret(self, service: UUID, secret: str) -> _Known:
        at = self._clock()
        found = await program_credential(self._db, secret, at, of=service)
        if found is None:
            raise NotSignedIn
        async with self._db.tx({found.tenant}) as tx:
            account = await store.account(tx, found.tenant, found.principal, at)
            await store.used(tx, [(found.tenant, found.id)], at)
        assert account is not None, "the database lets no credential be without a holder"
        if not account.is_service:
            raise NotSignedIn
        return self._found(account, found.id, "key" if found.kind == "key" else "client", found.expires_at)

    async def _by_key(self, digest: bytes) -> _Known:
        key, account = await self._keys.wait_for(digest)
        return self._found(account, key.id, "key", key.expires_at)

    async def _find_keys(self, digests: Sequence[bytes]) -> list[tuple[store.Credential, store.Account] | Exception]:
        """Look up the keys of all who wait, with their holders."""
        at = self._clock()
        keys = [_only_key(found, at) for found in await store.credentials_by_hashes(self._db, digests)]
        live = [key for key in keys if isinstance(key, store.Credential)]
        if not live:
            return [key for key in keys if isinstance(key, NotSignedIn)]
        async with self._db.tx({key.tenant for key in live}) as tx:
            accounts = await store.accounts(tx, {(key.tenant, key.principal) for key in live}, at)
            if unnoted := {(key.tenant, key.id) for key in live if store.is_long_unused(key, at)}:
                await store.used(tx, unnoted, at)
        return [
            key if isinstance(key, NotSignedIn) else (key, accounts[key.tenant, key.principal])  # It has a foreign key.
            for key in keys
        ]

    async def _by_token(self, claims: Claims) -> _Known:
        async with self._db.tx({claims.tenant}) as tx:
            account = await store.account(tx, claims.tenant, claims.subject, self._clock())
            if account is None:
                raise NotSignedIn
            if claims.session is not None:
                session = await store.session(tx, claims.tenant, claims.session)
                if session is None or not is_alive(session, account, self._clock()):
                    raise NotSignedIn
            if claims.credential is not None:
                client = await store.credential(tx, claims.tenant, claims.credential)
                if client is None or not is_usable(client, self._clock()):
                    raise NotSignedIn
        kind: CredentialKind = "client" if claims.credential else "session" if claims.session else "token"
        return self._found(account, claims.credential or claims.session, kind, claims.expires_at)

    def _found(
        self, account: store.Account, credential: UUID | None, kind: CredentialKind, expires_at: datetime | None
    ) -> _Known:
        stamp = self._stamps.get(account.tenant, 0)
        return _Known(account, credential, kind, expires_at, self._now() + TTL_S, stamp)


async def program_credential(db: Database, secret: str, at: datetime, *, of: UUID) -> store.Credential | None:
    """Find a usable key or client secret of this account; None when the secret is not one, or not one alone."""
    found = await store.credentials_by_hash(db, secret_hash(secret))
    theirs = [one for one in found if one.principal == of and one.kind in ("key", "client") and is_usable(one, at)]
    return theirs[0] if theirs else None


def _only_key(found: Sequence[store.Credential], at: datetime) -> store.Credential | NotSignedIn:
    """Give the key that is meant by a secret; or why there is none that counts."""
    keys = [one for one in found if one.kind == "key"]
    live = [key for key in keys if key.revoked_at is None]
    if len(live) != 1:
        return NotSignedIn("revoked" if keys and not live else "unknown")
    if live[0].expires_at is not None and live[0].expires_at <= at:
        return NotSignedIn("expired")
    return live[0]


def is_alive(session: store.Session, account: store.Account, at: datetime) -> bool:
    """Whether a session counts: neither over nor ended nor waiting for a second factor, of this account, and the
    password, or the provider, that opened it is the same."""
    return (
        session.ended_at is None
        and not session.awaits_factor
        and at < session.expires_at
        and session.principal == account.id
        and session.is_trusted
        and (session.provider_stamp is not None or session.password_stamp == account.password_stamp)
    )


def is_usable(credential: store.Credential, at: datetime) -> bool:
    """Whether a key or client secret is neither revoked nor expired."""
    return credential.revoked_at is None and (credential.expires_at is None or at < credential.expires_at)


def _looks_like_a_token(credential: str) -> bool:
    """A JWT begins with `{"` in base64url and has two dots; minted keys never do."""
    return credential.startswith("eyJ") and credential.count(".") == 2
