"""What in a tenant deserves a second look: who may decide what, as it stands now."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from quorate.app.declare.state import State, administrators, load
from quorate.domain import quorum
from quorate.domain.defaults import Scope
from quorate.domain.people import Crowd
from quorate.domain.quorum import Able
from quorate.domain.workflows import Kind, Leaf, Status, Step
from quorate.store import view
from quorate.store.database import Database

_MANY = (Kind.GROUP, Kind.ROLE, Kind.HOLDER)


async def look_at(owner: Database, tenant: UUID) -> list[str]:
    """Say in words what is unusual about a tenant. [] when nothing is."""
    async with owner.tx([tenant]) as tx:
        state = await load(tx, tenant)
        wanted = [(tenant, leaf.kind, leaf.value) for leaf in _leaves(state) if leaf.kind in _MANY]
        crowds = (await view.read(tx, [], wanted, datetime.now(UTC)))[tenant].crowds
    return [*_of_tenant(state), *_of_defaults(state), *_of_workflows(state, crowds)]


def _of_tenant(state: State) -> Iterator[str]:
    assert state.tenant is not None
    if state.tenant.settings.get("selfApproval") is True:
        yield "selfApproval is on: people may decide their own requests (each such decision is marked)"
    if not administrators(list(state.principals.values()), state.roles, state.roles_of):
        yield "nobody is an administrator: give somebody a role with the permission admin (`quorate apply`)"


def _of_defaults(state: State) -> Iterator[str]:
    names = {str(one.id): one.name for here in (state.roles, state.groups, state.resources) for one in here.values()}
    for (scope, subject), defaults in state.defaults.items():
        if defaults.waived:
            of_what = {
                Scope.TENANT: "everything",
                Scope.TYPE: f"what is of the type {subject}",
                Scope.TARGET: names.get(subject, subject),
            }
            yield f"approval defaults: nobody need approve {of_what[scope]}, if it carries no permissions"


def _of_workflows(state: State, crowds: dict[tuple[Kind, str], Crowd]) -> Iterator[str]:
    def able(leaf: Leaf) -> Able:
        return _able(state, crowds, leaf)

    for workflow in state.workflows.values():
        if workflow.status != Status.ACTIVE:
            continue
        for step in workflow.steps:
            here = f"workflow {workflow.name}, step {step.name}"
            if any(node.overlap for node in step.approvers.every_node()):
                yield f"{here}: overlap is true, so one person may count more than once towards the quorum"
            if not _can_be_met(step, able):
                yield f"{here}: nobody can decide it now, it would go to the fallback approvers"


def _can_be_met(step: Step, able: Callable[[Leaf], Able]) -> bool:
    return quorum.reachable(step.approvers, quorum.count_needs(step.approvers, able), {}, able)


def _able(state: State, crowds: dict[tuple[Kind, str], Crowd], leaf: Leaf) -> Able:
    match leaf.kind:
        case Kind.USER | Kind.SERVICE:
            found = state.principals.get(UUID(leaf.value))
            return Able([found.id] if found is not None and found.status == "active" else [])
        case Kind.MANAGER | Kind.OWNER:
            return Able((), 1)  # Whose, only a request can tell.
        case Kind.GROUP | Kind.ROLE | Kind.HOLDER:
            crowd = crowds[leaf.kind, leaf.value]
            return Able(crowd.humans.values(), crowd.count - len(crowd.humans))


def _leaves(state: State) -> Iterator[Leaf]:
    for workflow in state.workflows.values():
        for step in workflow.steps:
            yield from step.approvers.every_leaf()
