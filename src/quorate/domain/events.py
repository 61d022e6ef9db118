"""What happened to a request, one value each. The history of a request is these, in order, and nothing else.

Every event has a moment `at`. `step` is the place of a step in the route, from 0. `by` is the account that acted,
None where time or a policy did.
"""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from quorate.domain.evidence import Signed
from quorate.domain.operations import Operation
from quorate.domain.workflows import Leaf, Route


class Outcome(enum.StrEnum):
    """The states of a request. All but the first are final, and final is final."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self is not Outcome.PENDING


class Choice(enum.StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Cause(enum.StrEnum):
    """What brought a request to its end."""

    DECISION = "decision"
    OVERRIDE = "override"
    TIME = "time"
    CANCEL = "cancel"
    POLICY = "policy"
    BREAK_GLASS = "break_glass"
    WAIVED = "waived"  # The tenant has settled that nobody need approve it.
    TARGET_CHANGED = "target_changed"


class RequestKind(enum.StrEnum):
    ACCESS = "access"
    OPERATION = "operation"
    GENERIC = "generic"


class Target(Struct, frozen=True, omit_defaults=True):
    """What is asked for: a role, a group or a resource, by id, with its name as it was.

    Of a resource also its own type, what it goes by outside, and what the resource it stands under goes by and is
    called.
    """

    type: str
    id: str
    name: str
    own_type: str | None = None
    external_id: str | None = None
    within: str | None = None
    within_name: str | None = None


class Duration(Struct, frozen=True):
    """How long the access shall last, as it was asked for. It starts at the final approval."""

    value: int
    unit: str


class Filing(Struct, frozen=True, omit_defaults=True):
    """What was asked, by whom, for whom: fixed at submission.

    `requester` is None only for a generic request about nobody we know. `filed_by` is who made the call.
    Names are kept as they were, so that history can be shown when an account is gone. `filed_with`: of a service,
    which of its credentials.
    `subject`, `metadata` and `details` are the caller's own, kept and shown as given. `operation`: what is asked by a
    request of that kind.
    `number` counts the requests of a tenant, with gaps.
    """

    kind: RequestKind
    filed_by: UUID
    requester: UUID | None = None
    beneficiary: UUID | None = None
    requester_name: str | None = None
    requester_email: str | None = None
    workflow: UUID | None = None
    workflow_name: str | None = None
    target: Target | None = None
    target_has_permissions: bool = False
    justification: str | None = None
    duration: Duration | None = None
    time_to_decide_s: int | None = None
    duplicate_key: str | None = None
    action: str | None = None  # What one wants to do with the target; None: have it.
    filed_with: UUID | None = None
    broke_glass: bool = False
    is_review: bool = False  # Of an access that break-glass has given already.
    waived: bool = False  # Nobody had to approve it: so the tenant has settled.
    subject: dict[str, Any] | None = None
    metadata: dict[str, Any] = {}
    details: dict[str, Any] = {}
    surface: str | None = None
    operation: Operation | None = None
    number: int | None = None

    @property
    def tracking(self) -> str | None:
        """What people call the request by, for instance `REQ-12`."""
        return None if self.number is None else f"REQ-{self.number}"


class Submitted(Struct, frozen=True, tag=True, omit_defaults=True):
    at: datetime
    filing: Filing
    route: Route


class StepOpened(Struct, frozen=True, tag=True, omit_defaults=True):
    """A step is waiting for decisions. `needs`: what each node of its tree needs, counted now and kept.

    `escalates_at`: when the first of those joins who join one after another; `remind_at`: when there is a reminder.
    """

    at: datetime
    step: int
    needs: tuple[int, ...]
    due_at: datetime | None = None
    escalates_at: datetime | None = None
    remind_at: datetime | None = None


class FellBack(Struct, frozen=True, tag=True, omit_defaults=True):
    """Nobody could decide the step; these joined it. `is_stuck`: even they are too few."""

    at: datetime
    step: int
    leaves: tuple[Leaf, ...]
    is_stuck: bool = False


class Decided(Struct, frozen=True, tag=True, omit_defaults=True):
    """One approver's decision, and the leaves it was given for.

    `human`: the person behind `by`. `on_behalf_of`: whose say a delegate used. `attached`: what the approver sent
    along, kept as it came. `factor`: the credential that was shown as a second factor, and `signed` what it signed,
    if it is a security key. `credential`: of a service, the one it came with. `auto`: made by asking; see `OwnSay`.
    """

    at: datetime
    step: int
    by: UUID
    human: UUID
    choice: Choice
    leaves: tuple[Leaf, ...]
    note: str | None = None
    on_behalf_of: UUID | None = None
    is_own: bool = False
    showed_password: bool = False
    showed_second_factor: bool = False
    attached: Any = None
    factor: UUID | None = None
    signed: Signed | None = None
    credential: UUID | None = None
    auto: bool = False


class Overridden(Struct, frozen=True, tag=True, omit_defaults=True):
    """An administrator settled the open step without being one of its approvers."""

    at: datetime
    step: int
    by: UUID
    human: UUID
    choice: Choice
    note: str | None = None
    is_own: bool = False
    showed_password: bool = False
    showed_second_factor: bool = False
    factor: UUID | None = None
    signed: Signed | None = None
    credential: UUID | None = None


class PassedByTime(Struct, frozen=True, tag=True, omit_defaults=True):
    """The step's time ran out and it says that this approves."""

    at: datetime
    step: int


