"""Who calls, and what the SDK asks before anything else. Source: Britive contract §1, §2; [sdk] `my_access.whoami`."""

from typing import Final, Literal

from msgspec import Struct
from starlette.responses import Response

from quorate.domain import refusals as no
from quorate.surfaces.britive.reading import OneTimeCode
from quorate.surfaces.britive.services import Call
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body

FEATURES: Final = ("approvals", "stepUpAuthentication")


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
    result: Literal["SUCCEEDED", "FAILED"]


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
    """Check a one-time code. It is used up, and stands for nothing else: a decision has no place for evidence."""
    if http.path["factor"] != "TOTP":
        raise BadInput.at("factor", "must be TOTP: security keys are shown natively and on the pages")
    asked = await body(http, OneTimeCode)

    try:
        await http.services.factors.show_code(http.actor, asked.otp)
    except no.EvidenceWrong:
        return answer(SteppedUp("FAILED"))
    return answer(SteppedUp("SUCCEEDED"))
