"""JITSudo's surface: its table of routes, and the surface made of it. Source: JITSudo contract b.1, b.3, b.5–b.8."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from quorate.surfaces.http.surface import BEARER, Route, Surface, Who
from quorate.surfaces.jitsudo import (
    audit,
    channels,
    entitlements,
    grants,
    keys,
    oidc,
    policies,
    requests,
    shown,
    tenants,
)
from quorate.surfaces.jitsudo import reading as given
from quorate.surfaces.jitsudo.examples import example_of
from quorate.surfaces.jitsudo.services import SURFACE, Services
from quorate.surfaces.jitsudo.words import ErrorShown, words

Table: TypeAlias = Sequence[Route[Services]]

SECURITY: Final = {"api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}, **BEARER}


def surface(services: Services) -> Surface[Services]:
    """Make the surface."""
    return Surface(
        SURFACE,
        [
            replace(route, tag=tag, example=example_of(route.body), demands=_demands(route))
            for tag, table in TABLES.items()
            for route in table
        ],
        services=services,
        words=words,
        sign_in=given.sign_in,
        base="/v1",
        title="Quorate: JITSudo's API",
        error=ErrorShown,
        security=SECURITY,
    )


def _demands(route: Route[Services]) -> Mapping[str, str]:
    """Every call names its tenant, but for those that a browser makes by being sent there."""
    return route.demands if route.who is Who.ANYONE else given.TENANT


def _route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route[Services]:
    return Route(method=method, path=path, handler=handler, summary=summary, **more)


_REQUESTS: Final[Table] = (
    _route(
        "POST",
        "/requests",
        requests.create,
        "Submit access request",
        body=given.NewRequest,
        answer=shown.RequestShown,
        status=201,
        errors=(404, 409),
    ),
    _route(
        "GET",
        "/requests",
        requests.list_all,
        "List access requests",
        query=given.RequestListing,
        answer=shown.Listed[shown.RequestShown],
    ),
    _route("GET", "/requests/{id}", requests.read, "Read an access request", answer=shown.RequestShown, errors=(404,)),
    _route(
        "POST",
        "/requests/{id}/approve",
        requests.approve,
        "Approve an access request",
        body=given.Decision,
        body_optional=True,
        answer=shown.RequestShown,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/requests/{id}/deny",
        requests.deny,
        "Deny an access request",
        body=given.Decision,
        body_optional=True,
        answer=shown.RequestShown,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/requests/{id}/cancel",
        requests.cancel,
        "Cancel an access request",
        answer=shown.RequestShown,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/requests/{id}/messages",
        requests.add_message,
        "Say something about an access request",
        body=given.NewMessage,
        answer=shown.MessageShown,
        status=201,
        errors=(404,),
    ),
    _route(
        "GET",
        "/requests/{id}/messages",
        requests.list_messages,
        "List what was said about an access request",
        query=given.Listing,
        answer=shown.Listed[shown.MessageShown],
        errors=(404,),
    ),
)

_GRANTS: Final[Table] = (
    _route(
        "GET",
        "/grants",
        grants.list_all,
        "List grants",
        query=given.GrantListing,
        answer=shown.Listed[shown.GrantShown],
    ),
    _route("GET", "/grants/{id}", grants.read, "Read a grant", answer=shown.GrantShown, errors=(404,)),
    _route("DELETE", "/grants/{id}", grants.revoke, "Revoke a grant", answer=shown.GrantShown, errors=(404, 409)),
    _route(
        "POST",
        "/access/ensure",
        entitlements.ensure,
        "Ensure access",
        body=given.Ensuring,
        answer=entitlements.Ensured,
        errors=(404,),
    ),
    _route(
        "GET",
        "/access/requests/{id}",
        entitlements.status,
        "Read what became of an access request",
        answer=entitlements.RequestStatus,
        errors=(404,),
    ),
)

_POLICIES: Final[Table] = (
    _route(
        "POST",
        "/policies",
        policies.create,
        "Create a policy",
        body=given.NewPolicy,
        answer=policies.PolicyShown,
        status=201,
        errors=(409,),
    ),
    _route(
        "POST",
        "/policies/evaluate",
        policies.evaluate,
        "Ask the policies",
        body=given.Evaluation,
        answer=policies.EvaluationShown,
    ),
    _route(
        "PATCH",
        "/policies/{policyId}",
        policies.update,
        "Update a policy",
        body=given.ChangedPolicy,
        body_optional=True,
        answer=policies.PolicyShown,
        errors=(404, 409),
    ),
    _route(
        "POST",
        "/policies/{policyId}/rules",
        policies.add_rule,
        "Create a policy rule",
        body=given.NewRule,
        answer=policies.RuleShown,
        status=201,
        errors=(404, 409),
    ),
    _route(
        "GET",
        "/policies/{policyId}/rules",
        policies.list_rules,
        "List policy rules",
        query=given.Listing,
        answer=shown.Listed[policies.RuleShown],
        errors=(404,),
    ),
)

_ADMINISTRATION: Final[Table] = (
    _route(
        "GET",
        "/audit-log",
        audit.list_all,
        "List audit log",
        query=given.AuditListing,
        answer=shown.Listed[audit.EntryShown],
    ),
    _route(
        "POST",
        "/tenants",
        tenants.create,
        "Create a tenant: for administrators of the operator's",
        body=given.NewTenant,
        answer=tenants.TenantShown,
        status=201,
        errors=(409,),
    ),
    _route(
        "POST",
        "/api-keys",
        keys.create,
        "Create an API key",
        body=given.NewKey,
        answer=keys.KeyShown,
        status=201,
        errors=(409,),
    ),
    _route(
        "POST",
        "/notification-channels/generic-webhook",
        channels.create,
        "Create a generic webhook notification channel",
        body=given.NewChannel,
        answer=channels.ChannelShown,
        status=201,
        errors=(409,),
    ),
)

_SIGNING_IN: Final[Table] = (
    _route(
        "GET",
        "/auth/providers",
        oidc.providers,
        "List where one can sign in",
        who=Who.ANYONE,
        answer=shown.Listed[oidc.ProviderOffered],
        demands={"X-Tenant-ID": "whose people want to sign in"},
    ),
    _route(
        "GET",
        "/auth/login",
        oidc.login,
        "Go and sign in at the identity provider",
        who=Who.ANYONE,
        query=given.Departure,
        status=302,
        errors=(404, 429, 503),
    ),
    _route(
        "GET",
        "/auth/callback",
        oidc.callback,
        "Come back from the identity provider, for a JWT",
        who=Who.ANYONE,
        query=given.Arrival,
        answer=oidc.TokenShown,
        errors=(401, 429, 503),
    ),
    _route(
        "PUT",
        "/oidc-config",
        oidc.put,
        "Settle who says who somebody is",
        body=given.OidcSettings,
        answer=oidc.OidcShown,
        errors=(409,),
    ),
)

TABLES: Final[Mapping[str, Table]] = {
    "Signing in": _SIGNING_IN,
    "Requests": _REQUESTS,
    "Grants": _GRANTS,
    "Policies": _POLICIES,
    "Administration": _ADMINISTRATION,
}
