"""Britive's surface: its table of routes, and the surface made of it. Source: Britive contract §2; design §6."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from quorate.surfaces.britive import access, approvals, callers, shown
from quorate.surfaces.britive import reading as given
from quorate.surfaces.britive.examples import example_of
from quorate.surfaces.britive.services import SURFACE, Services
from quorate.surfaces.britive.words import ErrorShown, words
from quorate.surfaces.http.surface import Route, Surface, Who

Table: TypeAlias = Sequence[Route[Services]]

_AUTHORIZATION: Final = {"type": "apiKey", "in": "header", "name": "Authorization"}
SECURITY: Final = {
    "token": _AUTHORIZATION | {"description": "TOKEN <credential>, or WorkloadToken <credential>"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_LIST: Final = "/api/v1/approvals"
_ONE: Final = "/api/v1/approvals/{id}"
PREFIXES: Final = (
    "/api",
    *(f"{path}{slash}$" for path in (_LIST, _ONE, f"{_ONE}/requestType={{requestType}}") for slash in ("", "/")),
    f"{_LIST}/consumer",
    f"{_LIST}/revoke",
)
"""All of `/api` that is not the native API's, and of `/api/v1` the approvals themselves."""


def surface(services: Services) -> Surface[Services]:
    """Make the surface."""
    return Surface(
        SURFACE,
        [replace(route, tag=tag, example=example_of(route.body)) for tag, table in TABLES.items() for route in table],
        services=services,
        words=words,
        sign_in=given.sign_in,
        prefixes=PREFIXES,
        base="/api",
        title="Quorate: Britive's approvals",
        error=ErrorShown,
        security=SECURITY,
        slashed=True,
    )


def _route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route[Services]:
    return Route(method=method, path=path, handler=handler, summary=summary, **more)


_APPROVALS: Final[Table] = (
    _route(
        "GET",
        "/v1/approvals",
        approvals.list_all,
        "List approvals",
        query=given.Listing,
        answer=shown.ApprovalsShown,
    ),
    _route(
        "GET",
        "/v1/approvals/{id}",
        approvals.read,
        "Read an approval",
        query=given.Getting,
        answer=shown.ApprovalShown,
        errors=(404,),
    ),
    _route(
        "GET",
        "/v1/approvals/{id}/requestType={requestType}",
        approvals.read_as,
        "Read an approval as one of a list",
        answer=shown.ApprovalShown,
        errors=(400, 404),
    ),
    _route(
        "PATCH",
        "/v1/approvals/{id}",
        approvals.decide,
        "Approve, reject or revoke",
        query=given.Deciding,
        body=given.Decision,
        body_optional=True,
        status=204,
        errors=(404, 409),
    ),
    _route(
        "DELETE",
        "/v1/approvals/{id}",
        given.for_oneself(approvals.withdraw),
        "Withdraw a request",
        status=204,
        errors=(404, 409),
    ),
    _route(
        "DELETE",
        "/v1/approvals/consumer/{consumer}/resource",
        given.for_oneself(approvals.withdraw_by_resource),
        "Withdraw a request by what it asks for",
        query=given.Withdrawal,
        status=204,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/v1/approvals/revoke",
        given.for_oneself(approvals.revoke),
        "Revoke what approvals gave",
        body=given.Revocation,
        status=202,
        errors=(404, 409),
    ),
)

_ACCESS: Final[Table] = (
    _route(
        "GET",
        "/access",
        access.profiles,
        "List applications, profiles and environments",
        answer=list[access.AppShown],
    ),
    _route(
        "POST",
        "/access/{profileId}/environments/{environmentId}/approvalRequest",
        given.for_oneself(access.ask_for_environment),
        "Ask for an environment of a profile",
        body=given.Asking,
        body_optional=True,
        answer=shown.ApprovalShown,
        errors=(404,),
    ),
    _route(
        "GET",
        "/resource-manager/my-resources",
        access.my_resources,
        "List the resources of profiles",
        answer=list[access.MyResourceShown],
    ),
    _route(
        "POST",
        "/resource-manager/my-resources/profiles/{profileId}/resources/{resourceId}/approvalRequest",
        given.for_oneself(access.ask_for_resource),
        "Ask for a resource of a profile",
        body=given.Asking,
        body_optional=True,
        answer=shown.ApprovalShown,
        errors=(404,),
    ),
)

_CALLERS: Final[Table] = (
    _route("GET", "/health", callers.health, "Say whether we are there", who=Who.ANYONE, answer=callers.Well),
    _route("GET", "/features", callers.features, "List features", answer=list[callers.Feature]),
    _route("POST", "/auth/validate", given.for_oneself(callers.validate), "Say who calls", answer=callers.Validated),
    _route(
        "POST",
        "/step-up/authenticate/{factor}",
        given.for_oneself(callers.step_up),
        "Show a one-time code, or a security key",
        body=given.StepUp,
        body_optional=True,
        answer=callers.SteppedUp,
        errors=(429,),
    ),
)

TABLES: Final[Mapping[str, Table]] = {"Approvals": _APPROVALS, "Access": _ACCESS, "Callers": _CALLERS}
