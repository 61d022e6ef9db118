"""Tokens of providers, held against what the tenant has settled; and whom they are about.

That is an account which is there already, found by a verified e-mail address. None is made, and what a token says of
groups, roles or names changes nothing: the directory says that.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.app.actor import NotSignedIn
from quorate.app.oidc.claims import Body, NotProved, Wanted, email_of, proved, unproved
from quorate.app.oidc.issuers import Issuers, ProviderAway
from quorate.store import providers, signin
from quorate.store.database import Database
from quorate.store.providers import Provider
from quorate.store.signin import Account

log = logging.getLogger(__name__)


class Trusted(Struct, frozen=True):
    """A tenant and its provider."""

    tenant: UUID
    slug: str
    provider: Provider


class Proofs:
    """Reads what providers have signed. `read` is for who has just asked for it, `bearer` for whoever shows it."""

    def __init__(self, db: Database, issuers: Issuers, *, clock: Callable[[], datetime]) -> None:
        self._db, self._issuers, self._clock = db, issuers, clock

    async def trusted(self, tenant: UUID) -> Trusted | None:
        """Read a tenant's provider; None if it has none, or there is no such tenant."""
        async with self._db.tx({tenant}) as tx:
            slug, provider = await signin.slug(tx, tenant), await providers.read(tx, tenant)
        return None if slug is None or provider is None else Trusted(tenant, slug, provider)

    async def read(self, token: str, of: Trusted, nonce: str | None) -> Body:
        """Give the claims of a token. Raises: NotProved, ProviderAway."""
        head, _ = unproved(token)
        key = await self._issuers.key(of.provider.issuer, head.kid, head.alg)
        if key is None:
            raise NotProved("the key")
        said = of.provider
        wanted = Wanted(said.issuer, said.client_id, of.tenant, of.slug, said.tenant_claim, nonce)
        return proved(token, key, wanted, self._clock())

    async def account(self, tenant: UUID, email: str) -> Account | None:
        """Find the one account a verified e-mail address means, whether or not it may act; None: none, or several."""
        async with self._db.tx({tenant}) as tx:
            found = await signin.accounts_by_email(tx, tenant, email, self._clock())
        return found[0] if len(found) == 1 else None

    async def bearer(self, token: str) -> tuple[Account, datetime]:
        """Find whose a token is, in whatever tenant, and until when it counts. Raises: NotSignedIn, for all reasons."""
        of = await self._named(token)
        if of is None:
            raise NotSignedIn
        try:
            body = await self.read(token, of, None)
            account = await self.account(of.tenant, email_of(body))
        except (NotProved, ProviderAway) as no:
            log.info("a provider's token is not taken: %s", str(no) or "it is away", extra={"tenant": str(of.tenant)})
            raise NotSignedIn from None
        if account is None:
            raise NotSignedIn
        return account, body.expires_at

    async def _named(self, token: str) -> Trusted | None:
        """Find the one tenant whose provider's a token says it is; None: it says nothing of use."""
        try:
            _, said = unproved(token)
        except NotProved:
            return None
        tenants = await providers.tenants_of_issuer(self._db, said.iss, said.audience)
        return await self.trusted(tenants[0]) if len(tenants) == 1 else None
