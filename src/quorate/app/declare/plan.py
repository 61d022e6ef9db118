"""What brings one tenant from what it is to what the file says. Pure: everything it needs is handed in."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from msgspec.structs import replace

from quorate.app.declare.defaults import plan_defaults
from quorate.app.declare.draft import Draft, differing
from quorate.app.declare.people import plan_people
from quorate.app.declare.provider import plan_provider
from quorate.app.declare.rules import plan_rules
from quorate.app.declare.schema import Entry, TenantEntry
from quorate.app.declare.secret_values import Secrets, Settled
from quorate.app.declare.state import State, administrators, is_over
from quorate.app.declare.things import plan_things
from quorate.app.declare.wanted import Change, Plan, RequestToFile
from quorate.app.definitions import read_leaves, show_leaves
from quorate.domain.events import Duration
from quorate.domain.workflows import Problem
from quorate.store.people import Delegation
from quorate.store.tenants import Tenant

PRUNE_AT_MOST: Final = 0.2  # of a kind, unless the operator says yes

_DETAILS: Final = ("title", "description", "type", "priority", "references", "batch", "attributes")


def plan(
    tenant: TenantEntry,
    id: UUID,
    state: State,
    secrets: Secrets,
    settled: Mapping[str, Settled],
    *,
    mint: Callable[[], UUID],
    at: datetime,
    prune: bool = False,
    yes: bool = False,
) -> tuple[Plan, list[Problem]]:
    """Plan a tenant, and say everything in the file that does not fit it.

    The plan is of use only when there are no problems. `yes`: more than a fifth of a kind may be pruned.
    """
    draft = Draft(tenant, id, state, secrets, mint, at, prune=prune)
    _tenant(draft)
    plan_provider(draft)
    plan_rules(draft)
    plan_things(draft)
    plan_people(draft, settled)
    plan_defaults(draft)
    _delegations(draft)
    requests = tuple(_request(draft, entry, place) for place, entry in enumerate(draft.entries("requests")))
    if prune:
        _guard(draft, yes=yes)
    made = Plan(id, tenant.slug, at, tuple(draft.changes), draft.rows, tuple(draft.minted), requests)
    return made, draft.names.problems


def _tenant(draft: Draft) -> None:
    entry, old = draft.entry, draft.state.tenant
    if old is not None and entry.id is not None and entry.id != old.id:
        draft.wrong(f"{entry.path}.id", f"{entry.slug} has the id {old.id}")
    base = old or Tenant(
        id=draft.tenant, slug=entry.slug, name=entry.name or entry.slug, created_at=draft.at, updated_at=draft.at
    )
    said = _settings(draft)
    settings = {key: value for key, value in {**base.settings, **said}.items() if value is not None}
    new = replace(base, name=entry.name or base.name, settings=settings)
    if old is None:
        draft.changes.append(Change("create", "tenant", new.id, new.slug))
    elif changed := differing(old, new):
        details = [field for field in changed if field != "settings"]
        details += [f"settings.{key}" for key in said if old.settings.get(key) != settings.get(key)]
        draft.changes.append(Change("update", "tenant", new.id, new.slug, tuple(details)))
    else:
        return
    draft.rows.tenant = replace(new, updated_at=draft.at)


def _settings(draft: Draft) -> dict[str, Any]:
    """Settings as they are kept: in the words of the file, with ids for names."""
    path = f"{draft.entry.path}.settings"
    said = dict(draft.entry.settings)
    if said.get("fallbackApprovers") is not None:
        where = f"{path}.fallbackApprovers"
        leaves, problems = read_leaves(
            said["fallbackApprovers"], draft.names.leaf, path=where, strict=True, of_tenant=True
        )
        draft.names.problems += problems
        said["fallbackApprovers"] = show_leaves(leaves)
    for key in ("breakGlass", "webauthn", "jitsudo"):
        if said.get(key) is not None:
            said[key] = {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in said[key].items()
                if value is not None
            }
    if said.get("breakGlass") and "groups" in said["breakGlass"]:
        said["breakGlass"]["groups"] = [
            str(draft.names.lookup("group", name, f"{path}.breakGlass.groups[{index}]"))
            for index, name in enumerate(said["breakGlass"]["groups"])
        ]
    return said


def _delegations(draft: Draft) -> None:
    known = {(one.from_id, one.to_id, one.starts_at, one.ends_at): one for one in draft.state.delegations.values()}
    named: set[UUID] = set()
    for entry in draft.entries("delegations"):
        said = entry.said
        giver = draft.names.lookup("user", said["from"], f"{entry.path}.from")
        taker = draft.names.lookup("user", said["to"], f"{entry.path}.to")
        if giver is None or taker is None:
            continue
        if giver == taker:
            draft.wrong(f"{entry.path}.to", "nobody delegates to themselves")
        same = known.get((giver, taker, said["startsAt"], said["endsAt"]))
        old = draft.state.delegations.get(entry.id) if entry.id else same
        new = Delegation(
            id=entry.id or (old.id if old else draft.mint()),
            from_id=giver,
            to_id=taker,
            starts_at=said["startsAt"],
            ends_at=said["endsAt"],
            created_at=draft.at,
        )
        named.add(new.id)
        words = {"from_id": "from", "to_id": "to", "starts_at": "startsAt", "ends_at": "endsAt"}
        if draft.compare(entry, old, new, words):
            draft.rows.delegations.append(new)
    if draft.prune and "delegations" in draft.entry.sections:
        for one in draft.state.delegations.values():
            if one.id not in named and not is_over(one, draft.at):
                _end(draft, one)


def _end(draft: Draft, delegation: Delegation) -> None:
    """End a delegation now; one that has not begun never was."""
    names = [draft.state.principals.get(id) for id in (delegation.from_id, delegation.to_id)]
    name = " to ".join((one.login or one.name) if one else "?" for one in names)
    draft.removed("delegation", delegation.id, name, "ended")
    if delegation.starts_at < draft.at:
        draft.rows.delegations.append(replace(delegation, ends_at=draft.at))
    else:
        draft.rows.delegations_gone.append(delegation.id)


def _request(draft: Draft, entry: Entry, place: int) -> RequestToFile:
    said, path = entry.said, entry.path
    kind: Literal["access", "generic"] = said.get("kind") or "access"
    requester = draft.names.lookup("user", said.get("requester"), f"{path}.requester") or draft.tenant
    target_type, target = said.get("resourceType"), None
    if kind == "access" and said.get("resource") is not None and target_type is not None:
        target = draft.names.lookup(target_type, said["resource"], f"{path}.resource")
    workflow = draft.names.lookup("workflow", said.get("workflow"), f"{path}.workflow")
    span = said.get("duration")
    return RequestToFile(
        tenant=draft.tenant,
        id=entry.id or uuid5(draft.tenant, f"{requester} {target or workflow} {place}"),
        kind=kind,
        requester=requester,
        beneficiary=draft.names.lookup("user", said.get("requestee"), f"{path}.requestee"),
        workflow=workflow,
        target_type=target_type,
        target=target,
        justification=said.get("justification"),
        duration=Duration(span["value"], span["unit"]) if span else None,
        subject=said.get("subject"),
        metadata=said.get("metadata") or {},
        details={key: said[key] for key in _DETAILS if said.get(key) is not None},
        label=f"{entry.name} for {said.get('requestee') or said.get('requester')}",
    )


def _guard(draft: Draft, *, yes: bool) -> None:
    """Refuse to prune the last administrator, or more than a fifth of a kind at once."""
    state, rows = draft.state, draft.rows
    principals = {**state.principals, **{one.id: one for one in rows.principals}}
    roles = {**state.roles, **{one.id: one for one in rows.roles}}
    before = administrators(state.principals.values(), state.roles, state.roles_of)
    after = administrators(principals.values(), roles, {**state.roles_of, **rows.roles_of})
    if before and not after:
        draft.wrong(draft.entry.path, "pruning would leave no active user with the permission admin")
    there = {
        "user": [one for one in state.principals.values() if one.kind == "user" and one.status != "inactive"],
        "service": [one for one in state.principals.values() if one.kind == "service" and one.status != "inactive"],
        "role": state.roles,
        "group": state.groups,
        "resource": state.resources,
        "workflow": [one for one in state.workflows.values() if one.status == "active"],
        "policy": [one for one in state.policies.values() if one.enabled],
        "operation": state.operations,
        "default": state.defaults,
        "delegation": [one for one in state.delegations.values() if not is_over(one, draft.at)],
    }
    for kind, stored in there.items() if not yes else ():
        gone = sum(1 for change in draft.changes if change.verb == "remove" and change.kind == kind)
        if gone > PRUNE_AT_MOST * len(stored):
            message = (
                f"pruning would take {gone} of {len(stored)} {kind}s out of use, more than a fifth; say --yes to do it"
            )
            draft.wrong(draft.entry.path, message)
