"""Writes a tenant as a declarative file: everything but secrets and requests. Applying it changes nothing."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import yaml

from quorate.app.declare.defaults import show_defaults
from quorate.app.declare.reading import plain
from quorate.app.declare.sections import SETTINGS
from quorate.app.declare.state import State, is_over, load
from quorate.app.definitions import show_leaves, show_step
from quorate.domain.defaults import Scope
from quorate.domain.workflows import Kind, Leaf
from quorate.store.credentials import StoredCredential
from quorate.store.database import Database
from quorate.store.directory import Group, Resource, Role
from quorate.store.people import Principal
from quorate.store.tenants import every_tenant


async def export(owner: Database, slugs: Collection[str] | None = None, *, at: datetime) -> str:
    """Write these tenants (None: all of them) as YAML. Delegations that are over at `at` are left out.

    Raises:
        LookupError: there is no tenant with one of these slugs.
    """
    known = await every_tenant(owner)
    found = []
    for slug in known if slugs is None else slugs:
        if slug not in known:
            raise LookupError(f"there is no tenant {slug}")
        async with owner.tx([known[slug]]) as tx:
            found.append(shown(await load(tx, known[slug]), at))
    text: str = yaml.dump({"tenants": found}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def shown(state: State, at: datetime) -> dict[str, Any]:
    """Show a tenant in the words of the file. A section without anything in it is left out."""
    assert state.tenant is not None
    writer = _Writer(state)
    sections: dict[str, list[dict[str, Any]]] = {
        "roles": [writer.role(one) for one in state.roles.values()],
        "groups": [writer.group(one) for one in state.groups.values()],
        "users": [writer.user(one) for one in state.principals.values() if one.kind == "user"],
        "services": [writer.service(one) for one in state.principals.values() if one.kind == "service"],
        "resources": [writer.resource(one) for one in state.resources.values()],
        "workflows": writer.workflows(),
        "policies": writer.policies(),
        "operations": writer.operations(),
        "defaults": writer.defaults(),
        "delegations": writer.delegations(at),
    }
    head = {"slug": state.tenant.slug, "name": state.tenant.name, "id": str(state.tenant.id)}
    more = _said({"settings": writer.settings(), "identityProvider": writer.provider()})
    return head | more | {key: found for key, found in sections.items() if found}


class _Writer:
    def __init__(self, state: State) -> None:
        self._state = state
        principals = state.principals.values()
        self._users = _namer({one.id: one.login or "" for one in principals if one.kind == "user"}, str.lower)
        self._services = _namer({one.id: one.name for one in principals if one.kind == "service"})
        self._roles = _namer({one.id: one.name for one in state.roles.values()})
        self._groups = _namer({one.id: one.name for one in state.groups.values()})
        self._workflows = _namer({one.id: one.name for one in state.workflows.values()})
        self._resources = _namer({one.id: one.name for one in state.resources.values()})

    def settings(self) -> dict[str, Any]:
        assert self._state.tenant is not None
        found = {key: value for key, value in self._state.tenant.settings.items() if key in SETTINGS}
        if found.get("fallbackApprovers"):
            found["fallbackApprovers"] = [
                {kind: self.leaf(Kind(kind), value) for kind, value in leaf.items()}
                for leaf in found["fallbackApprovers"]
            ]
        if found.get("breakGlass", {}).get("groups"):
            groups = [name for id in found["breakGlass"]["groups"] if (name := self._groups(UUID(id)))]
            found["breakGlass"] = {**found["breakGlass"], "groups": groups}
        return found

    def provider(self) -> dict[str, Any]:
        found = self._state.provider
        if found is None:
            return {}
        return _said(
            {
                "issuer": found.issuer,
                "clientId": found.client_id,
                "scopes": list(found.scopes),
                "tenantClaim": found.tenant_claim,
            }
        )

    def role(self, role: Role) -> dict[str, Any]:
        return self._asked(role, {"permissions": list(role.permissions)})

    def group(self, group: Group) -> dict[str, Any]:
        return self._asked(group, {"externalId": group.external_id})

    def resource(self, resource: Resource) -> dict[str, Any]:
        more = {
            "type": resource.type,
            "parent": self._resources(resource.parent_id),
            "externalId": resource.external_id,
            "attributes": dict(resource.attributes),
        }
        return self._asked(resource, more)

    def user(self, user: Principal) -> dict[str, Any]:
        head = {"login": user.login, "name": user.name, "id": str(user.id), "email": user.email}
        return _said(head | {"manager": self._users(user.manager_id)} | self._principal(user))

    def service(self, service: Principal) -> dict[str, Any]:
        head = {"name": service.name, "id": str(service.id), "owner": self._users(service.owner_id)}
        return _said(head | {"permissions": list(service.permissions)} | self._principal(service))

    def workflows(self) -> list[dict[str, Any]]:
        return [
            _said(
                {
                    "name": one.name,
                    "id": str(one.id),
                    "description": one.description or None,
                    "status": one.status,
                    "resourceTypes": list(one.resource_types) if one.resource_types is not None else None,
                    "autoApprove": one.auto_approve if one.auto_approve != "none" else None,
                    "fallbackApprovers": self._leaves(one.fallback_approvers or ()),
                },
                empty=("resourceTypes",),
            )
            | {"steps": [_said(show_step(step, self.leaf)) for step in one.steps]}
            for one in self._state.workflows.values()
        ]

    def policies(self) -> list[dict[str, Any]]:
        return [
            {"name": one.name, "id": str(one.id), "enabled": one.enabled, "priority": one.priority, **one.body}
            for one in self._state.policies.values()
        ]

    def operations(self) -> list[dict[str, Any]]:
        return [
            _said(
                {
                    "method": one.method,
                    "path": one.path,
                    "id": str(one.id),
                    "workflow": self._workflows(one.workflow_id),
                    "resource": self._resources(one.resource_id),
                    "execute": _without_headers(one.execute),
                }
            )
            for one in self._state.operations.values()
        ]

    def defaults(self) -> list[dict[str, Any]]:
        return [
            self._settled_for(scope, subject) | show_defaults(one, self.leaf)
            for (scope, subject), one in self._state.defaults.items()
        ]

    def delegations(self, at: datetime) -> list[dict[str, Any]]:
        return [
            {
                "id": str(one.id),
                "from": self._users(one.from_id),
                "to": self._users(one.to_id),
                "startsAt": one.starts_at.isoformat(),
                "endsAt": one.ends_at.isoformat(),
            }
            for one in self._state.delegations.values()
            if not is_over(one, at) and {one.from_id, one.to_id} <= self._state.principals.keys()
        ]

    def leaf(self, kind: Kind, value: str) -> str:
        """Name an approver; one that is gone by what stands in the workflow. A role is kept as written."""
        namer = {Kind.USER: self._users, Kind.SERVICE: self._services, Kind.GROUP: self._groups}.get(kind)
        try:
            return (namer(UUID(value)) or value) if namer else value
        except ValueError:
            return value

    def _settled_for(self, scope: Scope, subject: str) -> dict[str, Any]:
        """Name for which requests something is settled; what is gone, or was never registered, by its id."""
        match scope:
            case Scope.TENANT:
                return {}
            case Scope.TYPE:
                return {"type": subject}
            case Scope.TARGET:
                namers = {"role": self._roles, "group": self._groups, "resource": self._resources}
                found = {kind: name for kind, namer in namers.items() if (name := namer(UUID(subject)))}
                return {"target": found or {"id": subject}}

    def _leaves(self, leaves: Collection[Leaf]) -> list[dict[str, str]]:
        return show_leaves(leaves, self.leaf)

    def _asked(self, one: Role | Group | Resource, more: Mapping[str, Any]) -> dict[str, Any]:
        approval = {"workflow": self._workflows(one.workflow_id), **(one.approval or {})}
        head = {"name": one.name, "id": str(one.id), "description": one.description or None}
        head["owner"] = self._users(one.owner_id)
        return _said(head | dict(more) | {"approval": _said(approval)})

    def _principal(self, one: Principal) -> dict[str, Any]:
        state = self._state
        held = state.credentials.get(one.id, ())
        roles = [self._roles(id) for id in state.roles_of.get(one.id, ()) if id in state.roles]
        groups = [self._groups(id) for id in state.groups_of.get(one.id, ()) if id in state.groups]
        return {
            "status": one.status,
            "roles": sorted(name for name in roles if name),
            "groups": sorted(name for name in groups if name),
            "keys": [_key(credential) for credential in held if credential.kind == "key"],
            "clients": [_client(credential) for credential in held if credential.kind == "client"],
            "passkeys": [_passkey(credential) for credential in held if credential.kind == "passkey"],
        }


def _key(key: StoredCredential) -> dict[str, Any]:
    return _said({"name": key.name or str(key.id), "id": str(key.id), "expiresAt": _moment(key.expires_at)})


def _client(client: StoredCredential) -> dict[str, Any]:
    return _said({"id": client.client_id, "name": client.name or None, "expiresAt": _moment(client.expires_at)})


def _passkey(passkey: StoredCredential) -> dict[str, Any]:
    public = dict(passkey.public or {})
    return _said({"name": passkey.name or None, **public, "signCount": passkey.sign_count})


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _without_headers(execute: Any) -> Any:
    """Leave out headers, which may hold secrets; a file that does not speak of them leaves them alone."""
    if isinstance(execute, Mapping) and "url" in execute:
        return {key: value for key, value in execute.items() if key != "headers"}
    return execute


def _said(found: Mapping[str, Any], *, empty: Collection[str] = ()) -> dict[str, Any]:
    """Leave out what says nothing: null, and lists and objects without content (but for the keys of `empty`)."""
    return {key: value for key, value in found.items() if value is not None and (key in empty or value not in ([], {}))}


def _namer(names: Mapping[UUID, str], fold: Callable[[str], str] = str) -> Callable[[UUID | None], str | None]:
    """Make what names a thing: by its name, by its id where several have that name; None for what is gone."""
    counts: dict[str, int] = {}
    for name in names.values():
        counts[fold(name)] = counts.get(fold(name), 0) + 1

    def of(id: UUID | None) -> str | None:
        if id is None:
            return None
        name = names.get(id)
        return name if name is None or counts[fold(name)] == 1 else str(id)

    return of


class _Dumper(yaml.SafeDumper):
    """Quotes what our reader would not take for text, and repeats instead of using aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if not isinstance(plain(text), str) else "|" if "\n" in text and text.isprintable() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
