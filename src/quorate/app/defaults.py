"""What a tenant settles for steps beside its workflows. It counts for what is filed from then on."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from msgspec.structs import replace

from quorate.app import tenants
from quorate.app.actor import Actor
from quorate.app.asking import AskAccess, Asking, Start
from quorate.app.directory import Change, Desk
from quorate.app.operations.own import Attempt, attempt
from quorate.app.planning import Planned
from quorate.app.tenants import Rules
from quorate.domain import refusals as no
from quorate.domain.defaults import Defaults, Scope, is_waived, laid_over, type_of
from quorate.domain.events import RequestKind
from quorate.domain.permissions import WORKFLOW_WRITE
from quorate.domain.workflows import Kind, Leaf, OwnSay
from quorate.store import defaults as store
from quorate.store import people, search


class ApprovalDefaults:
    """The use cases, for holders of `workflow:write`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def read(self, actor: Actor, scope: Scope, subject: str) -> store.Kept | None:
        """Read what is settled; None if nothing is. Raises: NotPermitted."""
        async with self._desk.look(actor, WORKFLOW_WRITE) as look:
            return await store.read(look.tx, look.tenant, scope, subject)

    async def put(self, actor: Actor, scope: Scope, subject: str, defaults: Defaults, said: Mapping[str, Any]) -> None:
        """Settle it. `said` is how the caller put it, kept to be shown again.

        Raises: NotPermitted; ApprovalRequired: as changing a workflow; BadReference: somebody named is not there, or
            asking shall approve where nobody may decide what is their own.
        """
        async with self._desk.change(actor, _attempt(actor, scope, subject)) as change:
            change.demand(WORKFLOW_WRITE)
            if defaults.own_say in (OwnSay.DIRECT, OwnSay.INDIRECT):
                await _must_allow_own(change)
            for leaf in defaults.every_leaf():
                await _must_be_there(change, leaf)
            await store.put(change.tx, change.tenant, scope, subject, defaults, said, change.at)
            await _happened(change, scope, subject, said)

    async def remove(self, actor: Actor, scope: Scope, subject: str) -> bool:
        """Settle nothing any more; say whether there was something. Raises: as `put`."""
        async with self._desk.change(actor, _attempt(actor, scope, subject)) as change:
            change.demand(WORKFLOW_WRITE)
            found = await store.remove(change.tx, change.tenant, scope, subject)
            if found:
                await _happened(change, scope, subject, None)
        return found


def _attempt(actor: Actor, scope: Scope, subject: str) -> Attempt:
    """Name it as an operation: whoever needs approval to change a workflow needs it for this."""
    return attempt("PUT", "workflows", id_of(actor.tenant, scope, subject))


def id_of(tenant: UUID, scope: Scope, subject: str) -> UUID:
    """Give the id by which history knows a settlement."""
    return uuid5(tenant, f"{scope} {subject}")


async def _happened(change: Change, scope: Scope, subject: str, said: Mapping[str, Any] | None) -> None:
    body = {"approvalDefaults": {"scope": scope.value, "subject": subject, "said": said}}
    await change.happened("tenant", change.tenant, "tenant.changed", body, change.at)


def settled_for(planned: Planned, asking: Asking, actor: UUID, rules: Rules) -> Planned:
    """Make of a planned route the one to be frozen: with what the tenant has settled laid over it, and with names for
    those whom only a request can tell.
    """
    if rules.defaults and isinstance(asking, AskAccess | Start):
        planned = _laid_over(planned, asking, rules)
    if planned.route is None:
        return planned
    beneficiary = asking.beneficiary if isinstance(asking, AskAccess) else None
    about = planned.target or planned.governed
    route = planned.route.known(actor, beneficiary or actor, about.owner if about else None)
    return planned if route is planned.route else replace(planned, route=route)


def _laid_over(planned: Planned, asking: AskAccess | Start, rules: Rules) -> Planned:
    if planned.route is None:
        return planned
    kind = RequestKind.ACCESS if isinstance(asking, AskAccess) else RequestKind.GENERIC
    target = planned.target
    of = type_of(kind, asking.details.get("type")), str(target.id) if target else None
    has_permissions = target is not None and target.has_permissions
    route = laid_over(planned.route, rules.defaults, *of, has_permissions=has_permissions)
    waived = is_waived(route, rules.defaults, *of, has_permissions=has_permissions)
    return replace(planned, route=route, is_waived=waived)


async def _must_allow_own(change: Change) -> None:
    """Raises: BadReference."""
    if not (await tenants.rules(change.tx))[change.tenant].self_approval:
        raise no.BadReference("selfApproval", "the tenant does not let people decide what is their own")


async def _must_be_there(change: Change, leaf: Leaf) -> None:
    """Raises: BadReference."""
    match leaf.kind:
        case Kind.USER:
            found = await people.principals_by_id(change.tx, change.tenant, [UUID(leaf.value)])
            is_there = any(one.kind == "user" and one.status == "active" for one in found.values())
        case Kind.GROUP:
            is_there = bool(await search.group_names(change.tx, change.tenant, [UUID(leaf.value)]))
        case _:
            is_there = True
    if not is_there:
        raise no.BadReference("identityId", f"{leaf.value} is no active user or group of this tenant")
