"""The Fortanix surface: its table of routes, and the surface made of it.

Source: Fortanix contract §2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from quorate.app.cases import UseCases
from quorate.surfaces.fortanix import direct, factors, reading, requests, sessions
from quorate.surfaces.fortanix.sessions import SURFACE
from quorate.surfaces.fortanix.shown import ApprovalRequest, Result
from quorate.surfaces.fortanix.words import words
from quorate.surfaces.http.surface import Route, Surface, Who

Table: TypeAlias = Sequence[Route[UseCases]]

SECURITY: Final = {
    "bearerToken": {"type": "http", "scheme": "bearer", "description": "a session's token"},
    "apiKeyAuth": {"type": "http", "scheme": "basic", "description": "an app's id and the secret of one of its keys"},
}


def surface(cases: UseCases) -> Surface[UseCases]:
    """Make the surface."""
    return Surface(
        SURFACE,
        [replace(route, tag=tag) for tag, table in TABLES.items() for route in table],
        services=cases,
        words=words,
        sign_in=sessions.sign_in,
        prefixes=("/sys", "/crypto"),
        base="/sys/v1",
        title="Quorate: quorum approval requests, for clients of Fortanix",
        security=SECURITY,
        otherwise=direct.call,
    )


def _route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route[UseCases]:
    return Route(method=method, path=path, handler=handler, summary=summary, **more)


_SESSIONS: Final[Table] = (
    _route(
        "POST",
        "/session/auth",
        sessions.auth,
        "Open a session: by Basic, or with the credentials in the body",
        who=Who.ANYONE,
        body=reading.SignIn,
        body_optional=True,
        answer=sessions.AuthResponse,
        errors=(401, 403, 423, 429),
    ),
    _route(
        "POST",
        "/session/auth/2fa/fido2",
        factors.show_fido2,
        "Show the second factor that a session waits for",
        who=Who.ANYONE,
        body=reading.Fido2Given,
        status=204,
        errors=(401, 423, 429),
    ),
    _route(
        "POST",
        "/session/auth/2fa/u2f",
        factors.show_u2f,
        "Refused: U2F is no longer accepted for signing in",
        who=Who.ANYONE,
        errors=(400,),
    ),
    _route(
        "POST",
        "/session/select_account",
        sessions.select_account,
        "Select the account of a session, which has just one",
        body=reading.Account,
        answer=sessions.SelectAccount,
    ),
    _route("POST", "/session/refresh", sessions.refresh, "Prolong the session", status=204, errors=(400,)),
    _route("POST", "/session/terminate", sessions.terminate, "End the session", status=204, errors=(400,)),
    _route(
        "POST",
        "/session/reauth",
        sessions.reauth,
        "Open another session for the app that calls",
        answer=sessions.AuthResponse,
        errors=(400,),
    ),
)

_REQUESTS: Final[Table] = (
    _route(
        "POST",
        "/approval_requests",
        requests.create,
        "Ask for an operation to be approved",
        body=reading.NewRequest,
        answer=ApprovalRequest,
        errors=(404,),
    ),
    _route(
        "GET",
        "/approval_requests",
        requests.list_all,
        "List approval requests: one's own, those one reviews; auditors see all",
        query=reading.Filter,
        answer=list[ApprovalRequest],
    ),
    _route(
        "GET",
        "/approval_requests/{id}",
        requests.read,
        "Read an approval request",
        answer=ApprovalRequest,
        errors=(404,),
    ),
    _route(
        "DELETE",
        "/approval_requests/{id}",
        requests.delete,
        "Delete an approval request of one's own",
        status=204,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/approval_requests/{id}/approve",
        requests.approve,
        "Approve as a reviewer",
        body=reading.Approval,
        body_optional=True,
        answer=ApprovalRequest,
        errors=(404, 409, 423, 429),
    ),
    _route(
        "POST",
        "/approval_requests/{id}/deny",
        requests.deny,
        "Deny as a reviewer",
        body=reading.Denial,
        body_optional=True,
        answer=ApprovalRequest,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/approval_requests/{id}/challenge",
        factors.challenge,
        "Get a challenge for a security key, to approve with",
        query=reading.Wanted,
        answer=factors.MfaChallenge,
        errors=(404, 409, 429),
    ),
    _route(
        "POST",
        "/approval_requests/{id}/result",
        requests.result,
        "Fetch what the approved operation answered",
        answer=Result,
        errors=(404, 409),
    ),
)

_SERVER: Final[Table] = (
    _route("GET", "/health", sessions.health, "Say that the server is up", who=Who.ANYONE, status=204),
    _route("GET", "/version", sessions.version, "Say which version this is", who=Who.ANYONE, answer=sessions.Version),
)

TABLES: Final[Mapping[str, Table]] = {
    "Approval requests": _REQUESTS,
    "Sessions": _SESSIONS,
    "Server": _SERVER,
}
