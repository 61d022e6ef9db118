"""Who may decide what: the workflow that governs a request, the say a person has in a step, the people left."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from quorate.domain import quorum
from quorate.domain.events import Choice, RequestKind
from quorate.domain.people import LAST_RESORT, People, Person
from quorate.domain.permissions import REQUEST_APPROVE
from quorate.domain.requests import Request, StepState, joining
from quorate.domain.workflows import Joined, Kind, Leaf, Node, Route, Step, any_one_of


class Candidate(Struct, frozen=True):
    """An active workflow that could govern a request."""

    id: UUID
    resource_types: tuple[str, ...] | None
    activated_at: datetime


def choose(candidates: Sequence[Candidate], target_type: str, own: UUID | None, also: str | None = None) -> UUID | None:
    """Pick the workflow for a request: the target's own, else one that names the type, else a generic one.

    `also` is a second name of the type: an `aws_account` is a `resource` too. Of several, the most recently
    activated. None when nothing governs it.
    Source: native contract (d) 1.
    """
    if own is not None and any(candidate.id == own for candidate in candidates):
        return own
    naming = [one for one in candidates if {target_type, also} & set(one.resource_types or ())]
    generic = [one for one in candidates if one.resource_types is None]
    chosen = max(naming or generic, key=lambda one: (one.activated_at, one.id), default=None)
    return chosen.id if chosen else None


BUILT_IN: Final = Route((Step(1, "Approval", any_one_of(Leaf(Kind.HOLDER, REQUEST_APPROVE))),))
"""The way of a request that no workflow governs, where it may have one all the same: one who may approve decides.

Whom a policy lets approve decides too. Source: design §6, permissions; JITSudo contract (d) 2.
"""


def goes_the_built_in_way(request: Request) -> bool:
    """Say whether no workflow governs a request, and the built-in step's approvers are asked, whatever else is settled
    for that step.
    """
    steps, [built_in] = request.route.steps, BUILT_IN.steps
    return (
        request.filing.kind is RequestKind.ACCESS
        and request.filing.workflow is None
        and [step.approvers for step in steps] == [built_in.approvers]
    )


class Say(Struct, frozen=True):
    """A person's say in a step: through which leaves, and whose it is when it was delegated to them."""

    leaves: tuple[Leaf, ...]
    on_behalf_of: UUID | None = None


def say(request: Request, state: StepState, actor: Person, people: People, *, even_own: bool = False) -> Say | None:
    """Find the say an active account has in a step now, decided or not; None when it has none.

    Their own comes first; a delegator's only where they have none of their own, one that is still unspent if
    there is such a one. Those whom the request is by or for have none, through no path, unless the tenant
    allows it (or `even_own`).
    """
    if not people.is_active(actor.id):
        return None
    allowed = even_own or not bars_own(request, people)
    if is_own(request, actor, people) and not allowed:
        return None
    if not state.excluded.isdisjoint((actor.id, actor.human)):
        return None  # Who gave their say away is out of the step; another's say does not let them in again.
    own = _leaves(request, state, actor, actor, people)
    if own:
        return Say(own)
    delegated = []
    for id in sorted(actor.delegators):
        delegator = people.person(id)
        barred = is_own(request, delegator, people) and not allowed
        if delegator.active and not barred and (leaves := _leaves(request, state, delegator, actor, people)):
            delegated.append(Say(leaves, id))
    return min(delegated, key=lambda one: one.on_behalf_of in state.spent, default=None)


def _leaves(request: Request, state: StepState, person: Person, actor: Person, people: People) -> tuple[Leaf, ...]:
    """Find the leaves that admit a person, as far as the actor, who may be their delegate, can use them."""
    if not state.excluded.isdisjoint((person.id, person.human)):
        return ()
    found = tuple(
        leaf
        for leaf in dict.fromkeys(request.tree_of(state).every_leaf())
        if (people.admits(leaf, person, request.beneficiary) or (request.id, person.id) in people.permitted)
    )
    if any(leaf.joined is Joined.FALLBACK for leaf in found):
        own = askers(request, people)
        if person.human in own or actor.human in own:
            return tuple(leaf for leaf in found if leaf.joined is not Joined.FALLBACK)
    return found


def bars_own(request: Request, people: People) -> bool:
    """Say whether nobody may decide what is their own: unless the tenant allows it, and never in a review."""
    return not people.self_approval or request.filing.is_review


def is_own(request: Request, person: Person, people: People) -> bool:
    """Say whether the human behind an account is one of those whom the request is by or for."""
    return person.human in askers(request, people)


def askers(request: Request, people: People) -> frozenset[UUID]:
    """Name the human beings whom a request is by or for: themselves, or the owners of the services they are."""
    return frozenset(people.human(id) for id in request.askers())


