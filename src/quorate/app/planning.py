"""What an asking is about, which workflow governs it, and what judges it: looked up where it is filed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from quorate.app.asking import PLAIN, AskAccess, Asking, AskOperation, Start, as_id, kind_of
from quorate.app.cedar.ready import Shelf
from quorate.app.judging import Judge, judges
from quorate.app.operations.asking import Governed, govern
from quorate.domain import routing
from quorate.domain.breakglass import REVIEW_WITHIN
from quorate.domain.workflows import Route, Status, Workflow
from quorate.store import targets as store
from quorate.store.policies import Thing
from quorate.store.requests import Key
from quorate.store.targets import TargetRow
from quorate.store.tx import Tx


class Planned(Struct, frozen=True):
    """What was found for an asking: its target and the workflow that would govern it, where there are such.

    `kind` of the target: `role`, `group` or `resource`. `route`: the way the request would take. `is_waived`: the
    tenant has settled that nobody need approve it.
    """

    target: TargetRow | None = None
    workflow: Workflow | None = None
    has_overdue_review: bool = False
    judge: Judge | None = None
    kind: str = "resource"
    route: Route | None = None
    governed: Governed | None = None
    is_waived: bool = False


async def plan(tx: Tx, askings: Sequence[tuple[UUID, UUID, Asking]], shelf: Shelf, at: datetime) -> list[Planned]:
    """Look up targets, workflows and policies for askings, each of a tenant and an actor. Answers in the same order."""
    breaking = {Key(tenant, actor) for tenant, actor, asking in askings if _breaks(asking)}
    overdue = await store.overdue_reviews(tx, breaking, at - REVIEW_WITHIN) if breaking else set()
    found = await _plan(tx, [(tenant, asking) for tenant, _, asking in askings])
    wanted = [
        (tenant, planned.kind, planned.target.id) if isinstance(asking, AskAccess) and planned.target else None
        for (tenant, _, asking), planned in zip(askings, found, strict=True)
    ]
    unregistered = {
        one: Thing(id=target.id, kind=target.type, name=target.name, external_id=target.external_id)
        for one, planned in zip(wanted, found, strict=True)
        if one and (target := planned.target) and not target.is_registered
    }
    known = await judges(tx, shelf, [one for one in wanted if one], unregistered) if any(wanted) else {}
    calls = [(tenant, asking) for tenant, _, asking in askings if isinstance(asking, AskOperation)]
    governed = iter(await govern(tx, calls) if calls else [])
    return [
        _of_operation(next(governed))
        if isinstance(asking, AskOperation)
        else replace(
            planned,
            has_overdue_review=_breaks(asking) and Key(tenant, actor) in overdue,
            judge=known.get(one) if one else None,
        )
        for (tenant, actor, asking), planned, one in zip(askings, found, wanted, strict=True)
    ]


def _of_operation(found: Governed) -> Planned:
    workflow = found.workflow
    return Planned(workflow=workflow, route=workflow.route if workflow else None, governed=found)


def _breaks(asking: Asking) -> bool:
    return isinstance(asking, AskAccess) and asking.breaks_glass


async def _plan(tx: Tx, askings: Sequence[tuple[UUID, Asking]]) -> list[Planned]:
    targets = await _targets(tx, askings)
    workflows = await _governing(tx, askings, targets)
    planned = []
    for (_, asking), target, workflow in zip(askings, targets, workflows, strict=True):
        route = workflow.route if workflow else None
        if isinstance(asking, AskAccess) and workflow is None and asking.terms.built_in_step:
            route = routing.BUILT_IN
        planned.append(Planned(target, workflow, kind=kind_of(asking), route=route))
    return planned


async def _targets(tx: Tx, askings: Sequence[tuple[UUID, Asking]]) -> list[TargetRow | None]:
    """Find what each asking is about. Something else than a role, group or `resource` is named by its own type."""
    named = {
        (tenant, asking.type, asking.target)
        for tenant, asking in askings
        if isinstance(asking, AskAccess) and asking.type not in PLAIN
    }
    ids = await store.named(tx, named) if named else {}
    keys: list[tuple[UUID, str, UUID] | None] = []
    for tenant, asking in askings:
        known = None
        if isinstance(asking, AskAccess):
            is_plain = asking.type in PLAIN
            known = as_id(asking.target) if is_plain else ids.get((tenant, asking.type, asking.target))
        keys.append((tenant, kind_of(asking), known) if known else None)
    found = await store.targets(tx, {key for key in keys if key}) if any(keys) else {}
    return [
        found.get(key) if key else _unregistered(tenant, asking)
        for (tenant, asking), key in zip(askings, keys, strict=True)
    ]


def _unregistered(tenant: UUID, asking: Asking) -> TargetRow | None:
    """Stand for a resource without a row, where that may be asked for. It is the same one every time."""
    if not isinstance(asking, AskAccess) or not asking.terms.any_resource or asking.type in PLAIN:
        return None
    id = uuid5(tenant, f"{asking.type} {asking.target}")
    return TargetRow(
        id,
        asking.target,
        asking.type,
        has_permissions=False,
        workflow=None,
        external_id=asking.target,
        is_registered=False,
    )


async def _governing(
    tx: Tx, askings: Sequence[tuple[UUID, Asking]], targets: Sequence[TargetRow | None]
) -> list[Workflow | None]:
    """Find the workflow that governs each asking; of an operation see `govern`.

    Most targets have one of their own: what others there are is looked up only for the rest.
    """
    own = [_own(asking, row) for (_, asking), row in zip(askings, targets, strict=True)]
    keys = [Key(tenant, id) if id else None for (tenant, _), id in zip(askings, own, strict=True)]
    wanted = {key for key in keys if key}
    known = await store.workflows(tx, wanted) if wanted else {}
    open_to_choice = [
        place
        for place, ((_, asking), key) in enumerate(zip(askings, keys, strict=True))
        if isinstance(asking, AskAccess) and not _is_active(known.get(key) if key else None)
    ]
    if open_to_choice:
        tenants = {askings[place][0] for place in open_to_choice}
        types = {kind_of(askings[place][1]) for place in open_to_choice}
        types |= {row.type for place in open_to_choice if (row := targets[place])}
        candidates = await store.candidates(tx, tenants, types)
        for place in open_to_choice:
            (tenant, asking), row = askings[place], targets[place]
            id = routing.choose(candidates[tenant], kind_of(asking), own[place], row.type if row else None)
            keys[place] = Key(tenant, id) if id else None
        wanted = {key for key in keys if key} - known.keys()
        known |= await store.workflows(tx, wanted) if wanted else {}
    return [known.get(key) if key else None for key in keys]


def _own(asking: Asking, row: TargetRow | None) -> UUID | None:
    """Name the workflow that was asked for, or that the target was given."""
    match asking:
        case AskOperation():
            return None
        case Start():
            return as_id(asking.workflow)
        case AskAccess():
            return asking.workflow or (row.workflow if row else None)


def _is_active(workflow: Workflow | None) -> bool:
    return workflow is not None and workflow.status is Status.ACTIVE
