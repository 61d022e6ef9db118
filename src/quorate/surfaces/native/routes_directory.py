"""The routes of the directory: roles, groups and resources, delegations, and what happened.

Source: native contract b.7, b.8.
"""

from collections.abc import Mapping
from typing import Final

from quorate.domain.permissions import AUDIT_READ, DIRECTORY_READ, DIRECTORY_WRITE
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.native import audit, delegations, groups, resources, roles
from quorate.surfaces.native.routes import IF_MATCH, Table, route
from quorate.surfaces.native.shown import Done, Ok

_ROLES: Final[Table] = (
    route(
        "GET", "/roles", roles.list_all, "List roles", who=DIRECTORY_READ, query=roles.Listed, answer=Ok[roles.RoleList]
    ),
    route(
        "POST",
        "/roles",
        roles.create,
        "Make a role",
        who=DIRECTORY_WRITE,
        body=roles.NewRole,
        answer=Ok[roles.RoleShown],
        status=201,
        errors=(409,),
    ),
    route(
        "GET",
        "/roles/permissions",
        roles.permissions,
        "List the permissions there are",
        who=DIRECTORY_READ,
        answer=Ok[roles.PermissionList],
    ),
    route(
        "GET",
        "/permissions",
        roles.permissions,
        "List the permissions there are",
        who=DIRECTORY_READ,
        answer=Ok[roles.PermissionList],
    ),
    route(
        "GET", "/roles/{id}", roles.read, "Read a role", who=DIRECTORY_READ, answer=Ok[roles.RoleShown], errors=(404,)
    ),
    route(
        "PUT",
        "/roles/{id}",
        roles.update,
        "Change a role",
        who=DIRECTORY_WRITE,
        body=roles.ChangedRole,
        body_optional=True,
        answer=Ok[roles.RoleShown],
        errors=(404, 409, 412),
        headers=IF_MATCH,
    ),
    route("DELETE", "/roles/{id}", roles.delete, "Delete a role", who=DIRECTORY_WRITE, answer=Done, errors=(404, 409)),
)

_GROUPS: Final[Table] = (
    route(
        "GET",
        "/groups",
        groups.list_all,
        "List groups",
        who=DIRECTORY_READ,
        query=roles.Listed,
        answer=Ok[groups.GroupList],
    ),
    route(
        "POST",
        "/groups",
        groups.create,
        "Make a group",
        who=DIRECTORY_WRITE,
        body=groups.NewGroup,
        answer=Ok[groups.GroupShown],
        status=201,
        errors=(409,),
    ),
    route(
        "GET",
        "/groups/{id}",
        groups.read,
        "Read a group",
        who=DIRECTORY_READ,
        answer=Ok[groups.GroupShown],
        errors=(404,),
    ),
    route(
        "PUT",
        "/groups/{id}",
        groups.update,
        "Change a group",
        who=DIRECTORY_WRITE,
        body=groups.ChangedGroup,
        body_optional=True,
        answer=Ok[groups.GroupShown],
        errors=(404, 409, 412),
        headers=IF_MATCH,
    ),
    route("DELETE", "/groups/{id}", groups.delete, "Delete a group", who=DIRECTORY_WRITE, answer=Done, errors=(404,)),
    route(
        "GET",
        "/groups/{id}/members",
        groups.members,
        "List who is in a group",
        who=DIRECTORY_READ,
        query=Paging,
        answer=Ok[groups.MemberList],
        errors=(404,),
    ),
    route(
        "POST",
        "/groups/{id}/members",
        groups.add_member,
        "Let a user into a group",
        who=DIRECTORY_WRITE,
        body=groups.MemberGiven,
        answer=Done,
        errors=(404,),
    ),
    route(
        "DELETE",
        "/groups/{id}/members/{userId}",
        groups.remove_member,
        "Put a user out of a group",
        who=DIRECTORY_WRITE,
        answer=Done,
        errors=(404,),
    ),
)

_RESOURCES: Final[Table] = (
    route(
        "GET",
        "/resources",
        resources.list_all,
        "List resources",
        who=DIRECTORY_READ,
        query=resources.ResourceFilter,
        answer=Ok[resources.ResourceList],
    ),
    route(
        "POST",
        "/resources",
        resources.create,
        "Make a resource",
        who=DIRECTORY_WRITE,
        body=resources.NewResource,
        answer=Ok[resources.ResourceShown],
        status=201,
        errors=(409,),
    ),
    route(
        "GET",
        "/resources/{id}",
        resources.read,
        "Read a resource",
        who=DIRECTORY_READ,
        answer=Ok[resources.ResourceShown],
        errors=(404,),
    ),
    route(
        "PUT",
        "/resources/{id}",
        resources.update,
        "Change a resource",
        who=DIRECTORY_WRITE,
        body=resources.ChangedResource,
        body_optional=True,
        answer=Ok[resources.ResourceShown],
        errors=(404, 409, 412),
        headers=IF_MATCH,
    ),
    route(
        "DELETE",
        "/resources/{id}",
        resources.delete,
        "Delete a resource",
        who=DIRECTORY_WRITE,
        answer=Done,
        errors=(404, 409),
    ),
)

_DELEGATIONS: Final[Table] = (
    route(
        "GET",
        "/delegations",
        delegations.list_all,
        "List delegations",
        query=Paging,
        answer=Ok[delegations.DelegationList],
    ),
    route(
        "POST",
        "/delegations",
        delegations.create,
        "Lend a say",
        body=delegations.NewDelegation,
        answer=Ok[delegations.DelegationShown],
        status=201,
    ),
    route("DELETE", "/delegations/{id}", delegations.delete, "End a delegation", answer=Done, errors=(404,)),
)

_AUDIT: Final[Table] = (
    route(
        "GET",
        "/audit/events",
        audit.list_all,
        "List what happened",
        who=AUDIT_READ,
        query=audit.EventFilter,
        answer=Ok[audit.EventList],
    ),
    route(
        "GET",
        "/audit/events/{id}",
        audit.read,
        "Read one thing that happened",
        who=AUDIT_READ,
        answer=Ok[audit.EventShown],
        errors=(404,),
    ),
    route(
        "GET",
        "/audit/resources/{type}/{id}/history",
        audit.history,
        "List what happened to one thing",
        who=AUDIT_READ,
        query=audit.HistoryFilter,
        answer=Ok[audit.EventList],
    ),
    route(
        "GET",
        "/audit/me/activity",
        audit.mine,
        "List what one did oneself",
        query=audit.HistoryFilter,
        answer=Ok[audit.EventList],
    ),
)

DIRECTORY: Final[Mapping[str, Table]] = {
    "Roles": _ROLES,
    "Groups": _GROUPS,
    "Resources": _RESOURCES,
    "Delegations": _DELEGATIONS,
    "Audit": _AUDIT,
}
