"""Signing in and out, and who one is.

Source: native contract b.7.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.app.me import Me, Principal
from quorate.app.signin import Halfway, SignedIn
from quorate.surfaces.http.answering import answer, moment
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body
from quorate.surfaces.http.signin import named_tenant
from quorate.surfaces.http.signing import AssertionOptions, options
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Login, Refresh
from quorate.surfaces.native.shown import Id, Moment


class UserShown(Struct, frozen=True, rename="camel"):
    """The user that a sign-in is of."""

    id: Id
    tenant_id: Id
    email: str | None
    first_name: str | None
    father_name: str | None
    grandfather_name: str | None
    family_name: str | None
    display_name: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]


class TokensShown(Struct, frozen=True, rename="camel"):
    """What a sign-in gives. `expiresIn` is in seconds."""

    access_token: str
    refresh_token: str
    id_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    user: UserShown


class MeShown(UserShown, frozen=True, rename="camel", kw_only=True):
    """One's own account."""

    status: Literal["active", "suspended", "inactive"]
    preferences: dict[str, Any]
    mfa_enabled: bool
    metadata: dict[str, Any]
    manager_id: Id | None
    created_at: Moment
    updated_at: Moment


class LoginShown(Struct, frozen=True, rename="camel", kw_only=True):
    """What a login gives: `data`; or, where a second factor is wanted, `mfaRequired` and a token for `/auth/mfa`.

    The token counts once, within five minutes. `webauthn`: what a security key may sign instead of showing a code.
    """

    success: Literal[True] | UnsetType = UNSET
    data: TokensShown | UnsetType = UNSET
    mfa_required: Literal[True] | UnsetType = UNSET
    mfa_token: str | UnsetType = UNSET
    webauthn: AssertionOptions | UnsetType = UNSET


async def login(http: Call) -> Response:
    tenant = named_tenant(http)
    asked = await body(http, Login)

    opened = await http.services.signin.login(
        tenant,
        asked.email.strip(),
        asked.password,
        address=http.address,
        remember=asked.remember_me,
        surface="native",
        agent=http.agent,
    )

    if isinstance(opened, Halfway):
        to_sign = UNSET if opened.to_sign is None else options(opened.to_sign)
        return answer(LoginShown(mfa_required=True, mfa_token=opened.token, webauthn=to_sign))
    return answer(LoginShown(success=True, data=tokens_shown(opened)))


async def refresh(http: Call) -> Response:
    asked = await body(http, Refresh)

    opened = await http.services.signin.refresh(asked.refresh_token, address=http.address)

    return given(tokens_shown(opened))


async def logout(http: Call) -> Response:
    how = http.actor.how
    if how.kind != "session" or how.credential is None:
        raise BadInput.at(None, "only what a login opened can be logged out; keys are revoked")

    await http.services.signin.logout(http.telling_actor, how.credential)

    return said("Logged out")


async def me(http: Call) -> Response:
    found = await http.services.me(http.actor)

    return given(_me(http, found))


def tokens_shown(opened: SignedIn) -> TokensShown:
    """Show what a sign-in gives."""
    account = opened.account
    return TokensShown(
        access_token=opened.access.token,
        refresh_token=opened.refresh_token,
        id_token=opened.identity.token,
        token_type="Bearer",  # noqa: S106  # A word of the protocol.
        expires_in=opened.access.expires_in_s,
        user=UserShown(
            id=str(account.id),
            tenant_id=str(account.tenant),
            email=account.email,
            display_name=account.name,
            roles=account.roles,
            permissions=tuple(sorted(account.permissions)),
            **_name_parts(account.name_parts),
        ),
    )


def _me(http: Call, found: Me) -> MeShown:
    return MeShown(
        **account_shown(http.actor.tenant, found.principal, found.roles, found.permissions, mfa=found.has_second_factor)
    )


def account_shown(
    tenant: UUID, account: Principal, roles: Sequence[str], permissions: Sequence[str], *, mfa: bool
) -> dict[str, Any]:
    """Give the keys of `MeShown`, which other accounts are shown with too."""
    return {
        "id": str(account.id),
        "tenant_id": str(tenant),
        "email": account.email,
        "display_name": account.name,
        "roles": tuple(roles),
        "permissions": tuple(permissions),
        "status": account.status,
        "preferences": dict(account.preferences),
        "mfa_enabled": mfa,
        "metadata": dict(account.metadata),
        "manager_id": str(account.manager_id) if account.manager_id else None,
        "created_at": moment(account.created_at),
        "updated_at": moment(account.updated_at),
        **_name_parts(account.name_parts or {}),
    }


def _name_parts(parts: Mapping[str, Any]) -> dict[str, str | None]:
    """Names have up to four parts in the contract; which of them somebody has is theirs to say."""
    words = {
        "first_name": "firstName",
        "father_name": "fatherName",
        "grandfather_name": "grandfatherName",
        "family_name": "familyName",
    }
    return {ours: parts.get(theirs) for ours, theirs in words.items()}
