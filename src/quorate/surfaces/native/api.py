"""The native surface: its table of routes, and the surface made of it.

Source: native contract b.3–b.8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from quorate.app.actor import Actor
from quorate.domain.permissions import WORKFLOW_READ, WORKFLOW_WRITE
from quorate.surfaces.http.signin import by_bearer
from quorate.surfaces.http.surface import Route, Surface, Who
from quorate.surfaces.native import (
    accounts,
    approvals,
    executions,
    grants,
    instances,
    requests,
    shapes,
    shown,
    workflows,
)
from quorate.surfaces.native.calls import IDEMPOTENCY
from quorate.surfaces.native.examples import example_of
from quorate.surfaces.native.routes_accounts import ACCOUNTS
from quorate.surfaces.native.routes_directory import DIRECTORY
from quorate.surfaces.native.routes_rules import OPERATIONS, POLICIES, PROVIDERS, WEBHOOKS
from quorate.surfaces.native.routes_step_up import STEP_UP
from quorate.surfaces.native.services import SURFACE, Call, Services
from quorate.surfaces.native.shown import Done, Ok
from quorate.surfaces.native.words import ErrorShown, words

Table: TypeAlias = Sequence[Route[Services]]

_IF_MATCH: Final = {"If-Match": "change it only if its ETag is still this one"}


def surface(services: Services) -> Surface[Services]:
    """Make the surface."""
    return Surface(
        SURFACE,
        [replace(route, tag=tag, example=example_of(route.body)) for tag, table in TABLES.items() for route in table],
        services=services,
        words=words,
        sign_in=_sign_in,
        base="/api/v1",
        prefixes=("/api/v1", "/api/v1/approvals/pending$", "/api/v1/approvals/pending/$"),
        title="Quorate: workflows, access requests and approvals",
        error=ErrorShown,
    )


async def _sign_in(http: Call) -> Actor:
    return await by_bearer(http, SURFACE)


def _route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route[Services]:
    return Route(method=method, path=path, handler=handler, summary=summary, **more)


_ACCOUNTS: Final[Table] = (
    _route(
        "POST",
        "/auth/login",
        accounts.login,
        "Sign in with a password",
        who=Who.ANYONE,
        body=shapes.Login,
        answer=accounts.LoginShown,
        errors=(401, 403, 404, 429),
        headers={"X-Tenant-ID": "which tenant, where there are several"},
    ),
    _route(
        "POST",
        "/auth/refresh",
        accounts.refresh,
        "Exchange a refresh token for new tokens",
        who=Who.ANYONE,
        body=shapes.Refresh,
        answer=Ok[accounts.TokensShown],
        errors=(401, 429),
    ),
    _route("POST", "/auth/logout", accounts.logout, "End the session", answer=Done, errors=(400,)),
    _route("GET", "/users/me", accounts.me, "Read one's own account", answer=Ok[accounts.MeShown]),
)

_WORKFLOWS: Final[Table] = (
    _route(
        "GET",
        "/workflows",
        workflows.list_all,
        "List workflows",
        who=WORKFLOW_READ,
        query=shapes.WholeList,
        answer=Ok[shown.WorkflowList],
    ),
    _route(
        "POST",
        "/workflows",
        workflows.create,
        "Make a workflow",
        who=WORKFLOW_WRITE,
        body=shapes.NewWorkflow,
        answer=Ok[shown.WorkflowShown],
        status=201,
        errors=(409,),
    ),
    _route(
        "GET",
        "/workflows/{id}",
        workflows.read,
        "Read a workflow",
        who=WORKFLOW_READ,
        answer=Ok[shown.WorkflowShown],
        errors=(404,),
    ),
    _route(
        "PUT",
        "/workflows/{id}",
        workflows.update,
        "Change a workflow",
        who=WORKFLOW_WRITE,
        body=shapes.ChangedWorkflow,
        body_optional=True,
        answer=Ok[shown.WorkflowShown],
        errors=(404, 409, 412),
        headers=_IF_MATCH,
    ),
    _route(
        "DELETE",
        "/workflows/{id}",
        workflows.delete,
        "Delete a workflow",
        who=WORKFLOW_WRITE,
        answer=Done,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/workflows/{id}/activate",
        workflows.activate,
        "Let requests walk through a workflow",
        who=WORKFLOW_WRITE,
        answer=Ok[shown.WorkflowStatus],
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/workflows/{id}/deactivate",
        workflows.deactivate,
        "Let no more requests into a workflow",
        who=WORKFLOW_WRITE,
        answer=Ok[shown.WorkflowStatus],
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/workflows/{id}/start",
        workflows.start,
        "Start a workflow by hand",
        who=WORKFLOW_WRITE,
        body=shapes.NewInstance,
        answer=Ok[shown.Started],
        status=201,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
)

_INSTANCES: Final[Table] = (
    _route(
        "GET",
        "/workflow-instances",
        instances.list_all,
        "List instances",
        who=WORKFLOW_READ,
        query=shapes.InstanceFilter,
        answer=Ok[shown.InstanceList],
    ),
    _route(
        "GET",
        "/workflow-instances/{id}",
        instances.read,
        "Read an instance",
        answer=Ok[shown.InstanceShown],
        errors=(404,),
    ),
    _route(
        "GET",
        "/workflow-instances/{id}/executions",
        instances.history,
        "Read what happened to an instance",
        answer=Ok[executions.ExecutionList],
        errors=(404,),
    ),
    _route(
        "POST",
        "/workflow-instances/{id}/cancel",
        instances.cancel,
        "Cancel an instance",
        who=WORKFLOW_WRITE,
        body=shapes.Cancellation,
        body_optional=True,
        answer=Done,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
)

_REQUESTS: Final[Table] = (
    _route(
        "POST",
        "/access-requests",
        requests.create,
        "Ask for access",
        body=shapes.NewRequest,
        answer=Ok[shown.RequestMade],
        status=201,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
    _route(
        "GET",
        "/access-requests",
        requests.list_all,
        "List access requests",
        who=WORKFLOW_READ,
        query=shapes.RequestFilter,
        answer=Ok[shown.RequestList],
    ),
    _route(
        "GET",
        "/access-requests/my-requests",
        requests.mine,
        "List one's own access requests",
        query=shapes.MyFilter,
        answer=Ok[shown.RequestList],
    ),
    _route(
        "GET",
        "/access-requests/pending-approvals",
        requests.pending,
        "List access requests that wait for approval",
        who=WORKFLOW_READ,
        query=shapes.WholeList,
        answer=Ok[shown.PendingList],
    ),
    _route(
        "GET",
        "/access-requests/{id}",
        requests.read,
        "Read an access request",
        answer=Ok[shown.RequestShown],
        errors=(404,),
    ),
    _route(
        "POST",
        "/access-requests/{id}/approve",
        requests.approve,
        "Approve the open step as an administrator",
        who=WORKFLOW_WRITE,
        body=shapes.Approval,
        body_optional=True,
        answer=Done,
        errors=(404, 409, 429),
        headers=IDEMPOTENCY,
    ),
    _route(
        "POST",
        "/access-requests/{id}/reject",
        requests.reject,
        "Reject as an administrator",
        who=WORKFLOW_WRITE,
        body=shapes.Rejection,
        answer=Done,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
    _route(
        "POST",
        "/access-requests/{id}/cancel",
        requests.cancel,
        "Withdraw an access request",
        body=shapes.Cancellation,
        body_optional=True,
        answer=Done,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
    _route(
        "GET",
        "/access-requests/{id}/approvers",
        requests.approvers,
        "List who can decide now",
        answer=Ok[shown.ApproverList],
        errors=(404,),
    ),
    _route(
        "GET",
        "/access-requests/{id}/comments",
        requests.list_comments,
        "List comments",
        answer=Ok[executions.CommentList],
        errors=(404,),
    ),
    _route(
        "POST",
        "/access-requests/{id}/comments",
        requests.add_comment,
        "Comment",
        body=shapes.NewComment,
        answer=Ok[executions.CommentShown],
        status=201,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
)

_APPROVALS: Final[Table] = (
    _route(
        "GET",
        "/approvals/pending",
        approvals.pending,
        "List what waits for one's decision",
        query=shapes.WholeList,
        answer=Ok[shown.ApprovalList],
    ),
    _route(
        "POST",
        "/approvals/{id}/decide",
        approvals.decide,
        "Decide",
        body=shapes.Decision,
        answer=Ok[shown.DecisionShown],
        errors=(404, 409, 429),
        headers=IDEMPOTENCY,
    ),
    _route(
        "POST",
        "/approvals/{id}/reassign",
        approvals.reassign,
        "Give a say to somebody else",
        body=shapes.Reassignment,
        answer=Done,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
)

_GRANTS: Final[Table] = (
    _route(
        "GET",
        "/grants",
        grants.list_all,
        "List grants: one's own, or all with workflow:read",
        query=grants.GrantFilter,
        answer=Ok[grants.GrantList],
    ),
    _route("GET", "/grants/{id}", grants.read, "Read a grant", answer=Ok[grants.GrantShown], errors=(404,)),
    _route(
        "POST",
        "/grants/{id}/revoke",
        grants.revoke,
        "Give a grant back, or take it away",
        body=grants.Revocation,
        body_optional=True,
        answer=Done,
        errors=(404, 409),
    ),
    _route(
        "GET",
        "/users/{id}/access",
        grants.access,
        "Read what somebody has now, by right and by grants",
        answer=Ok[grants.AccessList],
        errors=(404,),
    ),
)

TABLES: Final[Mapping[str, Table]] = {
    "Accounts": _ACCOUNTS,
    "Workflows": _WORKFLOWS,
    "Workflow instances": _INSTANCES,
    "Access requests": _REQUESTS,
    "Approvals": _APPROVALS,
    "Step-up": STEP_UP,
    "Grants": _GRANTS,
    "Operations": OPERATIONS,
    "Policies": POLICIES,
    "Webhooks": WEBHOOKS,
    "Identity provider": PROVIDERS,
    **ACCOUNTS,
    **DIRECTORY,
}
