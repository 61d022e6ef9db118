"""Every problem and every refusal in JITSudo's words: status, code, message, details, notices.

Source: JITSudo contract b.2 (the body, the labels), (d) 1, 2, 6–11, 17, 21, 24, 31.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

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
    InternalError,
    NoSuchPath,
    Problem,
    TooLarge,
    TryAgain,
    WrongMethod,
    entry,
)

STATUSES: Final = {"rejected": "denied"}
"""What we call otherwise. All other states have the same name. Source: design §6, last paragraph."""


class ErrorShown(Struct, frozen=True):
    """What went wrong. `notices` are what the policies' rules want to be said."""

    code: str
    message: str
    details: dict[str, Any] | UnsetType = UNSET
    notices: list[str] | UnsetType = UNSET


class Face(Struct, frozen=True):
    """How a no looks. `message`, `details` and `notices` may ask for the facts of the no."""

    status: int
    code: str
    message: str | Callable[[Any], str]
    details: Callable[[Any], dict[str, Any]] | None = None
    notices: Callable[[Any], list[str]] | None = None


def words(refused: Problem | Refusal) -> Response:
    """Put a problem or a refusal into words. Pure, and total: a test goes through all there are."""
    face = entry(FACES, refused)
    message = face.message if isinstance(face.message, str) else face.message(refused)
    details = face.details(refused) if face.details else {}
    notices = face.notices(refused) if face.notices else []
    return answer(ErrorShown(face.code, message, details or UNSET, notices or UNSET), face.status)


def _absent(what: str) -> Face:
    return Face(404, "not_found", f"{what} does not exist")


def _forbidden(message: str | Callable[[Any], str]) -> Face:
    return Face(403, "forbidden", message)


def _conflict(message: str | Callable[[Any], str]) -> Face:
    return Face(409, "conflict", message)


def _invalid(message: str | Callable[[Any], str], details: Callable[[Any], dict[str, Any]] | None = None) -> Face:
    return Face(400, "invalid_input", message, details)


def _wrong(bad: BadInput) -> dict[str, Any]:
    return {"errors": [{"field": one.field, "message": one.message} for one in bad.details]}


def _mistakes(bad: BadPolicy) -> dict[str, Any]:
    return {
        "errors": [
            {"field": _FIELDS.get(one.path, one.path), "message": one.message, "line": one.line, "column": one.column}
            for one in bad.problems
        ]
    }


def _status(status: str) -> str:
    return STATUSES.get(status, status)


_FIELDS: Final = {
    "cedar": "policy_text",
    "maxDurationSeconds": "max_duration_seconds",
    "defaultDurationSeconds": "default_duration_seconds",
    "approvalTimeoutSeconds": "approval_timeout_seconds",
}
_SHUT: Final = {
    "disabled": "this tenant does not allow it",
    "person": "this account may not",
    "beneficiary": "it is for oneself only",
    "target": "not for this resource",
    "duration": "not for so long",
    "review": "an earlier one still waits for its review",
}

