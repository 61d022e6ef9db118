"""What somebody may ask of a request. `actor` is the account that asks; the door has proved who it is.

Everything that is not the rules' to invent (ids, moments, verified evidence) comes with the command.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct

from quorate.domain.events import Cause, Choice, Filing, Outcome
from quorate.domain.evidence import Proof
from quorate.domain.workflows import Leaf, Route


class Submit(Struct, frozen=True):
    """File a request. `settled` says why it is at its end at once, where a policy or an emergency decides it."""

    actor: UUID
    filing: Filing
    route: Route
    settled: "Settled | None" = None


class Settled(Struct, frozen=True):
    """A request that nobody need decide: approved or refused by a policy, or approved because the glass was broken.

    `by` names the policy; `note` is what the requester is told.
    """

    status: Outcome
    cause: Cause
    by: str
    note: str | None = None
    notices: tuple[str, ...] = ()


class Decide(Struct, frozen=True):
    """Approve or reject in a step: the one at place `step` of the route, else the open one.

    `may_refuse_own`: the surface lets an approver reject what is their own (Fortanix): it only stops things.
    `attached`: JSON of the approver's own, to be kept with the decision. `through`: the program that passes it on.
    `credential`: of a service that decides, which one.
    """

    actor: UUID
    choice: Choice
    note: str | None = None
    step: int | None = None
    proof: Proof | None = None
    may_refuse_own: bool = False
    attached: Any = None
    credential: UUID | None = None
    through: UUID | None = None


class Override(Struct, frozen=True):
    """Settle the open step as an administrator, whoever its approvers are."""

    actor: UUID
    choice: Choice
    note: str | None = None
    proof: Proof | None = None
    credential: UUID | None = None


class TakeSeat(Struct, frozen=True):
    """Reassign a say to oneself as an administrator, and decide with it. `giver` None: any open seat.

    `attached`: as in `Decide`.
    """

    actor: UUID
    choice: Choice
    note: str | None = None
    giver: UUID | None = None
    proof: Proof | None = None
    attached: Any = None


class Reassign(Struct, frozen=True):
    """Give a say in the open step (or the one at place `step`) to somebody else. `giver` None: the actor's own."""

    actor: UUID
    to: UUID
    giver: UUID | None = None
    note: str | None = None
    step: int | None = None


class Comment(Struct, frozen=True):
    actor: UUID
    id: UUID
    text: str
    details: dict[str, Any] = {}
    credential: UUID | None = None


class Annotate(Struct, frozen=True):
    """Put texts beside what was asked, by name, and take others away. `text`: a comment on that, of this id."""

    actor: UUID
    id: UUID
    put: dict[str, str] = {}
    remove: tuple[str, ...] = ()
    text: str | None = None


class Cancel(Struct, frozen=True):
    actor: UUID
    note: str | None = None


class Discard(Struct, frozen=True):
    """Put what is the actor's own out of sight; if it is open, that ends it."""

    actor: UUID


class Escalate(Struct, frozen=True):
    """Let more people join the open step and renew its deadline. `to` None: whom the step names."""

    actor: UUID
    to: Leaf | None = None


class Remind(Struct, frozen=True):
    """Remind those who can decide the open step. `actor` None: the clock does, if it is time."""

    actor: UUID | None


class Recheck(Struct, frozen=True):
    """Look at the open step again because the directory changed. Nobody's wish, so nobody is refused it."""


class LoseTarget(Struct, frozen=True):
    """End it: what was asked for was renamed, moved or removed. Nobody's wish, so nobody is refused it."""


Command = (
    Submit
    | Decide
    | Override
    | TakeSeat
    | Reassign
    | Comment
    | Annotate
    | Cancel
    | Discard
    | Escalate
    | Remind
    | Recheck
    | LoseTarget
)
