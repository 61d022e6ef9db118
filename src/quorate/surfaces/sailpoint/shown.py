"""A request as the vendor's approval: once in its first shape, once in the current one.

Source: SailPoint contract §4, §6, §7; design §6, a request from elsewhere.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from quorate.app.requests import Past
from quorate.app.search import Cast
from quorate.domain import events as happened
from quorate.domain.conditions import DEFAULT_PRIORITY
from quorate.domain.events import Choice, Outcome, RequestKind
from quorate.domain.requests import Request, StepState
from quorate.domain.workflows import Kind, Leaf, Node, Rule, Wants
from quorate.surfaces.sailpoint import shapes, timing
from quorate.surfaces.sailpoint.shapes import Decider, First, Identity, Person, Reference, Said
from quorate.surfaces.sailpoint.vocabulary import (
    IDENTITY,
    IDENTITY_TYPE,
    MANAGER_OF_ASKER,
    PASSED,
    REFERENCE_TYPE,
    REQUEST_TYPE,
    STATUS,
    STATUS_FIRST,
    calculation,
    criterion,
    type_of,
)

_WANTS: Final = {Wants.APPROVAL: "APPROVAL", Wants.REJECTION: "REJECTION", Wants.ALL: "ALL", Wants.NONE: "OFF"}


class Parts(Struct, frozen=True):
    """The heavy parts of the current shape that are wanted."""

    approvers: bool = True
    comments: bool = True
    reassignment_history: bool = True
    batch_info: bool = True
    decisions: bool = True

    @property
    def need_history(self) -> bool:
        return self.comments or self.reassignment_history


WHOLE: Final = Parts()


class View:
    """One request, who plays a part in it, and what happened to it, at a moment."""

    def __init__(self, request: Request, cast: Cast, past: list[Past], at: datetime) -> None:
        self._request, self._cast, self._past, self._at = request, cast, past, at
        self._filing, self._details = request.filing, request.filing.details
        self._status = request.shown_at(at)

    def first(self) -> First:
        """Show it in the first shape."""
        request = self._request
        state = request.current if request.walk else None
        leaves = dict.fromkeys(leaf for step in self._trees() for leaf in step.every_leaf())
        node = request.tree if state else None
        return First(
            approval_id=str(request.id),
            approvers=[self._first(self._of_leaf(leaf)) for leaf in leaves],
            created_date=moment(request.created_at),
            type=type_of(self._filing),
            name=[Said(self._title())],
            batch_request=self._batch(),
            description=self._description(),
            priority=self._priority(),
            requester=self._first(self._of(self._filing.requester)) if self._filing.requester else UNSET,
            comments=[
                shapes.Remark(self._first(one.author), one.comment, one.created_date) for one in self._comments()
            ],
            approved_by=[self._first(self._of(by)) for by, _, _ in self._deciders(Choice.APPROVE)],
            rejected_by=[self._first(self._of(by)) for by, _, _ in self._deciders(Choice.REJECT)],
            completed_date=_or_not(self._completed_at()),
            approval_criteria=criterion(node.n, state.needs[0]) if node and state and state.needs else "SINGLE",
            status=STATUS_FIRST[self._status],
            additional_attributes=self._attributes(),
            reference_data=self._references(),
        )

    def current(self, parts: Parts = WHOLE) -> shapes.Current:
        """Show it in the current shape."""
        request, filing = self._request, self._filing
        state = request.current if request.walk else None
        is_serial = len(request.route.steps) > 1
        batch = self._batch()
        return shapes.Current(
            id=str(request.id),
            tenant_id=str(request.tenant),
            type=type_of(filing),
            status=PASSED if filing.waived else STATUS[self._status],
            created_date=moment(request.created_at),
            modified_date=moment(request.updated_at),
            due_date=_or_not(request.due_at or (state.due_at if state else None)),
            completed_date=_or_not(self._completed_at()),
            escalation_step=str(state.escalations + state.is_escalated) if state else "0",
            serial_step=state.index + 1 if state and is_serial else 0,
            is_escalated=state is not None and _awaits_escalated(request, state),
            name=[Said(self._title())],
            description=self._description(),
            priority=self._priority(),
            approvers=[*self._approvers(is_serial)] if parts.approvers else UNSET,
            assigned_to=[*self._assigned(state, is_serial)] if state else [],
            requester=self._of(filing.requester) if filing.requester else UNSET,
            requestee=self._of(filing.beneficiary) if filing.beneficiary else UNSET,
            approved_by=self._decided(Choice.APPROVE) if parts.decisions else [],
            rejected_by=self._decided(Choice.REJECT) if parts.decisions else [],
            comments=[*self._comments()] if parts.comments else UNSET,
            batch_request=batch if parts.batch_info else UNSET,
            approval_config=_config(request) if parts.decisions else UNSET,
            approval_criteria=_criteria(request, is_serial=is_serial),
            additional_attributes=self._attributes(),
            reference_data=self._references(),
            reassignment_history=[*self._reassignments()] if parts.reassignment_history else UNSET,
            static_attributes=filing.metadata or UNSET,
            requested_target=[*self._targets()],
        )

    # What both shapes have.

    def _title(self) -> str:
        given = self._details.get("title")
        target = self._filing.target.name if self._filing.target else None
        return str(given or target or self._filing.workflow_name or "")

    def _description(self) -> list[Said]:
        text = self._details.get("description") or self._filing.justification
        return [Said(str(text))] if text else []

    def _priority(self) -> str:
        return str(self._details.get("priority") or DEFAULT_PRIORITY)

    def _batch(self) -> shapes.Batch | UnsetType:
        given = self._details.get("batch")
        return shapes.Batch(str(given["id"]), int(given.get("size") or 1)) if isinstance(given, dict) else UNSET

    def _references(self) -> list[Reference]:
        given = self._details.get("references") or ()
        found = [Reference(str(one["id"]), str(one["type"]), one.get("name") or UNSET) for one in given]
        if self._filing.kind is RequestKind.ACCESS:
            name = self._filing.target.name if self._filing.target else UNSET
            found.append(Reference(str(self._request.id), REFERENCE_TYPE, name))
        return found

    def _attributes(self) -> str:
        """Give the attributes it was filed with, what was put beside them, and what came with approvals, as JSON."""
        found = dict(self._details.get("attributes") or {})
        for state in self._request.walk:
            for made in state.decisions:
                if isinstance(made.attached, dict):
                    found |= made.attached.get("attributes") or {}
        return msgspec.json.encode(found | self._request.notes).decode()

    def _completed_at(self) -> datetime | None:
        return self._request.closed_at if self._request.status.is_final else _ended_by_time(self._request, self._status)

    def _comments(self) -> Iterator[shapes.Comment]:
        """Tell what was said, and the notes of those who decided or gave a say away."""
        for past in self._past:
            match past.event:
                case happened.Commented(id=id, by=by, text=text):
                    yield shapes.Comment(self._of(by), text, moment(past.at), str(id))
                case happened.Decided(by=by, note=note) | happened.Overridden(by=by, note=note) if note:
                    yield shapes.Comment(self._of(by), note, moment(past.at), str(past.command))
                case happened.Reassigned(by=by, to=to, note=note) if note and by != to:  # Else it is the decision's.
                    yield shapes.Comment(self._of(by), note, moment(past.at), str(past.command))
                case happened.Closed(cause=happened.Cause.CANCEL, by=by, note=note) if note and by:
                    yield shapes.Comment(self._of(by), note, moment(past.at), str(past.command))
                case _:
                    pass

    def _deciders(self, choice: Choice) -> Iterator[tuple[UUID, datetime | None, tuple[Leaf, ...]]]:
        for state in self._request.walk:
            yield from ((made.by, made.at, made.leaves) for made in state.decisions if made.choice is choice)
            if state.settled is choice and state.settled_by is not None:
                yield state.settled_by, None, ()

    # Who.

    def _of(self, id: UUID) -> Person:
        card = self._cast.people.get(id)
        return Person(str(id), IDENTITY, card.name if card else UNSET, (card.email if card else None) or UNSET)

    def _of_leaf(self, leaf: Leaf) -> Person:
        kind = IDENTITY_TYPE[leaf.kind]
        match leaf.kind:
            case Kind.USER | Kind.SERVICE:
                return self._of(UUID(leaf.value))
            case Kind.MANAGER:
                beneficiary = self._filing.beneficiary
                managed = leaf.managed(beneficiary)
                card = self._cast.people.get(managed) if managed else None
                manager = self._of(card.manager) if card and card.manager else Person(str(managed), kind)
                return msgspec.structs.replace(manager, type=kind if managed == beneficiary else MANAGER_OF_ASKER)
            case Kind.OWNER:
                return Person(self._filing.target.id if self._filing.target else "", kind)
            case Kind.GROUP | Kind.ROLE:
                return Person(leaf.value, kind, self._cast.groups.get(_id(leaf.value), leaf.value))
            case Kind.HOLDER:
                return Person(leaf.value, kind, leaf.value)

    @staticmethod
    def _first(person: Person) -> Identity:
        return Identity(person.identity_id, IDENTITY, person.name)  # The first shape knows no other type.

    def _trees(self) -> Iterator[Node]:
        """Give what the steps ask for: as it is now where they have been opened, else as it was written."""
        request = self._request
        for index, step in enumerate(request.route.steps):
            opened = request.opened(index)
            yield request.tree_of(opened) if opened else step.approvers

    def _approvers(self, is_serial: bool) -> Iterator[Person]:
        for index, tree in enumerate(self._trees(), 1):
            for leaf in dict.fromkeys(tree.every_leaf()):
                yield msgspec.structs.replace(self._of_leaf(leaf), serial_order=index if is_serial else 0)

    def _assigned(self, state: StepState, is_serial: bool) -> Iterator[Person]:
        """Name those who are still to act in the open step."""
        if self._status.is_final:
            return
        for leaf in dict.fromkeys(self._request.tree_of(state).every_leaf()):
            person = self._of_leaf(leaf)
            if leaf.names_one and _id(leaf.value) in state.closed_to:
                continue
            yield msgspec.structs.replace(person, serial_order=state.index + 1 if is_serial else 0)

    def _decided(self, choice: Choice) -> list[Decider]:
        found = []
        for by, at, leaves in self._deciders(choice):
            person = self._of(by)
            parties = [self._of_leaf(leaf) for leaf in leaves]
            acted_as = [Reference(one.identity_id, one.type, one.name) for one in parties]
            found.append(
                Decider(person.identity_id, IDENTITY, _or_not(at), person.name, person.email, actioned_as=acted_as)
            )
        return found

    def _reassignments(self) -> Iterator[shapes.Reassignment]:
        for past in self._past:
            at, id = moment(past.at), str(past.command)
            match past.event:
                case happened.Reassigned(by=by, giver=giver, to=to):
                    given = self._of(giver) if giver else UNSET
                    yield shapes.Reassignment(id, at, "MANUAL_REASSIGNMENT", given, self._of(to), self._of(by))
                case happened.Escalated(leaves=leaves, by=by):
                    for leaf in leaves:
                        to_whom, who = self._of_leaf(leaf), self._of(by) if by else UNSET
                        yield shapes.Reassignment(id, at, "ESCALATION", UNSET, to_whom, who)
                case happened.FellBack(leaves=leaves):
                    for leaf in leaves:
                        yield shapes.Reassignment(id, at, "AUTO_REASSIGNMENT", UNSET, self._of_leaf(leaf))
                case _:
                    pass

    def _targets(self) -> Iterator[shapes.Target]:
        target = self._filing.target
        if target is not None:
            wants = any(step.demand for step in self._request.route.steps)
            yield shapes.Target(target.id, target.name, target.type.upper(), REQUEST_TYPE, bool(wants))


def named(past: list[Past]) -> set[UUID]:
    """Name the accounts that a history mentions and the request itself does not."""
    found: set[UUID | None] = set()
    for one in past:
        match one.event:
            case happened.Reassigned(by=by, giver=giver, to=to):
                found |= {by, giver, to}
            case happened.Commented(by=by) | happened.Decided(by=by) | happened.Overridden(by=by):
                found.add(by)
            case happened.Escalated(by=by) | happened.Closed(by=by):
                found.add(by)
            case _:
                pass
    return {id for id in found if id is not None}


def moment(at: datetime) -> str:
    """Write a moment with milliseconds. Source: SailPoint contract §9, row 12."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def without(shape: First | shapes.Current, fields: frozenset[str]) -> First | shapes.Current | Mapping[str, Any]:
    """Leave out the fields that a caller cannot read."""
    if not fields:
        return shape
    plain: dict[str, Any] = msgspec.to_builtins(shape)
    return {name: value for name, value in plain.items() if name not in fields}


