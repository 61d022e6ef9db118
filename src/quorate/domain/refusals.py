"""Expected answers that say no: facts and a stable code, no HTTP, never an alarm.

Each surface gives every one of them a face of its own, in its `words.py`.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar
from uuid import UUID

_BY_CODE: dict[str, type["Refusal"]] = {}


class Refusal(Exception):
    """A no that the rules foresee. Subclasses are dataclasses of plain facts.

    `replayed`: it was given before, to the same call under the same idempotency key.
    """

    code: ClassVar[str]
    replayed = False

    def __init_subclass__(cls) -> None:
        if "code" in cls.__dict__:
            _BY_CODE[cls.code] = cls

    def facts(self) -> dict[str, Any]:
        """Give the facts by name, so that a refusal can be kept and given again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # Every subclass is a dataclass.

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.facts().items())
        return f"{self.code}({facts})"


def remembered(code: str, facts: dict[str, Any]) -> Refusal:
    """Make a kept refusal again from its code and facts. Ids and states come back as text."""
    return _BY_CODE[code](**facts)


def every_refusal() -> frozenset[type[Refusal]]:
    """Name every refusal there is, for the tests that demand an answer to each."""
    return frozenset(_BY_CODE.values())


# What is not there, or not for this caller.


@dataclass(eq=False)
class NoSuchRequest(Refusal):
    """No request (or task) of this id in this tenant."""

    code = "no_such_request"
    request: UUID | str


@dataclass(eq=False)
class NoSuchWorkflow(Refusal):
    """No live workflow of this id in this tenant."""

    code = "no_such_workflow"
    workflow: UUID | str


@dataclass(eq=False)
class NoSuchTarget(Refusal):
    """The role, group or resource that was asked for does not exist."""

    code = "no_such_target"
    type: str
    target: str


@dataclass(eq=False)
class NoSuchUser(Refusal):
    """A user who was named does not exist or is not active."""

    code = "no_such_user"
    user: UUID | str


@dataclass(eq=False)
class NotPermitted(Refusal):
    """The caller lacks a permission."""

    code = "not_permitted"
    permission: str


@dataclass(eq=False)
class AccountInactive(Refusal):
    """The caller's account is suspended, deactivated or gone."""

    code = "account_inactive"
    account: UUID | str


@dataclass(eq=False)
class NotAnApprover(Refusal):
    """This person has and had no say in the step."""

    code = "not_an_approver"
    request: UUID | str


@dataclass(eq=False)
class OwnRequest(Refusal):
    """The request is for, by or on behalf of the very person who would decide it."""

    code = "own_request"
    request: UUID | str


@dataclass(eq=False)
class GivesMore(Refusal):
    """It would give somebody a permission that the caller does not hold, or take it from them."""

    code = "gives_more"
    permission: str


@dataclass(eq=False)
class NoSuchOperation(Refusal):
    """Nothing says how this is carried out, and it is none of our own."""

    code = "no_such_operation"
    method: str
    path: str


@dataclass(eq=False)
class ApprovalRequired(Refusal):
    """This is done only once it has been asked for as an operation, and approved."""

    code = "approval_required"
    method: str
    path: str


@dataclass(eq=False)
class NotTheRequester(Refusal):
    """What came of an operation is for whoever asked for it."""

    code = "not_the_requester"
    request: UUID | str


@dataclass(eq=False)
class NoLongerTheirs(Refusal):
    """Whoever asked for an operation could not ask for it now, and the tenant keeps its result from such people."""

    code = "no_longer_theirs"
    request: UUID | str


# What state it is in.


@dataclass(eq=False)
class NoApprovalNeeded(Refusal):
    """Whoever may do this may do it at once."""

    code = "no_approval_needed"
    method: str
    path: str


@dataclass(eq=False)
class NoResult(Refusal):
    """There is nothing to fetch: the operation is not approved, or still being carried out. `status` says which."""

    code = "no_result"
    request: UUID | str
    status: str


@dataclass(eq=False)
class AlreadyDecided(Refusal):
    """This person has decided in this step, in whatever capacity."""

    code = "already_decided"
    request: UUID | str


@dataclass(eq=False)
class AlreadyClosed(Refusal):
    """The step, or the whole request, is no longer open. `status` is the request's."""

    code = "already_closed"
    request: UUID | str
    status: str


@dataclass(eq=False)
class DuplicateRequest(Refusal):
    """The beneficiary has an open request for the same thing."""

    code = "duplicate_request"
    request: UUID | str | None


@dataclass(eq=False)
class NoWorkflow(Refusal):
    """No active workflow governs what was asked for."""

    code = "no_workflow"
    type: str


@dataclass(eq=False)
class WorkflowNotActive(Refusal):
    """Only an active workflow can be started."""

    code = "workflow_not_active"
    workflow: UUID | str


@dataclass(eq=False)
class WorkflowState(Refusal):
    """The workflow is in a state that does not allow this. `wanted` is what was attempted."""

    code = "workflow_state"
    workflow: UUID | str
    status: str
    wanted: str


