"""Operations in the file: what may be asked for, and how it is then carried out."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from msgspec.structs import replace

from quorate.app.declare.draft import Draft
from quorate.app.declare.names import values
from quorate.app.declare.schema import Entry
from quorate.app.operations.own import covering, overlapping
from quorate.domain.operations import is_parameter, parameters, segments, shape
from quorate.domain.workflows import OnTimeout
from quorate.store.declare import OperationRow

_WORDS: Final = {"workflow_id": "workflow", "resource_id": "resource"}
_OURS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent", "idempotency-key"}
)


def plan_operation(draft: Draft, entry: Entry, id: UUID) -> None:
    """Plan one operation, and say what is wrong with it."""
    old, said, path = draft.state.operations.get(id), entry.said, entry.path
    found = values(said, {"method": ("method", ""), "path": ("path", "")})
    for key in ("workflow", "execute"):
        if old is None and said.get(key) is None:
            draft.wrong(path, f"{key} is needed for a new operation")
    if said.get("workflow") is not None:
        found["workflow_id"] = draft.names.lookup("workflow", said["workflow"], f"{path}.workflow")
    if "resource" in said:
        found["resource_id"] = draft.names.lookup("resource", said["resource"], f"{path}.resource")
    if said.get("execute") is not None:
        found["execute"] = _execute(said["execute"], old.execute if old else None)
    if old is None:
        if not {"workflow_id", "execute"} <= found.keys() or found["workflow_id"] is None:
            return  # It was said above what is missing.
        new = OperationRow(id=id, created_at=draft.at, updated_at=draft.at, **found)
    else:
        new = replace(old, **found)
    _check_path(draft, path, new)
    _check_execute(draft, path, new)
    _check_workflow(draft, path, new)
    if draft.compare(entry, old, new, _WORDS):
        draft.rows.operations.append(replace(new, updated_at=draft.at))


def _execute(said: Any, old: Any) -> Any:
    """Headers that are not written stay what they are: an export leaves them out, since they may hold secrets."""
    if not isinstance(said, Mapping) or "url" not in said:
        return said
    kept = {"headers": old["headers"]} if isinstance(old, Mapping) and "url" in old and "headers" in old else {}
    return kept | {key: value for key, value in said.items() if value is not None}


def _check_path(draft: Draft, path: str, new: OperationRow) -> None:
    names = parameters(new.path)
    odd = [part for part in segments(new.path) if ("{" in part or "}" in part) and not is_parameter(part)]
    if odd or len(set(names)) < len(names):
        draft.wrong(f"{path}.path", "a parameter is a whole segment like {id}, and each has a name of its own")
    for other in (*draft.rows.operations, *draft.state.operations.values()):
        same = (other.method, shape(other.path)) == (new.method, shape(new.path))
        if other.id != new.id and same and other.id not in draft.rows.operations_gone:
            draft.wrong(f"{path}.path", f"matches the same calls as {other.method} {other.path}")
            return


def _check_execute(draft: Draft, path: str, new: OperationRow) -> None:
    """One of our own is done by us, and nobody else's can be: else what it guards would never be done."""
    ours = overlapping(new.method, new.path)
    if new.execute == "internal":
        if covering(new.method, new.path) is None:
            draft.wrong(f"{path}.execute", "Quorate has no such operation of its own (docs/operations.md lists them)")
        return
    if ours is not None:
        draft.wrong(f"{path}.execute", f"must be internal: {ours.method} {ours.path} is Quorate's own")
    if isinstance(new.execute, Mapping) and "url" in new.execute:
        _check_call(draft, f"{path}.execute", new)


def _check_call(draft: Draft, path: str, new: OperationRow) -> None:
    url = str(new.execute["url"])
    used = [part.partition("}")[0] for part in url.split("{")[1:]]
    if missing := [name for name in used if name not in parameters(new.path)]:
        draft.wrong(f"{path}.url", f"names {{{missing[0]}}}, which the path does not have")
    if "{" in urlsplit(url).netloc:
        draft.wrong(f"{path}.url", "what was asked for must not choose the host")
    headers = new.execute.get("headers")
    for name in headers if isinstance(headers, Mapping) else ():
        if name.lower() in _OURS:
            draft.wrong(f"{path}.headers", f"{name} is Quorate's to set")


def _check_workflow(draft: Draft, path: str, new: OperationRow) -> None:
    """Time alone approves no operation. Source: design §3, rule 13."""
    planned = {one.id: one for one in (*draft.state.workflows.values(), *draft.rows.workflows)}
    workflow = planned.get(new.workflow_id)
    for step in workflow.steps if workflow else ():
        if step.on_timeout is OnTimeout.APPROVE:
            draft.wrong(f"{path}.workflow", f"its step {step.name!r} passes by time, which no operation may")
            return