class ApprovedByPolicy(Struct, frozen=True, tag=True, omit_defaults=True):
    at: datetime
    policy: str


class Reassigned(Struct, frozen=True, tag=True, omit_defaults=True):
    """The say of a human being, `giver`, went to `to`.

    `giver` is None when an administrator took a seat that was nobody's by name.
    """

    at: datetime
    step: int
    by: UUID
    giver: UUID | None
    to: UUID
    leaves: tuple[Leaf, ...]
    needs: tuple[int, ...]
    note: str | None = None


class Escalated(Struct, frozen=True, tag=True, omit_defaults=True):
    """These joined the step. `due_at`: its deadline from now on.

    `place`: of those who join one after another, which this is, from 1, and `next_at` when the next one does. None:
    the step was late, or somebody wanted it; that renewed the deadline.
    """

    at: datetime
    step: int
    leaves: tuple[Leaf, ...]
    due_at: datetime | None = None
    by: UUID | None = None
    place: int | None = None
    next_at: datetime | None = None


class Commented(Struct, frozen=True, tag=True, omit_defaults=True):
    at: datetime
    id: UUID
    by: UUID
    name: str
    text: str
    details: dict[str, Any] = {}
    credential: UUID | None = None


class Annotated(Struct, frozen=True, tag=True, omit_defaults=True):
    """Whoever decides put texts of their own beside what was asked, by name, or took some away."""

    at: datetime
    by: UUID
    put: dict[str, str] = {}
    removed: tuple[str, ...] = ()


class Reminded(Struct, frozen=True, tag=True, omit_defaults=True):
    """Those who can decide were reminded: by somebody, or because it was time. Then it is again at `next_at`."""

    at: datetime
    step: int
    by: UUID | None = None
    next_at: datetime | None = None


class Discarded(Struct, frozen=True, tag=True, omit_defaults=True):
    """The requester wants to see no more of it. It is kept, and so is its history."""

    at: datetime
    by: UUID


class Closed(Struct, frozen=True, tag=True, omit_defaults=True):
    """The request came to its end. `notices`: what the policies that ended it want to be said."""

    at: datetime
    status: Outcome
    cause: Cause
    by: UUID | None = None
    note: str | None = None
    notices: tuple[str, ...] = ()


Event = (
    Submitted
    | StepOpened
    | FellBack
    | Decided
    | Overridden
    | PassedByTime
    | ApprovedByPolicy
    | Reassigned
    | Escalated
    | Commented
    | Annotated
    | Reminded
    | Discarded
    | Closed
)
