"""A tenant's identity provider: read, settled and removed by its administrators. Its secret is shown to nobody."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from msgspec import UNSET, Struct, UnsetType

from quorate.app.actor import Actor
from quorate.app.directory import Desk
from quorate.app.oidc.issuers import demand_secure
from quorate.app.operations.own import attempt
from quorate.app.outgoing import BadTarget
from quorate.app.seal import Sealer
from quorate.domain.permissions import ADMIN
from quorate.domain.refusals import Refusal
from quorate.store import providers as store
from quorate.store.providers import Provider

__all__ = ["BadProvider", "NoSuchProvider", "Provider", "ProviderDraft", "ProviderTaken", "Providers", "purpose"]

KIND: Final = "identity_provider"
USUAL: Final = ("openid", "email", "profile")
MOST_SCOPES: Final = 20
LONGEST: Final = 255  # characters of a client id, a scope, the name of a claim
LONGEST_SECRET: Final = 2_000


@dataclass(eq=False)
class NoSuchProvider(Refusal):
    """The tenant has no identity provider, or there is no such tenant."""

    code = "no_such_provider"


@dataclass(eq=False)
class BadProvider(Refusal):
    """It cannot be settled so. `field` is issuer, client_id, client_secret, scopes or tenant_claim; `why` a sentence
    for people."""

    code = "bad_provider"
    field: str
    why: str


@dataclass(eq=False)
class ProviderTaken(Refusal):
    """Another tenant has this client of this issuer: what a token says must name one tenant."""

    code = "provider_taken"


class ProviderDraft(Struct, frozen=True, kw_only=True):
    """What a provider shall be. `client_secret`, `tenant_claim` UNSET: the one there is stays, None: there is none."""

    issuer: str
    client_id: str
    client_secret: str | UnsetType | None = UNSET
    scopes: tuple[str, ...] = USUAL
    tenant_claim: str | UnsetType | None = UNSET

    def __repr__(self) -> str:
        return f"ProviderDraft(issuer={self.issuer})"  # The secret stays out of logs.


class Providers:
    """The use cases. All of them need `admin`: a provider says who is who, administrators included.

    Args:
        ours: the issuer of our own tokens, which nobody else is.
        allow_private: whether an issuer may be on a private network, and without TLS.
    """

    def __init__(self, desk: Desk, seal: Sealer, *, ours: str, allow_private: bool) -> None:
        self._desk, self._seal, self._ours, self._allow_private = desk, seal, ours, allow_private

    async def read(self, actor: Actor) -> Provider:
        """Raises: NotPermitted, NoSuchProvider."""
        async with self._desk.look(actor, ADMIN) as look:
            return _found(await store.read(look.tx, look.tenant))

    async def put(self, actor: Actor, draft: ProviderDraft) -> Provider:
        """Settle who says who is who. Sessions that the one before has opened end.

        Raises: NotPermitted, ApprovalRequired, ProviderTaken; BadProvider: see `problem`; or the secret of another
            issuer would be kept, which could then be asked for it.
        """
        wrong = problem(draft, ours=self._ours, allow_private=self._allow_private)
        try:
            async with self._desk.change(actor, attempt("PUT", "identity-provider"), ADMIN) as change:
                if wrong is not None:
                    raise wrong
                before = await store.read(change.tx, change.tenant)
                claim = before.tenant_claim if before is not None else None
                new = Provider(
                    issuer=draft.issuer,
                    client_id=draft.client_id,
                    sealed=self._secret(change.tenant, draft, before),
                    scopes=scopes_of(draft),
                    tenant_claim=claim if draft.tenant_claim is UNSET else draft.tenant_claim,
                    stamp=change.new_id(),
                    created_at=before.created_at if before else change.at,
                    updated_at=change.at,
                )
                await store.put(change.tx, change.tenant, new)
                await change.happened(KIND, change.tenant, "identity_provider.changed", shown(new), change.at)
                return new
        except asyncpg.UniqueViolationError:
            raise ProviderTaken from None

    async def remove(self, actor: Actor) -> None:
        """Let nobody outside say who is who. Sessions that the provider has opened end.

        Raises: NotPermitted, ApprovalRequired, NoSuchProvider.
        """
        async with self._desk.change(actor, attempt("DELETE", "identity-provider"), ADMIN) as change:
            gone = _found(await store.read(change.tx, change.tenant))
            await store.remove(change.tx, change.tenant)
            await change.happened(KIND, change.tenant, "identity_provider.removed", shown(gone), change.at)

    def _secret(self, tenant: UUID, draft: ProviderDraft, before: Provider | None) -> bytes | None:
        if isinstance(draft.client_secret, str):
            return self._seal.seal(draft.client_secret.encode(), tenant=tenant, purpose=purpose(draft.issuer))
        if draft.client_secret is None or before is None or before.sealed is None:
            return None
        if (before.issuer, before.client_id) != (draft.issuer, draft.client_id):
            raise BadProvider("client_secret", "is needed with another issuer or client; null for none")
        return before.sealed


def problem(draft: ProviderDraft, *, ours: str, allow_private: bool) -> BadProvider | None:
    """Say what is wrong with a draft."""
    try:
        demand_secure(draft.issuer, allow_private=allow_private)
    except BadTarget as bad:
        return BadProvider("issuer", str(bad))
    if "?" in draft.issuer or draft.issuer.rstrip("/") == ours.rstrip("/"):
        return BadProvider("issuer", "must be another's, and have no query")
    named = {"client_id": draft.client_id, "tenant_claim": draft.tenant_claim}
    for field, word in named.items():
        if isinstance(word, str) and not _is_word(word, LONGEST):
            return BadProvider(field, f"must have 1 to {LONGEST} visible ASCII characters")
    if isinstance(draft.client_secret, str) and not _is_word(draft.client_secret, LONGEST_SECRET):
        return BadProvider("client_secret", f"must have 1 to {LONGEST_SECRET} visible ASCII characters")
    if len(draft.scopes) > MOST_SCOPES or not all(_is_word(one, LONGEST) for one in draft.scopes):
        return BadProvider("scopes", f"are at most {MOST_SCOPES}, each of 1 to {LONGEST} visible ASCII characters")
    return None


def scopes_of(draft: ProviderDraft) -> tuple[str, ...]:
    """Give the scopes that are asked for: without `openid` there would be no token."""
    return tuple(dict.fromkeys(("openid", *draft.scopes)))


def shown(provider: Provider) -> dict[str, Any]:
    """What history keeps of a provider."""
    return {
        "issuer": provider.issuer,
        "clientId": provider.client_id,
        "scopes": list(provider.scopes),
        "tenantClaim": provider.tenant_claim,
        "hasSecret": provider.sealed is not None,
    }


def purpose(issuer: str) -> str:
    """Name what a client secret is sealed for, so that it is sent to nobody else."""
    return f"client secret for {issuer}"


def _is_word(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and all("!" <= one <= "~" for one in text)


def _found(provider: Provider | None) -> Provider:
    if provider is None:
        raise NoSuchProvider
    return provider
