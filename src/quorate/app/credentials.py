"""Turns a credential into an actor, whichever way a surface took it out of the call.

What was found is remembered for seconds, since every call asks. A revoked key, a suspended user or a
changed role counts at once in the process that did it (it calls `forget`), and elsewhere when that
process notices that the tenant's directory changed (`notice`), at most `TTL_S` later.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from quorate.app.actor import Actor, CredentialKind, How, NotSignedIn
from quorate.app.tokens import Claims, Tokens
from quorate.store import signin as store
from quorate.store.database import Database
from quorate.store.tenants import directory_versions

TTL_S = 5.0
MOST_REMEMBERED = 10_000


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
        now: monotonic seconds, for what is remembered; `clock` judges expiry.
    """

    def __init__(
        self, db: Database, tokens: Tokens, *, clock: Callable[[], datetime], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock
        self._now = now
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._of_account: dict[tuple[UUID, UUID], set[bytes]] = {}
        self._stamps: dict[UUID, int] = {}
        self._versions: dict[UUID, int] = {}
        self._forgettings = 0

    async def actor(self, credential: str, *, surface: str, address: str) -> Actor:
        """Sign in by an API key or an access token of ours.

        Raises:
            NotSignedIn: it is unknown, expired or revoked, or its holder is suspended or deleted.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        known = self._known.get(digest)
        if known is None or self._is_stale(known):
            known = await self._look_up(credential, digest)
        if known.expires_at is not None and known.expires_at <= self._clock():
            raise NotSignedIn
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

    async def _look_up(self, credential: str, digest: bytes) -> _Known:
        before = self._forgettings
        if _looks_like_a_token(credential):
            known = await self._by_token(await self._tokens.verify(credential))
        else:
            known = await self._by_key(digest)
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

    async def _by_key(self, digest: bytes) -> _Known:
        found = [key for key in await store.credentials_by_hash(self._db, digest) if key.kind == "key"]
        live = [key for key in found if key.revoked_at is None]
        if len(live) != 1:
            raise NotSignedIn
        key, at = live[0], self._clock()
        if key.expires_at is not None and key.expires_at <= at:
            raise NotSignedIn
        async with self._db.tx({key.tenant}) as tx:
            account = await store.account(tx, key.tenant, key.principal, at)
            await store.used(tx, key.tenant, key.id, at)
        assert account is not None, "the database lets no credential be without a holder"
        return self._found(account, key.id, "key", key.expires_at)

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


def is_alive(session: store.Session, account: store.Account, at: datetime) -> bool:
    """Whether a session still counts: neither over nor ended, of this account, and the password is the same."""
    return (
        session.ended_at is None
        and at < session.expires_at
        and session.principal == account.id
        and session.password_stamp == account.password_stamp
    )


def is_usable(credential: store.Credential, at: datetime) -> bool:
    """Whether a key or client secret is neither revoked nor expired."""
    return credential.revoked_at is None and (credential.expires_at is None or at < credential.expires_at)


def _looks_like_a_token(credential: str) -> bool:
    """A JWT begins with `{"` in base64url and has two dots; minted keys never do."""
    return credential.startswith("eyJ") and credential.count(".") == 2