def crowd_of(request: Request, state: StepState, people: People) -> Callable[[Leaf], quorum.Able]:
    """Tell for each leaf who could decide through it: active, not barred, not excluded; decided or not."""
    own = askers(request, people)

    def able(leaf: Leaf) -> quorum.Able:
        crowd = people.crowd(leaf, request.beneficiary)
        out = state.excluded
        if bars_own(request, people) or leaf.joined is Joined.FALLBACK:
            out |= own
        if crowd.is_named:
            return quorum.Able(human for id, human in crowd.humans.items() if human not in out and id not in out)
        missing = sum(1 for id in out if people.admits(leaf, people.person(id), request.beneficiary))
        return quorum.Able((), crowd.count - missing)

    return able


def still_able(request: Request, state: StepState, people: People) -> Callable[[Leaf], quorum.Able]:
    """Like `crowd_of`, but only those whose say is not yet spent."""
    able = crowd_of(request, state, people)

    def undecided(leaf: Leaf) -> quorum.Able:
        crowd = able(leaf)
        if not crowd.more:
            return quorum.Able(crowd.known - state.spent)
        return quorum.Able((), crowd.more - len(state.spent))

    return undecided


def approvals(state: StepState, people: People) -> dict[Leaf, frozenset[UUID]]:
    """Collect who approved through which leaf. A suspended or deleted account's decision does not count."""
    found: dict[Leaf, frozenset[UUID]] = {}
    for made in state.decisions:
        if made.choice is Choice.APPROVE and people.is_active(made.by):
            for leaf in made.leaves:
                found[leaf] = found.get(leaf, frozenset()) | {made.human}
    return found


def rejecters(state: StepState, people: People) -> frozenset[UUID]:
    return frozenset(
        made.human for made in state.decisions if made.choice is Choice.REJECT and people.is_active(made.by)
    )


def can_be_met(request: Request, state: StepState, people: People) -> bool:
    """Say whether those who are left can still meet the step's quorum."""
    tree = request.tree_of(state)
    return quorum.reachable(tree, state.needs, approvals(state, people), still_able(request, state, people))


def fallback(request: Request, state: StepState, people: People) -> tuple[tuple[Leaf, ...], bool]:
    """Find who shall join a step that nobody can decide: the first level of fallback that can, else all of them.

    Levels: the step's own, the workflow's, the tenant's, the holders of `admin`. Returns the leaves that join
    (those that stand in the step already left out) and whether the step is stuck even with them.
    """
    step = request.route.steps[state.index]
    everyone: list[Leaf] = []
    for level in (step.fallback, request.route.fallback, people.fallback, LAST_RESORT):
        usable = [leaf for leaf in level if not (step.demand and leaf.kind is Kind.SERVICE)]
        new = _not_in(request.tree_of(state), (joining(step, leaf, Joined.FALLBACK) for leaf in usable))
        if new and _helps(request, state, people, new):
            return new, False
        everyone += new
    joined = tuple(dict.fromkeys(everyone))
    return joined, not _helps(request, state, people, joined)


def _helps(request: Request, state: StepState, people: People, joined: tuple[Leaf, ...]) -> bool:
    tree = request.tree_of(state)
    wider = Node(tree.n, tree.members + joined, tree.demand, tree.overlap)
    return quorum.reachable(wider, state.needs, approvals(state, people), still_able(request, state, people))


def _not_in(tree: Node, leaves: Iterable[Leaf]) -> tuple[Leaf, ...]:
    present = set(tree.every_leaf())
    return tuple(leaf for leaf in leaves if leaf not in present)


def wanted_leaves(request: Request, tenant_fallback: tuple[Leaf, ...], steps: Iterable[int]) -> Iterator[Leaf]:
    """Name the leaves whose crowds the rules may ask for when these steps open or are looked at again."""
    for index in steps:
        opened = request.opened(index)
        tree = request.tree_of(opened) if opened else request.route.steps[index].approvers
        yield from leaves_to_open(request.route, tenant_fallback, index, tree)
        step = request.route.steps[index]
        if step.escalate_to is not None:  # They join when time is up, and are asked about in what follows.
            yield step.escalate_to
        if step.escalations is not None:
            yield from step.escalations.leaves


def with_those_at_once(route: Route, steps: range) -> range:
    """Add to steps that may open those that may open at the same moment, because asking has passed the one before."""
    stop = steps.stop
    while steps and stop < len(route.steps) and route.steps[stop - 1].own_say is not None:
        stop += 1
    return range(steps.start, stop)


def leaves_to_open(
    route: Route, tenant_fallback: tuple[Leaf, ...], index: int, tree: Node | None = None
) -> Iterator[Leaf]:
    """Name the leaves that matter when this step of a route opens: its approvers and every level of fallback."""
    step = route.steps[index]
    yield from (tree or step.approvers).every_leaf()
    yield from step.fallback
    yield from route.fallback
    yield from tenant_fallback
    yield from LAST_RESORT