FACES: Final[Mapping[type[Problem] | type[Refusal], Face]] = {
    # The call itself.
    BadInput: _invalid("The request is not valid", _wrong),
    TooLarge: _invalid("The request body is too large", _wrong),
    NoSuchPath: Face(404, "not_found", "There is nothing at this path"),
    WrongMethod: Face(405, "method_not_allowed", "This path does not take this method"),
    InternalError: Face(
        500, "internal", lambda bug: f"Something went wrong on our side; the log knows it as {bug.request_id}"
    ),
    TryAgain: Face(503, "unavailable", "The service cannot answer just now; please try again"),
    # Who calls.
    NotSignedIn: Face(401, "unauthenticated", "A valid API key or bearer token is needed"),
    no.AccountInactive: Face(401, "unauthenticated", "This account may do nothing at present"),
    InvalidCredentials: Face(401, "unauthenticated", "These credentials are not valid"),
    InvalidClient: Face(401, "unauthenticated", "These client credentials are not valid"),
    NoSession: Face(401, "unauthenticated", "There is no such session"),
    OtherTenant: Face(403, "tenant_mismatch", "The credential does not belong to the tenant that X-Tenant-ID names"),
    InvalidScope: _invalid("The client does not hold a permission it asked for"),
    AccountSuspended: _forbidden("This account is suspended"),
    AccountNotVerified: _forbidden("This account is not active yet"),
    TenantNotFound: _absent("The tenant"),
    TooOften: Face(429, "rate_limited", "Too many attempts; please come again later"),
    # Who may.
    no.NotPermitted: _forbidden(lambda lacks: f"This needs the permission {lacks.permission}"),
    no.NotAnApprover: _forbidden("This request is not yours to decide"),
    no.OwnRequest: _forbidden("Nobody decides what is their own request"),
    no.GivesMore: _forbidden(lambda lacks: f"Nobody gives a permission they do not hold: {lacks.permission}"),
    no.OverrideForbidden: _forbidden("No administrator may pass this step"),
    no.EvidenceMissing: _forbidden("Approving this needs a password or a second factor, which cannot be given here"),
    no.EvidenceWrong: _forbidden("The evidence that came with this approval is wrong"),
    no.LockedOut: Face(429, "rate_limited", "Too many wrong tries in a row; nothing counts for a while"),
    no.CannotChallenge: _conflict("There is nothing to sign with"),
    no.BreakGlassForbidden: _forbidden(lambda shut: f"The glass may not be broken: {_SHUT.get(shut.why, shut.why)}"),
    no.DeniedByPolicy: Face(
        403,
        "policy_denied",
        lambda denied: "A policy refuses this" if denied.notices else f"This is refused: {denied.reason}",
        lambda denied: {"request_id": str(denied.request)},
        lambda denied: list(denied.notices),
    ),
    no.ApprovalRequired: _forbidden("This operation requires approval"),
    no.NotTheRequester: _forbidden("What came of an operation is for whoever asked for it"),
    no.NoLongerTheirs: _forbidden("What came of an operation is only for who may still ask for it"),
    # What it is about.
    no.NoSuchOperation: Face(404, "not_found", lambda sought: f"There is no operation {sought.method} {sought.path}"),
    no.NoSuchRequest: _absent("The request"),
    no.NoSuchWorkflow: _absent("The workflow"),
    no.NoSuchTarget: Face(404, "not_found", lambda sought: f"The {sought.type} {sought.target!r} does not exist"),
    no.NoSuchUser: _absent("The user"),
    no.NoSuchGrant: _absent("The grant"),
    NoSuchPolicy: _absent("The policy"),
    NoSuchProvider: _absent("The identity provider"),
    NoSuchWebhook: _absent("The notification channel"),
    # What state it is in.
    no.AlreadyDecided: _conflict("You have decided this request"),
    no.AlreadyClosed: _conflict(
        lambda closed: (
            "The request is not waiting for this decision any more"
            if closed.status == "pending"
            else f"The request is not pending: it is {_status(closed.status)}"
        )
    ),
    no.NoResult: _conflict("There is no result yet"),
    no.GrantEnded: _conflict(lambda ended: f"The grant is already {ended.state}"),
    no.DuplicateRequest: _conflict("There is a pending request for the same resource already"),
    no.KeyReused: _conflict("This idempotency key was used for another request"),
    no.WorkflowState: _conflict("The workflow is in a state that does not allow this"),
    no.WorkflowInUse: _conflict("Requests are still pending in this workflow"),
    no.DuplicateName: _conflict(lambda taken: f"The name {taken.name!r} is taken already"),
    no.LoginTaken: _conflict(lambda taken: f"Another user signs in as {taken.login!r}"),
    no.LastAdministrator: _conflict("This would leave the tenant without an administrator"),
    no.AccountState: _conflict("The account is in a state that does not allow this"),
    no.SystemRole: _conflict("This role belongs to the system and cannot be changed"),
    no.HasChildren: _conflict("Other resources stand under this one"),
    no.PreconditionFailed: _conflict("This was changed by somebody else at the same moment"),
    no.CannotEscalate: _conflict("This request cannot be escalated, or has been already"),
    no.RemindedRecently: _conflict("The approvers were reminded less than an hour ago"),
    TooManyKeys: _conflict(lambda full: f"An account has at most {full.most} keys that are good"),
    ProviderTaken: _conflict("This issuer and client are in use already; what their tokens say must name one tenant"),
    TooManyWebhooks: _conflict(lambda full: f"A tenant has at most {full.most} notification channels"),
    # What the call lacks.
    no.DurationTooLong: _invalid(
        lambda asked: f"A policy allows at most {asked.max_seconds} seconds",
        lambda asked: {"max_duration_seconds": asked.max_seconds},
    ),
    no.NoApprovalNeeded: _invalid("This operation needs no approval"),
    no.CommentRequired: _invalid("This decision needs a reasoning"),
    no.NoWorkflow: _invalid("Nobody can approve requests for this type of resource"),
    no.WorkflowNotActive: _invalid("The workflow is not active"),
    no.StepsFrozen: _invalid("The steps can be changed only while the workflow is a draft"),
    no.TimedApprovalForbidden: _invalid("A step that passes by time is not allowed for what carries permissions"),
    no.CannotReassign: _invalid("This say cannot be reassigned so"),
    no.BadReference: _invalid(
        "The request is not valid", lambda bad: {"errors": [{"field": bad.field, "message": bad.why}]}
    ),
    BadPolicy: _invalid("The policy cannot be kept so", _mistakes),
    BadProvider: _invalid(
        "The identity provider is not valid",
        lambda bad: {"errors": [{"field": "issuer_url" if bad.field == "issuer" else bad.field, "message": bad.why}]},
    ),
    BadWebhook: _invalid(
        "The notification channel is not valid", lambda bad: {"errors": [{"field": bad.field, "message": bad.why}]}
    ),
}
