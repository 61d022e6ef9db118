"""The routes of what is shown beside a decision: passwords, security keys, one-time codes.

Source: native contract b.8.
"""

from typing import Any, Final

from quorate.domain.permissions import DIRECTORY_WRITE, WORKFLOW_WRITE
from quorate.surfaces.http.signing import AssertionOptions
from quorate.surfaces.http.surface import Who
from quorate.surfaces.native import accounts, challenges, factors
from quorate.surfaces.native.routes import Table, route
from quorate.surfaces.native.shown import Done, Ok

_REAUTHENTICATED: Final[dict[str, Any]] = {
    "body": factors.Reauthentication,
    "body_optional": True,
}

STEP_UP: Final[Table] = (
    route(
        "POST",
        "/approvals/{id}/challenge",
        challenges.to_decide,
        "Ask what a security key is to sign before one approves",
        answer=Ok[AssertionOptions],
        errors=(404, 409, 429),
    ),
    route(
        "POST",
        "/access-requests/{id}/challenge",
        challenges.to_override,
        "Ask the same before one approves as an administrator",
        who=WORKFLOW_WRITE,
        answer=Ok[AssertionOptions],
        errors=(404, 409, 429),
    ),
    route(
        "POST",
        "/auth/mfa",
        factors.show,
        "Show the second factor that a login wants",
        who=Who.ANYONE,
        body=factors.SecondStepGiven,
        answer=Ok[accounts.TokensShown],
        errors=(401, 429),
    ),
    route("GET", "/users/me/factors", factors.mine, "List one's own second factors", answer=Ok[factors.FactorsShown]),
    route(
        "POST",
        "/users/me/passkeys/begin",
        factors.begin_passkey,
        "Begin to register a security key",
        answer=Ok[factors.CreationOptions],
        errors=(404, 409, 429),
        **_REAUTHENTICATED,
    ),
    route(
        "POST",
        "/users/me/passkeys",
        factors.add_passkey,
        "Register the security key that a browser made",
        body=factors.NewPasskey,
        answer=Ok[factors.PasskeyShown],
        status=201,
        errors=(404, 409, 429),
    ),
    route(
        "POST",
        "/users/me/passkeys/{id}/remove",
        factors.remove_passkey,
        "Take a security key away",
        answer=Done,
        errors=(404, 429),
        **_REAUTHENTICATED,
    ),
    route(
        "POST",
        "/users/me/totp/begin",
        factors.begin_app,
        "Begin with an app for one-time codes",
        answer=Ok[factors.AppBegun],
        errors=(404, 429),
        **_REAUTHENTICATED,
    ),
    route(
        "POST",
        "/users/me/totp",
        factors.add_app,
        "Let the new app count, by a code of it",
        body=factors.FirstCode,
        answer=Ok[factors.CodesShown],
        status=201,
        errors=(404, 429),
    ),
    route(
        "POST",
        "/users/me/totp/remove",
        factors.remove_app,
        "Take the app for one-time codes away",
        answer=Done,
        errors=(404, 429),
        **_REAUTHENTICATED,
    ),
    route(
        "POST",
        "/users/me/recovery-codes",
        factors.renew_codes,
        "Make new recovery codes",
        answer=Ok[factors.CodesShown],
        status=201,
        errors=(404, 409, 429),
        **_REAUTHENTICATED,
    ),
    route(
        "DELETE",
        "/users/{id}/factors",
        factors.remove_all,
        "Take the second factors away of a user who has lost them",
        who=DIRECTORY_WRITE,
        answer=Done,
        errors=(404,),
    ),
)
