"""A tenant as it is, read in the transaction that will change it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.domain.defaults import Defaults, Scope
from quorate.domain.workflows import Kind, Leaf
from quorate.store import credentials, declare, defaults, directory, people, providers, tenants
from quorate.store.credentials import StoredCredential
from quorate.store.declare import OperationRow, PolicyRow, WorkflowRow
from quorate.store.directory import Group, Resource, Role
from quorate.store.people import Delegation, Principal
from quorate.store.providers import Provider
from quorate.store.tenants import Tenant
from quorate.store.tx import Tx


class State(Struct, frozen=True, kw_only=True):
    """Everything of a tenant that a file may name, without what was deleted."""

    tenant: Tenant | None = None
    principals: Mapping[UUID, Principal] = {}
    roles: Mapping[UUID, Role] = {}
    groups: Mapping[UUID, Group] = {}
    resources: Mapping[UUID, Resource] = {}
    roles_of: Mapping[UUID, frozenset[UUID]] = {}
    groups_of: Mapping[UUID, frozenset[UUID]] = {}
    credentials: Mapping[UUID, tuple[StoredCredential, ...]] = {}
    workflows: Mapping[UUID, WorkflowRow] = {}
    policies: Mapping[UUID, PolicyRow] = {}
    operations: Mapping[UUID, OperationRow] = {}
    delegations: Mapping[UUID, Delegation] = {}
    defaults: Mapping[tuple[Scope, str], Defaults] = {}
    password_hashes: Mapping[UUID, str] = {}
    provider: Provider | None = None
    provider_secret: str | None = None  # In the clear, once it has been opened.

    @property
    def leaves(self) -> frozenset[tuple[Kind, str]]:
        """Every approver that a stored workflow or settlement names, known or not."""
        settled = [leaf for one in self.defaults.values() for leaf in one.every_leaf()]
        found: set[tuple[Kind, str]] = {(leaf.kind, leaf.value) for leaf in settled}
        for workflow in self.workflows.values():
            named: list[Leaf] = [*(workflow.fallback_approvers or ())]
            for step in workflow.steps:
                named += [*step.approvers.every_leaf(), *step.fallback]
                named += [step.escalate_to] if step.escalate_to else []
                named += step.escalations.leaves if step.escalations else ()
            found |= {(leaf.kind, leaf.value) for leaf in named}
        return frozenset(found)


async def load(tx: Tx, tenant: UUID) -> State:
    """Read a tenant. One that does not exist is an empty state."""
    known = await tenants.tenants(tx)
    if not known:
        return State()
    principals = {one.id: one for one in await people.principals(tx, tenant)}
    held: dict[UUID, list[StoredCredential]] = {}
    for credential in await credentials.credentials(tx, tenant):
        held.setdefault(credential.principal_id, []).append(credential)
    return State(
        tenant=known[0],
        principals=principals,
        roles={one.id: one for one in await directory.roles(tx, tenant)},
        groups={one.id: one for one in await directory.groups(tx, tenant)},
        resources={one.id: one for one in await directory.resources(tx, tenant)},
        roles_of=await people.roles_of(tx, tenant, list(principals)),
        groups_of=await people.groups_of(tx, tenant, list(principals)),
        credentials={holder: tuple(found) for holder, found in held.items()},
        workflows={one.id: one for one in await declare.workflows(tx, tenant)},
        policies={one.id: one for one in await declare.policies(tx, tenant)},
        operations={one.id: one for one in await declare.operations(tx, tenant)},
        delegations={one.id: one for one in await people.delegations(tx, tenant)},
        defaults={(one.scope, one.subject): one.defaults for one in await defaults.every(tx, tenant)},
        password_hashes=await people.password_hashes(tx, tenant, list(principals)),
        provider=await providers.read(tx, tenant),
    )


def administrators(
    principals: Collection[Principal], roles: Mapping[UUID, Role], roles_of: Mapping[UUID, frozenset[UUID]]
) -> set[UUID]:
    """Name the active users who hold the permission `admin`."""
    admin = {role.id for role in roles.values() if "admin" in role.permissions and role.deleted_at is None}
    active = [one for one in principals if one.status == "active" and one.deleted_at is None]
    return {one.id for one in active if one.kind == "user" and roles_of.get(one.id, frozenset()) & admin}


def is_over(delegation: Delegation, at: datetime) -> bool:
    return delegation.ends_at <= at
