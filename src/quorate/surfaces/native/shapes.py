"""What callers send, as structs that decode it. Unknown keys are ignored.

Source: native contract b.3–b.8; bounds from its (d) 18–23 and 42.
"""

from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from quorate.app.definitions import read_leaves, read_steps
from quorate.app.requests import NO_EVIDENCE, Evidence
from quorate.app.workflows import Change, Draft
from quorate.domain.events import Choice, Duration, Outcome
from quorate.domain.workflows import Leaf, Step
from quorate.surfaces.http.paging import MOST, Number, Paging
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.native.steps import LEAVES_SCHEMA, STEPS_SCHEMA

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Text = Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"\S")]
Note = Annotated[str, Meta(max_length=4000)]
Steps = Annotated[list[Any], Meta(extra_json_schema=STEPS_SCHEMA)]
Leaves = Annotated[list[Any], Meta(extra_json_schema=LEAVES_SCHEMA)]
Types = Annotated[list[Name], Meta(min_length=1, max_length=100)]
AutoApprove = Literal["none", "policy"]
ResourceType = Literal["role", "group", "resource"]

MOST_UNPAGED = 1000  # rows of a list for which no page was asked; source: native contract (d) 26


class Login(Struct, frozen=True, rename="camel"):
    """Credentials of a user. `rememberMe` makes the refresh token live longer."""

    email: Annotated[str, Meta(min_length=1, max_length=320, pattern=r"\S")]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]
    remember_me: bool = False


class Refresh(Struct, frozen=True, rename="camel"):
    """A refresh token; it counts once."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=1024)]


class NewWorkflow(Struct, frozen=True, rename="camel"):
    """A workflow to make. It begins as a draft."""

    name: Name
    steps: Steps
    description: Note | None = None
    resource_types: Types | None = None
    auto_approve: AutoApprove | None = None
    fallback_approvers: Leaves | None = None

    def read(self) -> Draft:
        """Raises `BadInput` with all that is wrong with the steps and the fallback approvers."""
        steps, fallback = _route(self.steps, self.fallback_approvers)
        return Draft(
            name=self.name.strip(),
            description=self.description,
            steps=steps,
            resource_types=_types(self.resource_types),
            auto_approve=self.auto_approve or "none",
            fallback=fallback,
        )


class ChangedWorkflow(Struct, frozen=True, rename="camel"):
    """What shall change. `steps` only while it is a draft; they replace the whole list."""

    name: Name | UnsetType = UNSET
    description: Note | UnsetType | None = UNSET
    steps: Steps | UnsetType = UNSET
    resource_types: Types | UnsetType | None = UNSET
    auto_approve: AutoApprove | UnsetType | None = UNSET
    fallback_approvers: Leaves | UnsetType | None = UNSET

    def read(self) -> Change:
        """Raises `BadInput` with all that is wrong with the steps and the fallback approvers."""
        steps, fallback = _route(
            None if self.steps is UNSET else self.steps,
            None if self.fallback_approvers is UNSET else self.fallback_approvers,
        )
        return Change(
            name=UNSET if self.name is UNSET else self.name.strip(),
            description=self.description,
            steps=UNSET if self.steps is UNSET else steps,
            resource_types=UNSET if self.resource_types is UNSET else _types(self.resource_types),
            auto_approve=UNSET if self.auto_approve is UNSET else self.auto_approve or "none",
            fallback=UNSET if self.fallback_approvers is UNSET else fallback,
        )


class NewInstance(Struct, frozen=True, rename="camel"):
    """What a workflow started by hand is about: anything."""

    subject: dict[str, Any]
    metadata: dict[str, Any] | None = None


class DurationGiven(Struct, frozen=True, rename="camel"):
    """How long the access shall last, counted from the final approval."""

    # The bound keeps the end of the access a moment that can be written: a million days end before the year 9999.
    value: Annotated[int, Meta(ge=1, le=1_000_000)]
    unit: Literal["hours", "days"]


class NewRequest(Struct, frozen=True, rename="camel"):
    """What is asked for, and why. `forUserId`: for somebody else."""

    resource_type: ResourceType
    resource_id: Name
    justification: Text
    duration: DurationGiven | None = None
    for_user_id: Name | None = None
    break_glass: bool | None = None

    @property
    def lasting(self) -> Duration | None:
        return None if self.duration is None else Duration(self.duration.value, self.duration.unit)


class EvidenceGiven(Struct, frozen=True, rename="camel"):
    """What a step may demand of whoever approves: `webauthn` or `totp`, and `password`.

    `webauthn` is what the browser's `PublicKeyCredential.toJSON()` gives.
    """

    password: Annotated[str, Meta(max_length=1024)] | None = None
    webauthn: dict[str, Any] | None = None
    totp: Annotated[str, Meta(max_length=32)] | None = None

    def read(self) -> Evidence:
        return Evidence(self.password, self.webauthn, totp=self.totp)


class Decision(Struct, frozen=True, rename="camel"):
    """One approver's decision."""

    decision: Choice
    note: Note | None = None
    evidence: EvidenceGiven | None = None

    @property
    def words(self) -> str | None:
        return unless_blank(self.note)

    @property
    def shown(self) -> Evidence:
        return self.evidence.read() if self.evidence else NO_EVIDENCE


