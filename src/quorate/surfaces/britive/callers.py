"""Who calls, and what the SDK asks before anything else. Source: Britive contract §1, §2; [sdk] `my_access.whoami`."""

from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.domain import refusals as no
from quorate.surfaces.britive.reading import StepUp
from quorate.surfaces.britive.services import Call
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body, decoded
from quorate.surfaces.http.signing import AssertionOptions, options

FEATURES: Final = ("approvals", "stepUpAuthentication")
LONGEST_CODE: Final = 64


class Well(Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Feature(Struct, frozen=True):
    name: str
    enabled: bool


class Identity(Struct, frozen=True, rename="camel"):
    """The account that calls. `userId` is its own id; `username` what it signs in with."""

    user_id: str
    username: str
    name: str
    email: str | None
    type: Literal["User", "ServiceIdentity"]
    tenant: str


class Validated(Struct, frozen=True, rename="camel"):
    authentication_result: Identity


class SteppedUp(Struct, frozen=True, rename="camel"):
    """How it went. With CHALLENGE, `additionalDetails` says what a security key is to sign."""

    result: Literal["SUCCEEDED", "CHALLENGE", "FAILED"]
    additional_details: AssertionOptions | UnsetType = UNSET


async def health(http: Call) -> Response:
    return answer(Well())


async def features(http: Call) -> Response:
    return answer([Feature(name, enabled=True) for name in FEATURES])


async def validate(http: Call) -> Response:
    me = (await http.services.me(http.actor)).principal
    tenant = await http.services.tenants.slug(http.actor.tenant)

    kind: Literal["User", "ServiceIdentity"] = "ServiceIdentity" if http.actor.is_service else "User"
    return answer(Validated(Identity(str(me.id), me.login or me.name, me.name, me.email, kind, tenant or "")))


async def step_up(http: Call) -> Response:
    """Check a second factor. It is used up, and stands for nothing else: a decision has no place for evidence."""
    asked = await body(http, StepUp, optional=True)

    try:
        match http.path["factor"]:
            case "TOTP":
                await http.services.factors.show_code(http.actor, _code(asked.otp))
            case "WEB_AUTHN" if asked.otp:
                await http.services.factors.show_key(http.actor, _assertion(asked.otp))
            case "WEB_AUTHN":
                to_sign = await http.services.factors.ask_key(http.actor)
                return answer(SteppedUp("CHALLENGE", options(to_sign)))
            case _:
                raise BadInput.at("factor", "must be TOTP or WEB_AUTHN")
    except (no.EvidenceWrong, no.CannotChallenge):
        return answer(SteppedUp("FAILED"))
    return answer(SteppedUp("SUCCEEDED"))


def _code(otp: str | None) -> str:
    if otp is None or len(otp) > LONGEST_CODE:
        raise BadInput.at("otp", f"must be a code of at most {LONGEST_CODE} characters")
    return otp


def _assertion(otp: str) -> dict[str, Any]:
    try:
        return decoded(otp.encode(), dict[str, Any])
    except BadInput:
        raise BadInput.at("otp", "must be the JSON text of what navigator.credentials.get() gave") from None
