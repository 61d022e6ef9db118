"""Our own administrative use cases, by the method and path under which the native API has them.

Whoever tries one on whatever surface, page or command tries the same operation: use cases name it, not handlers.
"""

from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from quorate.domain.operations import closest, is_parameter, segments
from quorate.domain.permissions import ADMIN, DIRECTORY_WRITE, KEY_WRITE, WEBHOOK_WRITE, WORKFLOW_WRITE

BASE: Final = "/api/v1"
POLICY_WRITE: Final = "policy:write"


class Attempt(Struct, frozen=True):
    """One of our own operations that somebody is about to do."""

    method: str
    path: str


class Own(Struct, frozen=True):
    """One of ours. `permission`: what it needs, where that does not depend on whom it is about.

    `noun`: what kind of thing the first id of the path names, if it can be asked for. `of_others`: what it needs where
    that id is neither the caller's own nor of a service of theirs.
    """

    method: str
    path: str
    permission: str | None
    noun: Literal["role", "group", "resource"] | None = None
    of_others: str | None = None


def attempt(method: str, *parts: str | UUID) -> Attempt:
    """Name an attempt: `attempt("DELETE", "workflows", id)`."""
    return Attempt(method, "/".join((BASE, *map(str, parts))))


def own(method: str, path: str) -> Own | None:
    """Find which of our own operations a call is, if it is one."""
    found = closest(OWN, method, path)
    return found[0] if found else None


def covering(method: str, template: str) -> Own | None:
    """Find the one of ours that all paths of a template belong to."""
    wanted = segments(template)
    for one in OWN:
        ours = segments(one.path)
        fits = all(mine == theirs or is_parameter(mine) for mine, theirs in zip(ours, wanted, strict=False))
        if one.method == method and len(ours) == len(wanted) and fits:
            return one
    return None


def overlapping(method: str, template: str) -> Own | None:
    """Find one of ours that some path of a template belongs to."""
    wanted = segments(template)
    for one in OWN:
        ours = segments(one.path)
        if one.method == method and len(ours) == len(wanted):
            pairs = zip(ours, wanted, strict=True)
            if all(mine == theirs or is_parameter(mine) or is_parameter(theirs) for mine, theirs in pairs):
                return one
    return None


def _crud(noun: str, permission: str, target: Literal["role", "group", "resource"] | None = None) -> tuple[Own, ...]:
    at = f"{BASE}/{noun}"
    return (
        Own("POST", at, permission),
        Own("PUT", f"{at}/{{id}}", permission, target),
        Own("DELETE", f"{at}/{{id}}", permission, target),
    )


def _post(path: str, permission: str | None, noun: Literal["role", "group", "resource"] | None = None) -> Own:
    return Own("POST", f"{BASE}{path}", permission, noun)


def _delete(path: str, permission: str | None, noun: Literal["role", "group", "resource"] | None = None) -> Own:
    return Own("DELETE", f"{BASE}{path}", permission, noun)


def _keys(holders: str) -> tuple[Own, Own]:
    at = f"{BASE}/{holders}/{{id}}/keys"
    return Own("POST", at, None, of_others=KEY_WRITE), Own("DELETE", f"{at}/{{keyId}}", None, of_others=KEY_WRITE)


OWN: Final[tuple[Own, ...]] = (
    *_crud("workflows", WORKFLOW_WRITE),
    _post("/workflows/{id}/activate", WORKFLOW_WRITE),
    _post("/workflows/{id}/deactivate", WORKFLOW_WRITE),
    *_crud("users", DIRECTORY_WRITE),
    _post("/users/{id}/suspend", DIRECTORY_WRITE),
    _post("/users/{id}/reactivate", DIRECTORY_WRITE),
    _post("/users/{id}/roles", DIRECTORY_WRITE),
    _delete("/users/{id}/roles/{roleId}", DIRECTORY_WRITE),
    *_keys("users"),
    _delete("/users/{id}/factors", DIRECTORY_WRITE),
    *_crud("services", DIRECTORY_WRITE),
    *_keys("services"),
    *_crud("roles", DIRECTORY_WRITE, "role"),
    *_crud("groups", DIRECTORY_WRITE, "group"),
    _post("/groups/{id}/members", DIRECTORY_WRITE, "group"),
    _delete("/groups/{id}/members/{userId}", DIRECTORY_WRITE, "group"),
    *_crud("resources", DIRECTORY_WRITE, "resource"),
    *_crud("policies", POLICY_WRITE),
    _post("/delegations", None),
    _delete("/delegations/{id}", None),
    _post("/webhooks", WEBHOOK_WRITE),
    _delete("/webhooks/{id}", WEBHOOK_WRITE),
    Own("PUT", f"{BASE}/identity-provider", ADMIN),
    _delete("/identity-provider", ADMIN),
)