def _or_not(at: datetime | None) -> str | UnsetType:
    return UNSET if at is None else moment(at)


def _ended_by_time(request: Request, status: Outcome) -> datetime | None:
    return request.expires_at if status is Outcome.EXPIRED else None


def _awaits_escalated(request: Request, state: StepState) -> bool:
    """Say whether nobody has acted since the step was last escalated."""
    if state.escalated_at is None or not request.is_open:
        return False
    return all(made.at < state.escalated_at for made in state.decisions)


def _criteria(request: Request, *, is_serial: bool) -> shapes.Criteria:
    """Say what the open step, or else the first, needs. A tree of several levels shows what is still needed."""
    kind = "SERIAL" if is_serial else "PARALLEL"
    if not request.route.steps:
        return shapes.Criteria(kind, shapes.Calculation("COUNT", 1), shapes.Calculation("COUNT", 1))
    state = request.current if request.walk else None
    tree = request.tree if state else request.route.steps[0].approvers
    approval = shapes.Calculation(*calculation(tree.n))
    if state and state.needs and any(not _is_one(node) for node in tree.nodes):
        approved = {made.human for made in state.decisions if made.choice is Choice.APPROVE}
        approval = shapes.Calculation("COUNT", max(1, state.needs[0] - len(approved)))
    rejects = (request.step if state else request.route.steps[0]).rejects
    count = rejects.count if rejects.rule is Rule.COUNT else 1
    return shapes.Criteria(kind, approval, shapes.Calculation("COUNT", count))


def _is_one(node: Node) -> bool:
    """Say whether a node is what the vendor calls a governance group: one of many."""
    return node.n.value == 1 and len(node.members) == 1 and not node.nodes


def _config(request: Request) -> dict[str, Any]:
    """Show what the open step was frozen with."""
    if not request.route.steps:
        return {"circumventApprovalProcess": True} if request.filing.waived else {}
    step = request.step if request.walk else request.route.steps[0]
    shown: dict[str, Any] = {"requiresComment": _WANTS[step.requires_comment or Wants.NONE]}
    if step.own_say is not None:
        shown["autoApprove"] = step.own_say.value.upper()
    return shown | timing.shown(step.timeout_s, step.when_late, step.reminders, step.escalations)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
