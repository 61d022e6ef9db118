"""The routes of operations, which wait for approval, of policies, which say what may be, of webhooks, which say what
has been, and of the identity provider, who says who is who.

Source: native contract b.7, b.8.
"""

from typing import Final

from quorate.app.cedar.policies import POLICY_WRITE
from quorate.domain.permissions import ADMIN, WEBHOOK_WRITE
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.native import operations, policies, providers, webhooks
from quorate.surfaces.native.calls import IDEMPOTENCY
from quorate.surfaces.native.routes import IF_MATCH, Table, route
from quorate.surfaces.native.shapes import Cancellation
from quorate.surfaces.native.shown import Done, Ok

OPERATIONS: Final[Table] = (
    route(
        "POST",
        "/operations",
        operations.create,
        "Ask that a call be made, once it is approved",
        body=operations.NewOperation,
        answer=Ok[operations.OperationShown],
        status=201,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
    route(
        "GET",
        "/operations/{id}",
        operations.read,
        "Read an operation, and what became of it",
        answer=Ok[operations.OperationShown],
        errors=(404,),
    ),
    route(
        "POST",
        "/operations/{id}/cancel",
        operations.cancel,
        "Withdraw an operation",
        body=Cancellation,
        body_optional=True,
        answer=Done,
        errors=(404, 409),
        headers=IDEMPOTENCY,
    ),
)

POLICIES: Final[Table] = (
    route(
        "GET",
        "/policies",
        policies.list_all,
        "List policies: needs workflow:read or policy:write",
        query=Paging,
        answer=Ok[policies.PolicyList],
    ),
    route(
        "POST",
        "/policies",
        policies.create,
        "Make a policy",
        who=POLICY_WRITE,
        body=policies.NewPolicy,
        answer=Ok[policies.PolicyShown],
        status=201,
        errors=(409,),
    ),
    route(
        "POST",
        "/policies/evaluate",
        policies.evaluate,
        "Ask what the policies would say: about oneself, or with policy:write about anybody",
        body=policies.Evaluation,
        answer=Ok[policies.EvaluationShown],
    ),
    route(
        "GET",
        "/policies/{id}",
        policies.read,
        "Read a policy",
        answer=Ok[policies.PolicyShown],
        errors=(404,),
    ),
    route(
        "PUT",
        "/policies/{id}",
        policies.update,
        "Change a policy",
        who=POLICY_WRITE,
        body=policies.ChangedPolicy,
        body_optional=True,
        answer=Ok[policies.PolicyShown],
        errors=(404, 409, 412),
        headers=IF_MATCH,
    ),
    route(
        "DELETE",
        "/policies/{id}",
        policies.delete,
        "Delete a policy",
        who=POLICY_WRITE,
        answer=Done,
        errors=(404, 412),
        headers=IF_MATCH,
    ),
)

WEBHOOKS: Final[Table] = (
    route(
        "GET",
        "/webhooks",
        webhooks.list_all,
        "List webhooks",
        who=WEBHOOK_WRITE,
        query=Paging,
        answer=Ok[webhooks.WebhookList],
    ),
    route(
        "POST",
        "/webhooks",
        webhooks.create,
        "Make a webhook; its secret is shown this once",
        who=WEBHOOK_WRITE,
        body=webhooks.NewWebhook,
        answer=Ok[webhooks.WebhookMade],
        status=201,
        errors=(409,),
    ),
    route(
        "GET",
        "/webhooks/{id}",
        webhooks.read,
        "Read a webhook",
        who=WEBHOOK_WRITE,
        answer=Ok[webhooks.WebhookShown],
        errors=(404,),
    ),
    route(
        "DELETE",
        "/webhooks/{id}",
        webhooks.delete,
        "Delete a webhook",
        who=WEBHOOK_WRITE,
        answer=Done,
        errors=(404,),
    ),
    route(
        "GET",
        "/webhooks/{id}/deliveries",
        webhooks.deliveries,
        "List what a webhook was sent, and what became of it",
        who=WEBHOOK_WRITE,
        query=webhooks.DeliveryFilter,
        answer=Ok[webhooks.DeliveryList],
        errors=(404,),
    ),
    route(
        "POST",
        "/webhooks/{id}/deliveries/{deliveryId}/replay",
        webhooks.replay,
        "Send a message again",
        who=WEBHOOK_WRITE,
        answer=Ok[webhooks.DeliveryShown],
        errors=(404,),
    ),
)

PROVIDERS: Final[Table] = (
    route(
        "GET",
        "/identity-provider",
        providers.read,
        "Read who outside says who somebody is",
        who=ADMIN,
        answer=Ok[providers.ProviderShown],
        errors=(404,),
    ),
    route(
        "PUT",
        "/identity-provider",
        providers.put,
        "Settle who outside says who somebody is",
        who=ADMIN,
        body=providers.ProviderGiven,
        answer=Ok[providers.ProviderShown],
        errors=(409,),
    ),
    route(
        "DELETE",
        "/identity-provider",
        providers.remove,
        "Let nobody outside say who somebody is",
        who=ADMIN,
        answer=Done,
        errors=(404,),
    ),
)
