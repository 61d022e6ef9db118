"""Security keys: the challenge to approve with, and the one that a session waits for.

Source: Fortanix contract §2 (MfaChallengeResponse), §6.
"""

import base64
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType, field
from starlette.responses import Response

from quorate.app.cases import UseCases
from quorate.app.challenges import Protocol
from quorate.app.evidence import ToSign
from quorate.app.requests import OpenStep
from quorate.app.second_step import SecondFactor
from quorate.surfaces.fortanix import reading
from quorate.surfaces.fortanix.requests import find
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.http.signin import bearer
from quorate.surfaces.http.signing import Extensions, KeyNamed

_FRESH: Final = {"Cache-Control": "no-store"}


class U2fKey(Struct, frozen=True, rename="camel"):
    key_handle: str
    version: Literal["U2F_V2"] = "U2F_V2"


class MfaChallenge(Struct, frozen=True):
    """What a key is to sign. For fido2 as browsers take it (`timeout` in ms), for u2f the two fields at the end."""

    challenge: str | UnsetType = UNSET
    timeout: int | UnsetType = UNSET
    rp_id: str | UnsetType = field(name="rpId", default=UNSET)
    allow_credentials: list[KeyNamed] | UnsetType = field(name="allowCredentials", default=UNSET)
    user_verification: str | UnsetType = field(name="userVerification", default=UNSET)
    extensions: Extensions | UnsetType = UNSET
    u2f_challenge: str | UnsetType = UNSET
    u2f_keys: list[U2fKey] | UnsetType = UNSET


async def challenge(http: Http[UseCases]) -> Response:
    wanted = query(http, reading.Wanted)
    found = await find(http)

    asked = await http.services.challenges.issue(http.actor, OpenStep(found.id), Protocol(wanted.protocol))

    return answer(options(asked) if wanted.protocol == "fido2" else u2f_options(asked), headers=_FRESH)


async def show_fido2(http: Http[UseCases]) -> Response:
    """The session waits, so its token opens nothing else: it is read here and not by the plumbing."""
    token, sent = bearer(http), await body(http, reading.Fido2Given)

    shown = SecondFactor(webauthn=sent.as_browsers_say)
    await http.services.sessions.show_factor(token, shown, address=http.address, surface="fortanix", agent=http.agent)

    return Response(status_code=204)


async def show_u2f(_: Http[UseCases]) -> Response:
    raise BadInput.at(None, "U2F is no longer accepted for signing in; use FIDO2")


def options(asked: ToSign) -> MfaChallenge:
    """Show what a FIDO2 key is to sign, as browsers take it."""
    return MfaChallenge(
        challenge=text(asked.challenge),
        timeout=asked.timeout_s * 1000,
        rp_id=asked.rp_id,
        allow_credentials=[KeyNamed(text(id)) for id in asked.key_ids],
        user_verification="required" if asked.demands_user else "preferred",
        extensions=Extensions(asked.app_id) if asked.takes_u2f else UNSET,
    )


def u2f_options(asked: ToSign) -> MfaChallenge:
    """Show what a U2F key is to sign."""
    return MfaChallenge(u2f_challenge=text(asked.challenge), u2f_keys=u2f_keys(asked))


def u2f_keys(asked: ToSign) -> list[U2fKey]:
    return [U2fKey(text(id)) for id in asked.key_ids]


def text(data: bytes) -> str:
    """Write bytes as browsers do: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
