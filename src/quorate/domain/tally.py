"""What the decisions of the open step amount to."""

import enum
from uuid import UUID

from quorate.domain import quorum, routing
from quorate.domain.people import People
from quorate.domain.requests import Request
from quorate.domain.workflows import Rule


class Verdict(enum.Enum):
    OPEN = enum.auto()
    PASSED = enum.auto()
    FAILED = enum.auto()


def tally(request: Request, people: People) -> Verdict:
    """Tally the open step. Rejection beats approval."""
    rejections = len(routing.rejecters(request.current, people))
    if rejections and _is_rejected(request, rejections, people):
        return Verdict.FAILED
    return Verdict.PASSED if is_met(request, people) else Verdict.OPEN


def is_met(request: Request, people: People) -> bool:
    """Say whether the open step's quorum is met by the decisions that count now."""
    state = request.current
    return quorum.met(request.tree, state.needs, routing.approvals(state, people))


def _is_rejected(request: Request, rejections: int, people: People) -> bool:
    rejects = request.step.rejects
    match rejects.rule:
        case Rule.ANY:
            return True
        case Rule.UNREACHABLE:
            return not routing.can_be_met(request, request.current, people)
        case Rule.COUNT:
            if rejections >= rejects.count:
                return True
            # Too few are left for either end: nothing would ever settle the step.
            out_of_reach = rejections + _left(request, people) < rejects.count
            return out_of_reach and not routing.can_be_met(request, request.current, people)


def _left(request: Request, people: People) -> int:
    """Count, from below, the people who could still decide the open step."""
    able = routing.still_able(request, request.current, people)
    crowds = [able(leaf) for leaf in request.tree.every_leaf()]
    known: frozenset[UUID] = frozenset().union(*(crowd.known for crowd in crowds))
    return len(known) + max((crowd.more for crowd in crowds), default=0)
