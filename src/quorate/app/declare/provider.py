"""The identity provider in the file: who outside says who somebody is."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from quorate.app.declare.draft import Draft, differing
from quorate.app.declare.names import values
from quorate.app.declare.wanted import Change, ProviderRow
from quorate.app.oidc.providers import KIND, USUAL, ProviderDraft, problem
from quorate.store.providers import Provider

_WORDS: Final = {"client_id": "clientId", "tenant_claim": "tenantClaim", "client_secret": "clientSecret"}
_COUNTED: Final = frozenset({"issuer", "client_id", "scopes", "tenant_claim"})


def plan_provider(draft: Draft) -> None:
    """Plan the provider. What the file does not say of it stays; `identityProvider: null` removes it.

    Whether we may call it is the server's to know: it looks when it does.
    """
    said, old = draft.entry.provider, draft.state.provider
    if said is UNSET:
        return
    if not isinstance(said, Mapping):
        if old is not None:
            draft.changes.append(Change("remove", KIND, draft.tenant, old.issuer, about=_about(old)))
            draft.rows.provider_gone = True
        return
    path = f"{draft.entry.path}.identityProvider"
    secret = draft.secrets.providers.get(path)
    if not said.get("issuer") or not said.get("clientId"):
        return  # It was said that they are missing.
    new = _new(draft, said, old)
    if bad := problem(_draft(new, secret), ours="", allow_private=True):
        draft.wrong(f"{path}.{_WORDS.get(bad.field, bad.field)}", bad.why)
    moves = old is not None and (old.issuer, old.client_id) != (new.issuer, new.client_id)
    removes = "clientSecret" in said and said["clientSecret"] is None
    if removes and secret is None:
        new = replace(new, sealed=None)
    elif moves and secret is None and new.sealed is not None:
        draft.wrong(path, "clientSecret is needed with another issuer or client; null for none")
    details = [_WORDS.get(field, field) for field in differing(old, new) if field in _COUNTED] if old else []
    differs = secret is not None and secret != draft.state.provider_secret
    if differs or (old is not None and old.sealed is not None and new.sealed is None):
        details.append("clientSecret")
    if old is not None and not details:
        return
    verb: Any = "create" if old is None else "update"
    draft.changes.append(Change(verb, KIND, draft.tenant, new.issuer, tuple(details) if old else (), _about(new)))
    draft.rows.provider = ProviderRow(replace(new, stamp=draft.mint(), updated_at=draft.at), secret)


def _new(draft: Draft, said: Mapping[str, Any], old: Provider | None) -> Provider:
    keys = {"issuer": ("issuer", ""), "clientId": ("client_id", ""), "tenantClaim": ("tenant_claim", None)}
    found = values(said, keys)
    if "scopes" in said:
        found["scopes"] = tuple(dict.fromkeys(("openid", *(said["scopes"] or USUAL))))
    base = old or Provider(
        issuer="",
        client_id="",
        scopes=USUAL,
        stamp=draft.tenant,  # Until it is written.
        created_at=draft.at,
        updated_at=draft.at,
    )
    return replace(base, **found)


def _draft(new: Provider, secret: str | None) -> ProviderDraft:
    return ProviderDraft(
        issuer=new.issuer,
        client_id=new.client_id,
        client_secret=secret,
        scopes=new.scopes,
        tenant_claim=new.tenant_claim,
    )


def _about(one: Provider) -> dict[str, str | None]:
    """What the history keeps of it."""
    return {"issuer": one.issuer, "clientId": one.client_id}