@dataclass(eq=False)
class WorkflowInUse(Refusal):
    """The workflow still has open requests."""

    code = "workflow_in_use"
    workflow: UUID | str


@dataclass(eq=False)
class StepsFrozen(Refusal):
    """The steps of a workflow may be replaced only while it is a draft."""

    code = "steps_frozen"
    workflow: UUID | str
    status: str


@dataclass(eq=False)
class NoSuchGrant(Refusal):
    """No grant of this id in this tenant."""

    code = "no_such_grant"
    grant: UUID | str


@dataclass(eq=False)
class GrantEnded(Refusal):
    """The grant has expired or been revoked already. `state` says which."""

    code = "grant_ended"
    grant: UUID | str
    state: str


@dataclass(eq=False)
class DuplicateName(Refusal):
    """The name is taken in this tenant."""

    code = "duplicate_name"
    name: str


@dataclass(eq=False)
class LoginTaken(Refusal):
    """Another user signs in with this."""

    code = "login_taken"
    login: str


@dataclass(eq=False)
class LastAdministrator(Refusal):
    """It would leave the tenant without an active user who holds the permission `admin` by right."""

    code = "last_administrator"


@dataclass(eq=False)
class AccountState(Refusal):
    """The account is in a state that does not allow this. `wanted` is what was attempted."""

    code = "account_state"
    account: UUID | str
    status: str
    wanted: str


@dataclass(eq=False)
class SystemRole(Refusal):
    """The role belongs to the system: nobody changes or deletes it."""

    code = "system_role"
    role: UUID | str


@dataclass(eq=False)
class HasChildren(Refusal):
    """Other resources stand under this one."""

    code = "has_children"
    resource: UUID | str


@dataclass(eq=False)
class PreconditionFailed(Refusal):
    """The thing has changed since the caller read it."""

    code = "precondition_failed"


@dataclass(eq=False)
class BreakGlassForbidden(Refusal):
    """The glass may not be broken. `why` is one of: disabled, person, beneficiary, target, duration, review."""

    code = "break_glass_forbidden"
    why: str


@dataclass(eq=False)
class DeniedByPolicy(Refusal):
    """A policy refuses the access. The request was kept, as rejected; `notices` are what the rules want to be said.

    `reason`: what the requester is told: the notices, else why it came out so.
    """

    code = "denied_by_policy"
    request: UUID | str
    notices: tuple[str, ...]
    reason: str = ""


@dataclass(eq=False)
class DurationTooLong(Refusal):
    """A policy allows the access, but not for so long."""

    code = "duration_too_long"
    max_seconds: int


# What the command itself lacks.


@dataclass(eq=False)
class CommentRequired(Refusal):
    """This step wants a note with this decision."""

    code = "comment_required"


@dataclass(eq=False)
class EvidenceMissing(Refusal):
    """An approval here needs evidence that did not come with it, or is no longer current."""

    code = "evidence_missing"
    password: bool
    second_factor: bool


@dataclass(eq=False)
class EvidenceWrong(Refusal):
    """What came with an approval is wrong, used up or out of date. It was counted.

    `factor` is one of webauthn, u2f, totp; None if it is only the password.
    """

    code = "evidence_wrong"
    password: bool
    factor: str | None


@dataclass(eq=False)
class LockedOut(Refusal):
    """Too many wrong tries in a row: for a while not even a right one counts."""

    code = "locked_out"
    retry_after_s: int


@dataclass(eq=False)
class CannotChallenge(Refusal):
    """There is nothing to sign with. `why` is one of: unset (the tenant takes no security keys), protocol (not this
    kind), no_key (the caller has registered none)."""

    code = "cannot_challenge"
    why: str


@dataclass(eq=False)
class OverrideForbidden(Refusal):
    """No administrator may pass this step."""

    code = "override_forbidden"
    request: UUID | str


@dataclass(eq=False)
class BadReference(Refusal):
    """What a field names cannot stand there. `why` is a sentence for people."""

    code = "bad_reference"
    field: str
    why: str


@dataclass(eq=False)
class CannotReassign(Refusal):
    """The say cannot go from or to this person. `why` is one of: requester, inactive, approver,
    decided, no_say."""

    code = "cannot_reassign"
    person: UUID | str
    why: str


@dataclass(eq=False)
class CannotEscalate(Refusal):
    """The step has been escalated before, or names nobody to escalate to."""

    code = "cannot_escalate"
    request: UUID | str


@dataclass(eq=False)
class RemindedRecently(Refusal):
    """The approvers were reminded less than an hour ago."""

    code = "reminded_recently"
    request: UUID | str


@dataclass(eq=False)
class TimedApprovalForbidden(Refusal):
    """A step may not pass by time alone for a target that carries permissions, or for an operation."""

    code = "timed_approval_forbidden"
    step: str


@dataclass(eq=False)
class KeyReused(Refusal):
    """The idempotency key has been used for another request."""

    code = "key_reused"
