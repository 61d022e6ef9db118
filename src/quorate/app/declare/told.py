"""What an apply writes into the history and owes the world: the same, by name, as if the API had been called."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from quorate.app.declare.defaults import show_defaults
from quorate.app.declare.wanted import Change, Membership, Plan, Rows
from quorate.app.definitions import as_given
from quorate.domain.defaults import Scope
from quorate.domain.messages import EVENTS
from quorate.store.events import Entry

_KINDS: Final = {"client": "credential", "passkey": "credential"}
_DONE: Final = {"create": "created", "update": "updated", "remove": "deleted"}
_STATUS: Final = {"suspended": "suspended", "active": "reactivated"}


def entries(made: Plan, mint: Callable[[], UUID]) -> tuple[list[Entry], list[Entry]]:
    """Give the events of a plan: those that webhooks hear of, and those that only the history keeps."""
    happened = [one for change in made.changes for one in _of_change(change, made.rows)]
    happened += [_of_membership(one, joined=True) for one in made.rows.joined]
    happened += [_of_membership(one, joined=False) for one in made.rows.left]
    happened += _of_defaults(made)
    written = [
        Entry(
            subject_kind=kind, subject=id, command=mint(), at=made.at, type=what, actor=None, surface="apply", body=body
        )
        for kind, id, what, body in happened
    ]
    return [one for one in written if one.type in EVENTS], [one for one in written if one.type not in EVENTS]


_Happened = tuple[str, UUID, str, dict[str, Any]]


def _of_change(change: Change, rows: Rows) -> Iterator[_Happened]:
    if change.kind == "default":
        return  # See `_of_defaults`.
    kind = _KINDS.get(change.kind, change.kind)
    row = _row(change, rows)
    # Memberships have events of their own, on the role or the group.
    details = [one for one in change.details if not one.startswith(("+", "-"))]
    if change.verb == "update" and not details:
        return
    body = _facts(change, row)
    if change.verb == "update":
        body["changed"] = details
    names = [_DONE[change.verb]]
    match change.kind, change.verb:
        case "user" | "service" | "policy", "remove":  # It is taken out of use, not away.
            names, body["changed"] = ["updated"], list(details)
        case "user", "update" if "status" in details:
            names = [_STATUS.get(row.status, "updated")]
        case "workflow", "create" if row.status == "active":
            names = ["created", "activated"]
        case "workflow", "update" if "status" in details:
            names = ["updated"] if len(details) > 1 else []
            names.append("activated" if row.status == "active" else "deactivated")
        case "workflow", "remove":
            names = ["deactivated"]
        case "identity_provider", _:
            names = ["removed" if change.verb == "remove" else "changed"]
        case "key" | "client" | "passkey", "remove":
            names = ["revoked"]
        case _:
            pass
    for name in names:
        yield kind, change.id, f"{kind}.{name}", body


def _of_membership(one: Membership, *, joined: bool) -> _Happened:
    what = {
        ("role", True): "role.assigned",
        ("role", False): "role.revoked",
        ("group", True): "group.member_added",
        ("group", False): "group.member_removed",
    }[one.what, joined]
    who = {f"{one.holder_kind}Id": str(one.holder)}
    return one.what, one.id, what, who | {f"{one.what}Id": str(one.id), f"{one.what}Name": one.name}


def _of_defaults(made: Plan) -> Iterator[_Happened]:
    settled: dict[tuple[Scope, str], Any] = dict.fromkeys(made.rows.defaults_gone)
    settled |= {(one.scope, one.subject): show_defaults(one.defaults, as_given) for one in made.rows.defaults}
    for (scope, subject), said in settled.items():
        body = {"approvalDefaults": {"scope": scope.value, "subject": subject, "said": said}}
        yield "tenant", made.tenant, "tenant.changed", body


def _row(change: Change, rows: Rows) -> Any:
    """Find what is written of a changed thing; None where only what hangs on it changes, or it goes."""
    written: dict[str, Sequence[Any]] = {
        "user": rows.principals,
        "service": rows.principals,
        "role": rows.roles,
        "workflow": rows.workflows,
        "delegation": rows.delegations,
    }
    return next((one for one in written.get(change.kind, ()) if one.id == change.id), None)


def _facts(change: Change, row: Any) -> dict[str, Any]:
    """What history keeps of it: ids, kinds and moments, which webhooks may hear, and the name of what is no person."""
    facts: dict[str, Any] = {"userId": str(change.id)} if change.kind == "user" else {"name": change.name}
    facts |= change.about
    match change.kind:
        case "user" if row is not None:
            facts |= {"status": row.status, "managerId": str(row.manager_id) if row.manager_id else None}
        case "service" if row is not None:
            owner = str(row.owner_id) if row.owner_id else None
            facts |= {"ownerId": owner, "permissions": list(row.permissions), "status": row.status}
        case "role" if row is not None:
            facts["permissions"] = list(row.permissions)
        case "delegation":
            del facts["name"]
            if row is not None:
                facts |= {"from": str(row.from_id), "to": str(row.to_id)}
                facts |= {"startsAt": row.starts_at.isoformat(), "endsAt": row.ends_at.isoformat()}
        case _:
            pass
    return facts
