"""The routes of the directory: users and services, and their keys.

Source: native contract b.7, b.8.
"""

from collections.abc import Mapping
from typing import Final

from quorate.domain.permissions import DIRECTORY_READ, DIRECTORY_WRITE
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.native import keys, programs, users
from quorate.surfaces.native.routes import IF_MATCH, Table, route
from quorate.surfaces.native.shown import Done, Ok

_USERS: Final[Table] = (
    route(
        "GET",
        "/users",
        users.list_all,
        "List users",
        who=DIRECTORY_READ,
        query=users.UserFilter,
        answer=Ok[users.UserList],
    ),
    route(
        "POST",
        "/users",
        users.create,
        "Make a user",
        who=DIRECTORY_WRITE,
        body=users.NewUser,
        answer=Ok[users.AccountShown],
        status=201,
        errors=(409, 429),
    ),
    route("GET", "/users/{id}", users.read, "Read a user", answer=Ok[users.AccountShown], errors=(404,)),
    route(
        "PUT",
        "/users/{id}",
        users.update,
        "Change a user",
        who=DIRECTORY_WRITE,
        body=users.ChangedUser,
        body_optional=True,
        answer=Ok[users.AccountShown],
        errors=(404, 409, 412, 429),
        headers=IF_MATCH,
    ),
    route("DELETE", "/users/{id}", users.delete, "Delete a user", who=DIRECTORY_WRITE, answer=Done, errors=(404, 409)),
    route(
        "POST",
        "/users/{id}/suspend",
        users.suspend,
        "Let a user do nothing for now",
        who=DIRECTORY_WRITE,
        answer=Ok[users.AccountShown],
        errors=(404, 409),
    ),
    route(
        "POST",
        "/users/{id}/reactivate",
        users.reactivate,
        "Let a suspended user act again",
        who=DIRECTORY_WRITE,
        answer=Ok[users.AccountShown],
        errors=(404, 409),
    ),
    route(
        "POST",
        "/users/{id}/roles",
        users.assign,
        "Assign a role",
        who=DIRECTORY_WRITE,
        body=users.RoleGiven,
        answer=Done,
        errors=(404,),
    ),
    route(
        "DELETE",
        "/users/{id}/roles/{roleId}",
        users.revoke,
        "Take a role away",
        who=DIRECTORY_WRITE,
        answer=Done,
        errors=(404, 409),
    ),
    route(
        "GET",
        "/users/{id}/keys",
        keys.list_all("user"),
        "List a user's keys",
        query=Paging,
        answer=Ok[keys.KeyList],
        errors=(404,),
    ),
    route(
        "POST",
        "/users/{id}/keys",
        keys.create("user"),
        "Make a key for a user",
        body=keys.NewKey,
        answer=Ok[keys.KeyShown],
        status=201,
        errors=(404, 409),
    ),
    route("DELETE", "/users/{id}/keys/{keyId}", keys.revoke("user"), "Revoke a user's key", answer=Done, errors=(404,)),
)

_SERVICES: Final[Table] = (
    route(
        "GET",
        "/services",
        programs.list_all,
        "List services",
        who=DIRECTORY_READ,
        query=users.UserFilter,
        answer=Ok[programs.ServiceList],
    ),
    route(
        "POST",
        "/services",
        programs.create,
        "Make a service",
        who=DIRECTORY_WRITE,
        body=programs.NewService,
        answer=Ok[programs.ServiceShown],
        status=201,
        errors=(409,),
    ),
    route(
        "GET",
        "/services/{id}",
        programs.read,
        "Read a service",
        who=DIRECTORY_READ,
        answer=Ok[programs.ServiceShown],
        errors=(404,),
    ),
    route(
        "PUT",
        "/services/{id}",
        programs.update,
        "Change a service",
        who=DIRECTORY_WRITE,
        body=programs.ChangedService,
        body_optional=True,
        answer=Ok[programs.ServiceShown],
        errors=(404, 409, 412),
        headers=IF_MATCH,
    ),
    route(
        "DELETE", "/services/{id}", programs.delete, "Delete a service", who=DIRECTORY_WRITE, answer=Done, errors=(404,)
    ),
    route(
        "GET",
        "/services/{id}/keys",
        keys.list_all("service"),
        "List a service's keys",
        query=Paging,
        answer=Ok[keys.KeyList],
        errors=(404,),
    ),
    route(
        "POST",
        "/services/{id}/keys",
        keys.create("service"),
        "Make a key for a service",
        body=keys.NewKey,
        answer=Ok[keys.KeyShown],
        status=201,
        errors=(404, 409),
    ),
    route(
        "DELETE",
        "/services/{id}/keys/{keyId}",
        keys.revoke("service"),
        "Revoke a service's key",
        answer=Done,
        errors=(404,),
    ),
)

ACCOUNTS: Final[Mapping[str, Table]] = {
    "Users": _USERS,
    "Services": _SERVICES,
}
