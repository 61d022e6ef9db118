"""Takes a credential out of a call. Each surface accepts only its own spelling of one."""

from typing import Any, Protocol
from uuid import UUID

from quorate.app.actor import Actor, NotSignedIn, OtherTenant
from quorate.app.credentials import Credentials
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.problems import BadInput

LONGEST_CREDENTIAL = 8192  # characters


class HasCredentials(Protocol):
    """What a surface's services must offer to sign callers in."""

    @property
    def credentials(self) -> Credentials: ...


async def by_bearer(http: Http[Any], surface: str) -> Actor:
    """Sign in by `Authorization: Bearer` alone: an API key of ours or a token of ours.

    `X-Tenant-ID` may be absent, and may only agree: the credential alone names the tenant.

    Raises:
        NotSignedIn: before all else.
        BadInput: the tenant header is no UUID.
        OtherTenant: it names another tenant.
    """
    services: HasCredentials = http.services
    actor = await services.credentials.actor(bearer(http), surface=surface, address=http.address)
    demand_tenant(http, actor)
    return actor


def bearer(http: Http[Any]) -> str:
    """Read the bearer credential. Raises `NotSignedIn` when there is none, more than one, or an odd one."""
    given = http.headers.getlist("authorization")
    if len(given) != 1:
        raise NotSignedIn
    scheme, _, credential = given[0].partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential.isascii() or not 0 < len(credential) <= LONGEST_CREDENTIAL:
        raise NotSignedIn
    return credential


def demand_tenant(http: Http[Any], actor: Actor, header: str = "X-Tenant-ID") -> None:
    """Hold a tenant header against the tenant of the credential. Raises `BadInput` or `OtherTenant`."""
    tenant = named_tenant(http, header)
    if tenant is not None and tenant != actor.tenant:
        raise OtherTenant


def named_tenant(http: Http[Any], header: str = "X-Tenant-ID") -> UUID | None:
    """Read a tenant header; None when absent or blank. Raises `BadInput` when it is no UUID, or two differ."""
    given = {value.strip().lower() for value in http.headers.getlist(header)} - {""}
    if not given:
        return None
    try:
        (text,) = given
        return UUID(text)
    except ValueError:
        raise BadInput.at(header, "must be one UUID") from None


async def by_key_or_bearer(http: Http[Any], surface: str, *, key: str, tenant: str = "X-Tenant-ID") -> Actor:
    """Sign in by `Authorization: Bearer`, by a header that carries an API key, or by both, which must both be good.

    Where both are there, the bearer credential says who calls. The tenant header must be there.

    Raises:
        NotSignedIn: before all else: neither is there, or one of them is not good.
        BadInput: the tenant header is missing or no UUID.
        OtherTenant: a credential belongs to another tenant than it names.
    """
    services: HasCredentials = http.services
    given = [bearer(http)] if "authorization" in http.headers else []
    keys = http.headers.getlist(key)
    if len(keys) > 1 or not (given or keys):
        raise NotSignedIn
    for text in keys:
        plain = text.strip()
        if not plain.isascii() or not 0 < len(plain) <= LONGEST_CREDENTIAL:
            raise NotSignedIn
        given.append(plain)
    actors = [await services.credentials.actor(one, surface=surface, address=http.address) for one in given]
    named = named_tenant(http, tenant)
    if named is None:
        raise BadInput.at(tenant, "is required")
    if any(actor.tenant != named for actor in actors):
        raise OtherTenant
    return actors[0]