class Approval(Struct, frozen=True, rename="camel"):
    """An administrator's approval of the open step."""

    note: Note | None = None
    evidence: EvidenceGiven | None = None

    @property
    def words(self) -> str | None:
        return unless_blank(self.note)

    @property
    def shown(self) -> Evidence:
        return self.evidence.read() if self.evidence else NO_EVIDENCE


class Rejection(Struct, frozen=True, rename="camel"):
    """An administrator's rejection."""

    reason: Text


class Cancellation(Struct, frozen=True, rename="camel"):
    """Why a request is withdrawn."""

    reason: Note | None = None

    @property
    def words(self) -> str | None:
        return unless_blank(self.reason)


class Reassignment(Struct, frozen=True, kw_only=True):
    """To whom a say goes, and whose it is: the caller's own when `from` is left out."""

    to: Name
    giver: Name | None = msgspec.field(default=None, name="from")
    note: Note | None = None

    @property
    def words(self) -> str | None:
        return unless_blank(self.note)


class NewComment(Struct, frozen=True, rename="camel"):
    """Something to say to all who may read the request."""

    text: Text


class WholeList(Struct, frozen=True, kw_only=True):
    """The query of a list that need not be asked for by page: without page and limit, the first 1,000."""

    page: Number | None = None
    limit: Number | None = None

    @property
    def size(self) -> int:
        if self.limit is None:
            return MOST_UNPAGED if self.page is None else Paging().limit
        return min(self.limit, MOST)

    @property
    def offset(self) -> int:
        return ((self.page or 1) - 1) * self.size


class InstanceFilter(Paging, frozen=True, kw_only=True, rename="camel"):
    """The query of the list of instances."""

    workflow_id: str | None = None
    status: Outcome | None = None


class MyFilter(Paging, frozen=True, kw_only=True, rename="camel"):
    """The query of the list of one's own requests."""

    status: Outcome | None = None


class RequestFilter(Paging, frozen=True, kw_only=True, rename="camel"):
    """The query of the list of all requests."""

    status: Outcome | None = None
    requester_id: str | None = None
    resource_type: ResourceType | None = None


def as_id(text: str) -> UUID:
    """Read an id. Text that is none stands for an id nobody has: it is not refused for its shape.

    Source: native contract b.1.
    """
    try:
        return UUID(text) if len(text) == 36 else uuid4()
    except ValueError:
        return uuid4()


def as_id_if_said(text: str | UnsetType | None) -> UUID | UnsetType | None:
    """Read an id that may be left out, or be null."""
    return as_id(text) if isinstance(text, str) else text


def unless_blank(text: str | None) -> str | None:
    """Text of nothing but blanks says nothing. Source: native contract (d) 42."""
    return text if text and text.strip() else None


def _types(given: list[Name] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(dict.fromkeys(one.strip() for one in given))


def _route(steps: list[Any] | None, fallback: list[Any] | None) -> tuple[tuple[Step, ...], tuple[Leaf, ...]]:
    found, wrong = read_steps(steps) if steps is not None else ((), [])
    leaves, also_wrong = read_leaves(fallback)
    if wrong or also_wrong:
        raise BadInput.of([*wrong, *also_wrong])
    return found, leaves
