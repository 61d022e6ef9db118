"""The tenant's identity provider, as its administrators see it. How people sign in there: docs/signing-in.md."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from quorate.app.oidc.providers import USUAL, Provider, ProviderDraft
from quorate.surfaces.http.answering import moment
from quorate.surfaces.http.reading import body
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shown import Moment

Text = Annotated[str, Meta(min_length=1, max_length=255)]


class ProviderGiven(Struct, frozen=True, rename="camel"):
    """Who shall say who somebody is. Without `clientSecret` the one there is stays; null removes it.

    `tenantClaim`: which claim of a token must hold this tenant's id or slug, if one must.
    """

    issuer: Annotated[str, Meta(min_length=1, max_length=2000)]
    client_id: Text
    client_secret: Annotated[str, Meta(min_length=1, max_length=2000)] | UnsetType | None = UNSET
    scopes: Annotated[tuple[Text, ...], Meta(max_length=20)] = USUAL
    tenant_claim: Text | None = None


class ProviderShown(Struct, frozen=True, rename="camel"):
    """An identity provider. Its client's secret is shown to nobody."""

    issuer: str
    client_id: str
    has_secret: bool
    scopes: list[str]
    tenant_claim: str | None
    created_at: Moment
    updated_at: Moment


async def read(http: Call) -> Response:
    found = await http.services.providers.read(http.actor)

    return given(_shown(found))


async def put(http: Call) -> Response:
    asked = await body(http, ProviderGiven)

    put = await http.services.providers.put(
        http.actor,
        ProviderDraft(
            issuer=asked.issuer,
            client_id=asked.client_id,
            client_secret=asked.client_secret,
            scopes=asked.scopes,
            tenant_claim=asked.tenant_claim,
        ),
    )

    return given(_shown(put))


async def remove(http: Call) -> Response:
    await http.services.providers.remove(http.actor)

    return said("The identity provider is removed")


def _shown(provider: Provider) -> ProviderShown:
    return ProviderShown(
        issuer=provider.issuer,
        client_id=provider.client_id,
        has_secret=provider.sealed is not None,
        scopes=list(provider.scopes),
        tenant_claim=provider.tenant_claim,
        created_at=moment(provider.created_at),
        updated_at=moment(provider.updated_at),
    )
