"""Britive's names for our things, and every problem and refusal as it says them.

Source: Britive contract §1 (errors as the SDK sees them), §2 (error body), §3; design §6.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct
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

ENVIRONMENT: Final = "environment"
SECRET: Final = "secret"  # noqa: S105  # A type of resource.


class Consumer(enum.Enum):
    """Which part of Britive a request would come from: what it is about decides."""

    ACCESS = enum.auto()
    RESOURCES = enum.auto()
    SECRETS = enum.auto()


CONSUMERS: Final[Mapping[Consumer, str]] = {
    Consumer.ACCESS: "papservice",
    Consumer.RESOURCES: "resourceprofile",
    Consumer.SECRETS: "secretmanager",
}
ACTIONS: Final[Mapping[Consumer, str]] = {
    Consumer.ACCESS: "papservice.profile.access",
    Consumer.RESOURCES: "resource.profile.checkout",
    Consumer.SECRETS: "sm.secret.read",
}


class ErrorShown(Struct, frozen=True, rename="camel"):
    """What went wrong. The SDK chooses an exception by `errorCode`, else by the status."""

    status: int
    message: str
    error_code: str
    details: str | None = None


Told = str | Callable[[Any], str]


class Face(Struct, frozen=True):
    """How a no looks. `code`, `message` and `details` may ask for the facts of the no."""

    status: int
    code: Told
    message: Told
    details: Callable[[Any], str | None] | None = None


def words(refused: Problem | Refusal) -> Response:
    """Put a problem or a refusal into words. Pure, and total: a test goes through all there are."""
    face = entry(FACES, refused)
    details = face.details(refused) if face.details else None
    return answer(
        ErrorShown(face.status, _told(face.message, refused), _told(face.code, refused), details), face.status
    )


def _told(said: Told, refused: Problem | Refusal) -> str:
    return said if isinstance(said, str) else said(refused)


VALIDATION: Final = "E1003"
FORBIDDEN: Final = "PE-0002"
ABSENT: Final = "AP-0004"
CONFLICT: Final = "AP-0009"


def _invalid(message: Told, details: Callable[[Any], str | None] | None = None) -> Face:
    return Face(400, VALIDATION, message, details)


def _forbidden(message: Told) -> Face:
    return Face(403, FORBIDDEN, message)


def _absent(what: str) -> Face:
    return Face(404, ABSENT, f"{what} does not exist")


def _conflict(message: Told) -> Face:
    return Face(409, CONFLICT, message)


def _wrong(bad: BadInput) -> str:
    return "; ".join(f"{one.field}: {one.message}" if one.field else one.message for one in bad.details)


def _code_of_input(bad: BadInput) -> str:
    return "AS-0002" if any(one.field == "justification" for one in bad.details) else VALIDATION


_LACKING: Final = {"justification": "AS-0001", "ticketType": "AS-0004", "ticketId": "AS-0005"}
_TOKENS: Final = {"expired": "AU-0017", "revoked": "AU-0016"}

FACES: Final[Mapping[type[Problem] | type[Refusal], Face]] = {
    # The call itself.
    BadInput: Face(400, _code_of_input, "The request is not valid", _wrong),
    TooLarge: _invalid("The request body is too large", _wrong),
    NoSuchPath: Face(404, "AP-0001", "There is nothing at this path"),
    WrongMethod: Face(405, "AP-0005", "This path does not take this method"),
    InternalError: Face(
        500, "E1000", lambda bug: f"Something went wrong on our side; the log knows it as {bug.request_id}"
    ),
    TryAgain: Face(503, "E1001", "The service cannot answer just now; please try again"),
    # Who calls.
    NotSignedIn: Face(
        401, lambda refused: _TOKENS.get(refused.why, "AU-0018"), "A valid API token or bearer token is needed"
    ),
    no.AccountInactive: Face(401, "AU-0018", "This account may do nothing at present"),
    InvalidCredentials: Face(401, "AU-0000", "These credentials are not valid"),
    InvalidClient: Face(401, "AU-0000", "These client credentials are not valid"),
    NoSession: Face(401, "AU-0018", "There is no such session"),
    OtherTenant: Face(401, "AU-0014", "The credential does not belong to the tenant that was called"),
    InvalidScope: _invalid("The client does not hold a permission it asked for"),
    AccountSuspended: _forbidden("This account is suspended"),
    AccountNotVerified: _forbidden("This account is not active yet"),
    TenantNotFound: _absent("The tenant"),
    TooOften: Face(429, "E1001", "Too many attempts; please come again later"),
    # Who may.
    no.NotPermitted: _forbidden(lambda lacks: f"This needs the permission {lacks.permission}"),
    no.NotAnApprover: _forbidden("This approval is not yours to decide"),
    no.OwnRequest: _forbidden("Nobody decides what is their own request"),
    no.GivesMore: _forbidden(lambda lacks: f"Nobody gives a permission they do not hold: {lacks.permission}"),
    no.NotTheRequester: _forbidden("Only whoever asked may have this done"),
    no.NoLongerTheirs: _forbidden("What came of an operation is only for who may still ask for it"),
    no.ApprovalRequired: _forbidden("This has to be approved first"),
    no.OverrideForbidden: _forbidden("No administrator may pass this level"),
    no.BreakGlassForbidden: _forbidden("The glass may not be broken"),
    no.DeniedByPolicy: Face(403, FORBIDDEN, "A policy refuses this", lambda denied: "; ".join(denied.notices) or None),
    no.EvidenceMissing: Face(
        403, "PE-0028", "Approving this needs a password or a second factor, which cannot be given here"
    ),
    no.EvidenceWrong: Face(403, "PE-0028", "What was shown is wrong"),
    no.LockedOut: Face(401, "AU-0021", "Too many wrong tries in a row; nothing counts for a while"),
    no.CannotChallenge: Face(403, "PE-0028", "There is nothing to sign with"),
    # What it is about.
    no.NoSuchRequest: _absent("The approval request"),
    no.NoSuchTarget: _absent("The profile, or what was asked for in it,"),
    no.NoSuchWorkflow: _absent("The workflow"),
    no.NoSuchUser: _absent("The user"),
    no.NoSuchGrant: _absent("The access"),
    no.NoSuchOperation: _absent("The operation"),
    NoSuchPolicy: _absent("The policy"),
    NoSuchProvider: _absent("The identity provider"),
    NoSuchWebhook: _absent("The notification medium"),
    # What state it is in.
    no.AlreadyDecided: _conflict("You have decided this request"),
    no.AlreadyClosed: _conflict("The request is not waiting for this any more"),
    no.NoResult: _conflict("There is no result yet"),
    no.NoApprovalNeeded: _conflict("This needs no approval"),
    no.GrantEnded: _conflict("The access has ended already"),
    no.DuplicateRequest: Face(400, "MA-0011", "There is a pending request for this already"),
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
    TooManyKeys: _conflict(lambda full: f"An account has at most {full.most} tokens that are good"),
    ProviderTaken: _conflict("This issuer and client are in use already"),
    TooManyWebhooks: _conflict(lambda full: f"A tenant has at most {full.most} notification media"),
    # What the call lacks.
    no.BadReference: Face(
        400,
        lambda bad: _LACKING.get(bad.field, VALIDATION),
        "The request is not valid",
        lambda bad: f"{bad.field}: {bad.why}",
    ),
    no.DurationTooLong: _invalid(lambda asked: f"At most {asked.max_seconds} seconds are allowed"),
    no.CommentRequired: _invalid("This decision needs an approverComment"),
    no.NoWorkflow: _invalid("Nobody can approve requests for this"),
    no.WorkflowNotActive: _invalid("The workflow is not active"),
    no.StepsFrozen: _invalid("The levels can be changed only while the workflow is a draft"),
    no.TimedApprovalForbidden: _invalid("A level that passes by time is not allowed for what carries permissions"),
    no.CannotReassign: _invalid("This say cannot be reassigned so"),
    BadPolicy: _invalid("The policy cannot be kept so"),
    BadProvider: _invalid("The identity provider is not valid", lambda bad: f"{bad.field}: {bad.why}"),
    BadWebhook: _invalid("The notification medium is not valid", lambda bad: f"{bad.field}: {bad.why}"),
}
