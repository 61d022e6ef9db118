"""Every problem and every refusal in the vendor's shape: a status, and the message as plain text.

Source: Fortanix contract §5; what its table does not list is ours.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

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

Face = tuple[int, str | Callable[[Any], str]]


def words(refused: Problem | Refusal) -> Response:
    """Put a problem or a refusal into words. Pure, and total: a test goes through all there are."""
    status, message = entry(FACES, refused)
    return plain(status, message if isinstance(message, str) else message(refused))


def plain(status: int, message: str) -> Response:
    """Answer a message as the vendor's clients show it: as it stands."""
    return Response(message, status, {"Content-Type": "text/plain"})


def _bad(refused: BadInput) -> str:
    return "; ".join(f"{one.field} {one.message}" if one.field else one.message for one in refused.details)


def _missing(lacks: no.EvidenceMissing) -> str:
    wanted = [
        *(["your password"] if lacks.password else []),
        *(["two-factor authentication"] if lacks.second_factor else []),
    ]
    return f"This approval requires {' and '.join(wanted)}"


def _wrong(bad: no.EvidenceWrong) -> str:
    wrong = [*(["password"] if bad.password else []), *(["two-factor authentication"] if bad.factor else [])]
    return f"The {' and the '.join(wrong)} is not valid"


def _closed(closed: no.AlreadyClosed) -> str:
    word = {"approved": "approved", "rejected": "denied", "expired": "expired"}.get(closed.status)
    return f"This approval request is {word} already" if word else "This approval request is no longer pending"


_UNKNOWN: Final = "The approval request does not exist"
_ABSENT: Final = "What was named does not exist"
_FORBIDDEN: Final = "You are not allowed to do this"
_WHY_NO_CHALLENGE: Final = {
    "unset": "This account takes no security keys",
    "no_key": "You have registered no security key",
    "protocol": "Security keys of this kind are not accepted",
}

FACES: Final[Mapping[type[Problem] | type[Refusal], Face]] = {
    # The call itself.
    BadInput: (400, _bad),
    TooLarge: (400, _bad),
    NoSuchPath: (404, "There is nothing at this path"),
    WrongMethod: (405, "This path does not take this method"),
    InternalError: (500, lambda bug: f"Something went wrong on our side; the log knows it as {bug.request_id}"),
    TryAgain: (503, "The service is not available just now; please try again"),
    # Who calls.
    NotSignedIn: (401, "A valid session or API key is required"),
    no.AccountInactive: (401, "This user or app may do nothing at present"),
    InvalidCredentials: (401, "The credentials are not valid"),
    InvalidClient: (401, "The credentials are not valid"),
    TenantNotFound: (400, "These credentials fit several accounts; name one as X-Tenant-ID"),
    AccountSuspended: (403, "This user is suspended"),
    AccountNotVerified: (403, "This user is not active yet"),
    OtherTenant: (403, "The credentials belong to another account than X-Tenant-ID names"),
    NoSession: (400, "This call was not made in a session of this kind"),
    TooOften: (429, "Too many attempts; please come again later"),
    no.LockedOut: (423, "Too many wrong attempts; this is locked for a while"),
    # An approval request.
    no.NoSuchRequest: (404, _UNKNOWN),
    no.NotAnApprover: (403, "You are not a reviewer of this approval request"),  # Who may not know of it got a 404.
    no.NotTheRequester: (403, "Only the requester may do this"),
    no.NoLongerTheirs: (403, "You may no longer ask for this operation, so its result is not for you"),
    no.OwnRequest: (403, "Nobody approves a request of their own"),
    no.AlreadyDecided: (409, "You have reviewed this approval request already"),
    no.AlreadyClosed: (409, _closed),
    no.NoResult: (409, "There is no result to fetch"),
    no.EvidenceMissing: (403, _missing),
    no.EvidenceWrong: (401, _wrong),
    no.CannotChallenge: (403, lambda shut: _WHY_NO_CHALLENGE.get(shut.why, _FORBIDDEN)),
    no.CommentRequired: (400, "A reason is required"),
    no.NoSuchOperation: (404, "This operation is not known here"),
    no.NoApprovalNeeded: (400, "This operation needs no approval"),
    no.ApprovalRequired: (403, "This operation requires approval"),  # Clients compare it literally (§4).
    # What calls here cannot meet, or only through an operation that is carried out for them.
    no.NotPermitted: (403, _FORBIDDEN),
    no.GivesMore: (403, _FORBIDDEN),
    no.OverrideForbidden: (403, _FORBIDDEN),
    no.BreakGlassForbidden: (403, _FORBIDDEN),
    no.DeniedByPolicy: (403, "A policy refuses this"),
    InvalidScope: (400, "The app does not hold a permission it asked for"),
    no.NoSuchWorkflow: (404, _ABSENT),
    no.NoSuchTarget: (404, _ABSENT),
    no.NoSuchUser: (404, _ABSENT),
    no.NoSuchGrant: (404, _ABSENT),
    NoSuchPolicy: (404, _ABSENT),
    NoSuchProvider: (404, _ABSENT),
    NoSuchWebhook: (404, _ABSENT),
    no.NoWorkflow: (400, "This operation needs no approval"),
    no.WorkflowNotActive: (400, "The policy for this operation is not active"),
    no.WorkflowState: (409, "The policy is in a state that does not allow this"),
    no.WorkflowInUse: (409, "Approval requests are still pending under this policy"),
    no.StepsFrozen: (409, "The policy can no longer be changed"),
    no.TimedApprovalForbidden: (400, "The policy would let time alone approve this operation"),
    no.DuplicateRequest: (409, "There is such a request already"),
    no.DuplicateName: (409, "The name is taken already"),
    no.LoginTaken: (409, "Another user signs in with this"),
    no.LastAdministrator: (409, "This would leave the account without an administrator"),
    no.AccountState: (409, "The user or app is in a state that does not allow this"),
    no.SystemRole: (409, "This role cannot be changed"),
    no.HasChildren: (409, "Other resources stand under this one"),
    no.PreconditionFailed: (409, "This has changed since it was read"),
    no.GrantEnded: (409, "This grant has ended already"),
    no.KeyReused: (409, "The idempotency key was used for another request"),
    no.CannotEscalate: (409, "This cannot be escalated"),
    no.RemindedRecently: (409, "The reviewers were reminded less than an hour ago"),
    no.CannotReassign: (400, "This cannot be reassigned so"),
    no.DurationTooLong: (400, "This is not allowed for so long"),
    no.BadReference: (400, lambda bad: f"{bad.field} {bad.why}"),
    BadPolicy: (400, "The policy is not valid"),
    BadProvider: (400, "The identity provider is not valid"),
    BadWebhook: (400, "The webhook is not valid"),
    TooManyKeys: (409, "There are too many keys already"),
    ProviderTaken: (409, "This issuer and client are in use already"),
    TooManyWebhooks: (409, "There are too many webhooks already"),
}
