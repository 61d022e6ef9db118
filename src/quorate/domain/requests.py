"""A request: one asking, and its walk through the steps. The value that the rules work on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain.events import Choice, Decided, Filing, Outcome, RequestKind
from quorate.domain.workflows import Joined, Kind, Leaf, Node, OnTimeout, Route, Step, each_leaf_once


class StepState(Struct, frozen=True, omit_defaults=True):
    """A step that has been opened: what it needs, who has decided, what has changed since it was written.

    `tree` is None while the approvers are as the route says. `excluded` gave their say away.
    `settled` is the decision that an override or time made for the whole step. `is_escalated`: its deadline was renewed
    once; `escalations`: so many of those who join one after another have.
    """

    index: int
    opened_at: datetime
    needs: tuple[int, ...]
    due_at: datetime | None = None
    tree: Node | None = None
    excluded: frozenset[UUID] = frozenset()
    decisions: tuple[Decided, ...] = ()
    is_escalated: bool = False
    escalations: int = 0
    escalated_at: datetime | None = None
    escalates_at: datetime | None = None
    is_stuck: bool = False
    reminded_at: datetime | None = None
    reminders: int = 0
    remind_at: datetime | None = None
    settled: Choice | None = None
    settled_by: UUID | None = None
    settled_with: UUID | None = None

    def decided_by(self, human: UUID) -> Decided | None:
        """Find the decision that used this person's say, whoever made it."""
        return next((made for made in self.decisions if human in (made.human, made.on_behalf_of)), None)

    @property
    def spent(self) -> frozenset[UUID]:
        """The people whose say in this step has been used."""
        return frozenset(id for made in self.decisions for id in (made.human, made.on_behalf_of) if id is not None)

    @property
    def closed_to(self) -> frozenset[UUID]:
        """Those who cannot decide here any more: their say is used or given away.

        The accounts that decided are among them: a service that changes hands does not decide again.
        """
        return self.spent | self.excluded | {made.by for made in self.decisions}


