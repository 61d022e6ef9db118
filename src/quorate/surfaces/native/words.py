"""Every problem and every refusal in the native API's words: status, code, message, details.

Source: native contract b.1 (the envelope), b.2 (what every route may answer), b.3–b.8 (each route's rows).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.app.actor import NotSignedIn, OtherTenant
from quorate.app.keyring import TooManyKeys
from quorate.app.limits import TooOften
from quorate.app.oidc.providers import BadProvider, NoSuchProvider, ProviderTaken
from quorate.app.sessions import NoSession
from quorate.app.signin import (
    AccountNotVerified,
    AccountSuspended,
    InvalidClient,
    InvalidCredentials,
    InvalidScope,
    TenantNotFound,
)
from quorate.app.webhooks import BadWebhook, NoSuchWebhook, TooManyWebhooks
from quorate.domain import refusals as no
from quorate.domain.policy import BadPolicy, NoSuchPolicy
from quorate.domain.refusals import Refusal
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import (
    BadInput,
    Detail,
    InternalError,
    NoSuchPath,
    Problem,
    TooLarge,
    TryAgain,
    WrongMethod,
    entry,
)

REPLAYED: Final = {"Idempotency-Replayed": "true"}


class ErrorBody(Struct, frozen=True):
    """What went wrong: a stable code, a sentence for people, and field by field where that helps."""

    code: str
    message: str
    details: list[Detail] | UnsetType = UNSET


class ErrorShown(Struct, frozen=True, kw_only=True):
    """The envelope of every error."""

    success: Literal[False] = False
    error: ErrorBody


class Face(Struct, frozen=True):
    """How a no looks. `message` and `details` may ask for the facts of the no."""

    status: int
    code: str
    message: str | Callable[[Any], str]
    details: Callable[[Any], list[Detail]] | None = None


def words(refused: Problem | Refusal) -> Response:
    """Put a problem or a refusal into words. Pure, and total: a test goes through all there are."""
    face = entry(FACES, refused)
    message = face.message if isinstance(face.message, str) else face.message(refused)
    details = face.details(refused) if face.details else []
    shown = ErrorShown(error=ErrorBody(face.code, message, details or UNSET))
    return answer(shown, face.status, REPLAYED if getattr(refused, "replayed", False) else None)


def _absent(what: str) -> Face:
    return Face(404, "RESOURCE_NOT_FOUND", f"{what} does not exist in this tenant")


def _forbidden(message: str | Callable[[Any], str]) -> Face:
    return Face(403, "FORBIDDEN", message)


def _conflict(message: str | Callable[[Any], str]) -> Face:
    return Face(409, "CONFLICT", message)


def _invalid(message: str, *fields: str) -> Face:
    return Face(400, "VALIDATION_ERROR", message, lambda _: [Detail(message, field) for field in fields])


def _evidence(missing: no.EvidenceMissing) -> list[Detail]:
    found = []
    if missing.password:
        found.append(Detail("the password is needed, and must be current", "evidence.password"))
    if missing.second_factor:
        found.append(Detail("a second factor is needed, and must be current: this or totp", "evidence.webauthn"))
    return found


def _wrong(wrong: no.EvidenceWrong) -> list[Detail]:
    found = [Detail("is not right", "evidence.password")] if wrong.password else []
    if wrong.factor is not None:
        found.append(Detail("is not right, was used before, or came too late", f"evidence.{wrong.factor}"))
    return found


def _mistakes(bad: BadPolicy) -> list[Detail]:
    return [
        Detail(one.message if one.line is None else f"line {one.line}, column {one.column}: {one.message}", one.path)
        for one in bad.problems
    ]


_DONE: Final = {
    "activate": "activated",
    "deactivate": "deactivated",
    "delete": "deleted",
    "suspend": "suspended",
    "reactivate": "reactivated",
}
_WHY_NOT: Final = {
    "requester": "is whom the request is by or for",
    "inactive": "is no active user",
    "approver": "is an approver of this step already",
    "decided": "has decided in this step",
    "no_say": "has no say in this step",
}

_NO_CHALLENGE: Final = {
    "unset": "This tenant takes no security keys",
    "protocol": "This tenant does not take this kind of security key",
    "no_key": "You have registered no security key",
}
_SHUT: Final = {
    "disabled": "this tenant does not allow it",
    "person": "this account may not",
    "beneficiary": "it is for oneself only",
    "target": "not for this",
    "duration": "not for so long",
    "review": "an earlier one still waits for its review",
}

_PROVIDER_FIELDS: Final = {
    "client_id": "clientId",
    "client_secret": "clientSecret",
    "tenant_claim": "tenantClaim",
}

FACES: Final[Mapping[type[Problem] | type[Refusal], Face]] = {
    # The call itself.
    BadInput: Face(400, "VALIDATION_ERROR", "The request is not valid", lambda bad: list(bad.details)),
    TooLarge: Face(400, "VALIDATION_ERROR", "The request body is too large", lambda bad: list(bad.details)),
    NoSuchPath: Face(404, "RESOURCE_NOT_FOUND", "There is nothing at this path"),
    WrongMethod: Face(405, "METHOD_NOT_ALLOWED", "This path does not take this method"),
    InternalError: Face(
        500, "INTERNAL_ERROR", lambda bug: f"Something went wrong on our side; the log knows it as {bug.request_id}"
    ),
    TryAgain: Face(503, "UNAVAILABLE", "This cannot be answered just now; please try again"),
    # Who calls.
    NotSignedIn: Face(401, "UNAUTHORIZED", "A valid bearer credential is needed"),
    no.AccountInactive: Face(401, "UNAUTHORIZED", "This account may do nothing at present"),
    OtherTenant: _forbidden("The credential belongs to another tenant than X-Tenant-ID names"),
    no.NotPermitted: _forbidden(lambda lacks: f"This needs the permission {lacks.permission}"),
    InvalidCredentials: Face(401, "INVALID_CREDENTIALS", "These credentials are not valid"),
    InvalidClient: Face(401, "INVALID_CLIENT", "These client credentials are not valid"),
    InvalidScope: _invalid("The client does not hold a permission it asked for", "scope"),
    NoSession: _invalid("This call was not made in a session"),
    AccountSuspended: Face(403, "ACCOUNT_SUSPENDED", "This account is suspended"),
    AccountNotVerified: Face(403, "ACCOUNT_NOT_VERIFIED", "This account is not active yet"),
    TenantNotFound: Face(404, "TENANT_NOT_FOUND", "The tenant does not exist, or X-Tenant-ID must name one"),
    TooOften: Face(429, "RATE_LIMIT_EXCEEDED", "Too many attempts; please come again later"),
    no.GivesMore: _forbidden(lambda lacks: f"Nobody gives or takes a permission they do not hold: {lacks.permission}"),
    # What it is about.
    no.NoSuchRequest: _absent("This request or approval"),
    no.NotAnApprover: _absent("This request or approval"),  # Others' tasks are hidden; b.6.
    no.NoSuchWorkflow: _absent("The workflow"),
    no.NoSuchTarget: Face(404, "RESOURCE_NOT_FOUND", lambda sought: f"The {sought.type} does not exist in this tenant"),
    no.NoSuchUser: _absent("The user"),
    no.NoSuchGrant: _absent("The grant"),
    NoSuchPolicy: _absent("The policy"),
    NoSuchProvider: _absent("An identity provider"),
    NoSuchWebhook: _absent("This webhook or delivery"),
    no.NoSuchOperation: Face(
        404, "RESOURCE_NOT_FOUND", lambda sought: f"There is no operation {sought.method} {sought.path}"
    ),
    no.ApprovalRequired: Face(
        403,
        "FORBIDDEN",
        "This operation requires approval",  # Read literally by clients: Fortanix contract §4.
        lambda guarded: [Detail(f"ask for it at POST /api/v1/operations: {guarded.method} {guarded.path}")],
    ),
    no.NotTheRequester: _forbidden("What came of an operation is for whoever asked for it"),
    no.NoLongerTheirs: _forbidden("What came of an operation is only for who may still ask for it"),
    no.NoApprovalNeeded: _invalid("This operation needs no approval: it can be done at once", "path"),
    no.NoResult: _conflict(lambda early: f"There is no result yet: this is {early.status}"),
    no.OwnRequest: _forbidden("Nobody decides what is their own request"),
    # What state it is in.
    no.AlreadyDecided: _conflict("A decision has already been recorded"),
    no.AlreadyClosed: _conflict(
        lambda closed: "This is no longer pending" if closed.status == "pending" else f"This is already {closed.status}"
    ),
    no.GrantEnded: _conflict(lambda ended: f"This grant is already {ended.state}"),
    no.DuplicateRequest: _conflict("There is a pending request for the same resource already"),
    no.KeyReused: _conflict("This Idempotency-Key was used for another request"),
    no.WorkflowState: _conflict(
        lambda wrong: f"A workflow that is {wrong.status} cannot be {_DONE.get(wrong.wanted, wrong.wanted)}"
    ),
    no.WorkflowInUse: _conflict("Requests are still pending in this workflow"),
    no.DuplicateName: Face(409, "DUPLICATE_NAME", lambda taken: f"The name {taken.name!r} is taken already"),
    no.LoginTaken: _conflict(lambda taken: f"Another user signs in as {taken.login!r}"),
    no.LastAdministrator: _conflict("This would leave the tenant without an administrator"),
    no.AccountState: _conflict(
        lambda wrong: f"An account that is {wrong.status} cannot be {_DONE.get(wrong.wanted, wrong.wanted)}"
    ),
    no.SystemRole: _conflict("This role belongs to the system and cannot be changed"),
    no.HasChildren: _conflict("Other resources stand under this one"),
    no.PreconditionFailed: Face(412, "PRECONDITION_FAILED", "This has changed since you read it"),
    TooManyKeys: _conflict(lambda full: f"An account has at most {full.most} keys that are good"),
    ProviderTaken: _conflict("This issuer and client are in use already; what their tokens say must name one tenant"),
    TooManyWebhooks: _conflict(lambda full: f"A tenant has at most {full.most} webhooks"),
    no.BreakGlassForbidden: _forbidden(lambda shut: f"The glass may not be broken: {_SHUT.get(shut.why, shut.why)}"),
    no.DeniedByPolicy: Face(
        403, "FORBIDDEN", "A policy refuses this", lambda denied: [Detail(line) for line in denied.reason.splitlines()]
    ),
    no.DurationTooLong: Face(
        400,
        "VALIDATION_ERROR",
        "A policy allows this, but not for so long",
        lambda asked: [Detail(f"must be at most {asked.max_seconds} seconds", "duration")],
    ),
    no.OverrideForbidden: _forbidden("No administrator may pass this step"),
    no.CannotEscalate: _conflict("This step cannot be escalated, or has been already"),
    no.RemindedRecently: _conflict("The approvers were reminded less than an hour ago"),
    no.NoWorkflow: _invalid("No active workflow governs this resource type", "resourceType"),
    no.WorkflowNotActive: _invalid("The workflow is not active"),
    no.StepsFrozen: _invalid("The steps can be changed only while the workflow is a draft", "steps"),
    no.TimedApprovalForbidden: _invalid(
        "The workflow has a step that passes by time, which is not allowed for what carries permissions"
    ),
    # What the call lacks.
    BadPolicy: Face(400, "VALIDATION_ERROR", "The policy cannot be kept so", _mistakes),
    BadProvider: Face(
        400,
        "VALIDATION_ERROR",
        "The identity provider is not valid",
        lambda bad: [Detail(bad.why, _PROVIDER_FIELDS.get(bad.field, bad.field))],
    ),
    BadWebhook: Face(400, "VALIDATION_ERROR", "The webhook is not valid", lambda bad: [Detail(bad.why, bad.field)]),
    no.BadReference: Face(
        400, "VALIDATION_ERROR", "The request is not valid", lambda bad: [Detail(bad.why, bad.field)]
    ),
    no.CommentRequired: _invalid("This step wants a note with this decision", "note"),
    no.EvidenceMissing: Face(403, "FORBIDDEN", "This approval needs evidence that is missing", _evidence),
    no.EvidenceWrong: Face(403, "FORBIDDEN", "The evidence that came with this approval is wrong", _wrong),
    no.LockedOut: Face(429, "RATE_LIMIT_EXCEEDED", "Too many wrong tries in a row; nothing counts for a while"),
    no.CannotChallenge: _conflict(lambda lacks: _NO_CHALLENGE.get(lacks.why, lacks.why)),
    no.CannotReassign: Face(
        400,
        "VALIDATION_ERROR",
        "This say cannot be reassigned so",
        lambda bad: [Detail(_WHY_NOT.get(bad.why, bad.why), "from" if bad.why == "no_say" else "to")],
    ),
}
