"""Asking for an operation: which rule it falls under, what it is about, and the request that makes of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.asking import AskOperation, as_id
from quorate.app.authority import acting
from quorate.app.operations.own import Own, own
from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Filing, RequestKind, Target
from quorate.domain.operations import Operation, closest
from quorate.domain.people import People, Person
from quorate.domain.permissions import allows
from quorate.domain.workflows import Route, Status, Workflow
from quorate.store import operations, targets, view
from quorate.store.operations import Rule
from quorate.store.requests import Key
from quorate.store.tx import Tx


class Governed(Struct, frozen=True):
    """What was found for such an asking. Of our own operations some need no approval; of others we know nothing."""

    own: Own | None = None
    rule: Rule | None = None
    params: dict[str, str] = {}
    workflow: Workflow | None = None
    target: Target | None = None
    has_permissions: bool = False
    owner: UUID | None = None


async def govern(tx: Tx, askings: Sequence[tuple[UUID, AskOperation]]) -> list[Governed]:
    """Look up what governs askings, each of a tenant. Answers in the same order."""
    rules = await operations.rules(tx)
    found = [
        (tenant, asking, own(asking.method, asking.path), closest(rules[tenant], asking.method, asking.path))
        for tenant, asking in askings
    ]
    keys = {Key(tenant, match[0].workflow) for tenant, _, _, match in found if match}
    workflows = await targets.workflows(tx, keys) if keys else {}
    about = [_about(asking, ours, match) for _, asking, ours, match in found]
    wanted = {(tenant, *one) for (tenant, *_), one in zip(found, about, strict=True) if one}
    there = await targets.targets(tx, wanted) if wanted else {}
    answers = []
    for (tenant, _, ours, match), one in zip(found, about, strict=True):
        row = there.get((tenant, *one)) if one else None
        answers.append(
            Governed(
                ours,
                match[0] if match else None,
                match[1] if match else {},
                workflows.get(Key(tenant, match[0].workflow)) if match else None,
                Target(one[0], str(row.id), row.name) if one and row else None,
                bool(row and row.has_permissions),
                row.owner if row else None,
            )
        )
    return answers


async def may_ask(tx: Tx, actor: Actor, asking: AskOperation, at: datetime) -> bool:
    """Say whether somebody could ask for this now: there is a rule for it, and they hold what one of ours needs.

    Keys anybody may ask for, because what they need depends on whose they are; here they are held to that.

    Raises: AccountInactive.
    """
    person = await acting(tx, actor, at)
    [found] = await govern(tx, [(actor.tenant, asking)])
    if found.rule is None or _lacking(found, person) is not None:
        return False
    if found.own is None or found.own.of_others is None or person.may(found.own.of_others):
        return True
    match = closest([found.own], asking.method, asking.path)
    holder = as_id(match[1]["id"]) if match else None
    if holder is None:
        return False
    seen = (await view.read(tx, [(actor.tenant, holder)], [], at))[actor.tenant].persons
    return holder in seen and actor.principal in (holder, seen[holder].owner)


def _lacking(found: Governed, person: Person) -> str | None:
    """Name the permission that one of ours needs and somebody does not hold."""
    needed = found.own.permission if found.own is not None else None
    return needed if needed is not None and not allows(person.permissions, needed) else None


def _about(
    asking: AskOperation, ours: Own | None, match: tuple[Rule, dict[str, str]] | None
) -> tuple[str, UUID] | None:
    """Name what an operation is about: the resource its rule names, else the thing whose id stands in our path."""
    if match and match[0].resource is not None:
        return "resource", match[0].resource
    if ours is None or ours.noun is None:
        return None
    found = closest([ours], asking.method, asking.path)
    try:
        return (ours.noun, UUID(found[1]["id"])) if found else None
    except ValueError:
        return None


def submission(
    actor: UUID, asking: AskOperation, found: Governed, route: Route | None, people: People, expiry_s: int
) -> do.Submit:
    """Make the command that files an operation. `route`: the way of its workflow, if it has one.

    Raises:
        NotPermitted: it is one of ours, and needs a permission that the caller does not hold.
        NoApprovalNeeded: it is one of ours, and nothing says that it needs approval.
        NoSuchOperation: it is neither ours nor anything we were told of.
        WorkflowNotActive: what it needs cannot be had at present.
    """
    person = people.person(actor)
    if (lacking := _lacking(found, person)) is not None:
        raise no.NotPermitted(lacking)
    if found.rule is None:
        refusal = no.NoSuchOperation if found.own is None else no.NoApprovalNeeded
        raise refusal(asking.method, asking.path)
    workflow = found.workflow
    if workflow is None or route is None or workflow.status is not Status.ACTIVE:
        raise no.WorkflowNotActive(found.rule.workflow)
    filing = Filing(
        kind=RequestKind.OPERATION,
        filed_by=actor,
        requester=actor,
        beneficiary=actor,
        requester_name=person.name,
        requester_email=person.email,
        workflow=workflow.id,
        workflow_name=workflow.name,
        target=found.target,
        target_has_permissions=found.has_permissions,
        justification=asking.description,
        time_to_decide_s=expiry_s,
        subject={
            "userId": str(actor),
            "reason": asking.description,
            "method": asking.method,
            "path": asking.path,
        },
        details=asking.details,
        operation=Operation(asking.method, asking.path, found.rule.id, found.rule.execute, asking.body, found.params),
    )
    return do.Submit(actor, filing, route)