class Request(Struct, frozen=True, omit_defaults=True):
    """The aggregate. `version` counts the events applied; 0 is the empty value that a submission starts from.

    `walk` holds the steps opened so far, the last one being the current or final one. `notes` are texts that those
    who decide put beside what was asked.
    """

    tenant: UUID
    id: UUID
    filing: Filing
    route: Route
    status: Outcome
    walk: tuple[StepState, ...]
    created_at: datetime
    updated_at: datetime
    due_by: datetime | None = None
    closed_at: datetime | None = None
    closed_by: UUID | None = None
    closing_note: str | None = None
    discarded_at: datetime | None = None
    notes: dict[str, str] = {}
    version: int = 0

    @property
    def is_open(self) -> bool:
        return self.status is Outcome.PENDING

    @property
    def current(self) -> StepState:
        """The step that is open, or was when the request ended."""
        return self.walk[-1]

    @property
    def step(self) -> Step:
        return self.route.steps[self.current.index]

    @property
    def tree(self) -> Node:
        return self.tree_of(self.current)

    @property
    def on_last_step(self) -> bool:
        return self.current.index == len(self.route.steps) - 1

    @property
    def beneficiary(self) -> UUID | None:
        return self.filing.beneficiary

    @property
    def due_at(self) -> datetime | None:
        """The next deadline: that of the open step or of the whole request; None when there is none."""
        if not self.is_open or not self.walk:
            return None
        return min((due for due in (self.due_by, self.current.due_at) if due is not None), default=None)

    @property
    def wakes_at(self) -> datetime | None:
        """The next moment at which time alone changes who may decide or how it stands; None when there is none."""
        due_at = self.due_at
        if not self.is_open or not self.walk or self.current.escalates_at is None:
            return due_at
        return self.current.escalates_at if due_at is None else min(due_at, self.current.escalates_at)

    @property
    def remind_at(self) -> datetime | None:
        """When those who can decide are reminded next; None when they are not."""
        return self.current.remind_at if self.is_open and self.walk else None

    @property
    def expires_at(self) -> datetime | None:
        """The moment from which the request is expired, whoever notices when; None when nothing makes that certain.

        A step that passes by time before the whole request is late may yet approve it.
        """
        if not self.is_open or not self.walk:
            return None
        if self.step.when_late is OnTimeout.APPROVE:
            return self.due_by if self.due_by == self.due_at else None
        certain = self.current.due_at if self.will_expire else None
        return min((due for due in (self.due_by, certain) if due is not None), default=None)

    @property
    def will_expire(self) -> bool:
        """Say whether the end of the open step's time ends the request."""
        match self.step.when_late:
            case OnTimeout.EXPIRE:
                return True
            case OnTimeout.ESCALATE:
                return self.current.is_escalated
            case OnTimeout.APPROVE:
                return False

    @property
    def may_be_overridden(self) -> bool:
        kept_from_administrators = self.filing.kind is RequestKind.OPERATION or self.filing.is_review
        return self.step.may_be_overridden and not kept_from_administrators

    @property
    def kept_until(self) -> datetime | None:
        """Until when an operation may be decided; once approved, until when its result may be fetched.

        Source: Fortanix contract §4: the span begins again with the approval.
        """
        span_s = self.filing.time_to_decide_s
        if self.status is not Outcome.APPROVED or self.closed_at is None or span_s is None:
            return self.due_by
        return self.closed_at + timedelta(seconds=span_s)

    def tree_of(self, state: StepState) -> Node:
        return state.tree or self.route.steps[state.index].approvers

    def opened(self, index: int) -> StepState | None:
        """Find an opened step by its place in the route."""
        return next((state for state in self.walk if state.index == index), None)

    def due_after(self, index: int, at: datetime) -> datetime | None:
        """Say when a step that opens (or is renewed) at this moment is late."""
        timeout_s = self.route.steps[index].timeout_s
        return None if timeout_s is None else at + timedelta(seconds=timeout_s)

    def shown_at(self, at: datetime) -> Outcome:
        """Give the status to show at a moment, when no worker has come round to write it yet."""
        expires_at = self.expires_at
        return Outcome.EXPIRED if expires_at is not None and expires_at <= at else self.status

    def askers(self) -> Iterator[UUID]:
        """Everybody this request is by or for, each once."""
        filing = self.filing
        yield filing.filed_by
        if filing.requester is not None and filing.requester != filing.filed_by:
            yield filing.requester
        if filing.beneficiary is not None and filing.beneficiary not in (filing.requester, filing.filed_by):
            yield filing.beneficiary


def with_leaves(tree: Node, *joining: Leaf) -> Node:
    """Let leaves join the root. What nodes need stays: n is never lowered."""
    present = set(tree.leaves)
    return msgspec.structs.replace(tree, members=tree.members + tuple(new for new in joining if new not in present))


def with_stand_in(tree: Node, leaves: tuple[Leaf, ...], to: UUID) -> Node:
    """Give the say that somebody has through these leaves to another person.

    A leaf that names them is replaced; beside a leaf that they are one member of, the other gets a leaf of
    their own (the giver is excluded for the step elsewhere).
    """
    members: list[Leaf | Node] = []
    for member in tree.members:
        if isinstance(member, Node):
            members.append(with_stand_in(member, leaves, to))
            continue
        stand_in = Leaf(Kind.USER, str(to), member.demand, member.joined)
        if member not in leaves:
            members.append(member)
        elif member.names_one or member.kind is Kind.MANAGER:
            members.append(stand_in)
        else:
            members += [member, stand_in]
    return msgspec.structs.replace(tree, members=tuple(each_leaf_once(members)))


def joining(step: Step, leaf: Leaf, why: Joined) -> Leaf:
    """Make the form in which a leaf joins an open step: it takes over all that the step demands."""
    return Leaf(leaf.kind, leaf.value, step.demand, why)
