"""Workflows, policies and operations: what governs whom asks for what."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from quorate.app.cedar.check import check
from quorate.app.cedar.policies import MAX_CHARACTERS, MAX_POLICIES
from quorate.app.cedar.schema import Vocabulary, vocabulary
from quorate.app.declare.draft import Draft
from quorate.app.declare.names import values
from quorate.app.declare.operations import plan_operation
from quorate.app.declare.schema import Entry
from quorate.app.definitions import read_leaves, read_steps
from quorate.store.declare import PolicyRow, WorkflowRow

_WORKFLOW: Final[Mapping[str, tuple[str, Any]]] = {
    "name": ("name", ""),
    "description": ("description", None),
    "status": ("status", "active"),
    "resourceTypes": ("resource_types", None),
    "autoApprove": ("auto_approve", "none"),
}
_WORDS: Final = {
    "resource_types": "resourceTypes",
    "auto_approve": "autoApprove",
    "fallback_approvers": "fallbackApprovers",
}
_POLICY_BODY: Final = (
    "maxDurationSeconds",
    "defaultDurationSeconds",
    "approvalMode",
    "approvalTimeoutSeconds",
    "notificationChannel",
    "description",
    "cedar",
)


def plan_rules(draft: Draft) -> None:
    """Plan workflows, policies and operations."""
    for entry in draft.entries("workflows"):
        _workflow(draft, entry, draft.names.ids[entry.path])
    known = _vocabulary(draft)
    for entry in draft.entries("policies"):
        _policy(draft, entry, draft.names.ids[entry.path], known)
    if draft.rows.policies:
        _leave_room(draft)
    for entry in draft.entries("operations"):
        plan_operation(draft, entry, draft.names.ids[entry.path])
    for workflow in draft.pruned("workflows", draft.state.workflows):
        if workflow.status == "active":
            draft.removed("workflow", workflow.id, workflow.name, "inactive")
            version = workflow.version + 1
            draft.rows.workflows.append(replace(workflow, status="inactive", version=version, updated_at=draft.at))
    for policy in draft.pruned("policies", draft.state.policies):
        if policy.enabled:
            draft.removed("policy", policy.id, policy.name, "disabled")
            draft.rows.policies.append(replace(policy, enabled=False, updated_at=draft.at))
    for operation in draft.pruned("operations", draft.state.operations):
        draft.removed("operation", operation.id, f"{operation.method} {operation.path}", "deleted")
        draft.rows.operations_gone.append(operation.id)


def _workflow(draft: Draft, entry: Entry, id: UUID) -> None:
    """Plan one workflow. Whatever differs makes a new version; requests that are open keep their steps."""
    old = draft.state.workflows.get(id)
    if old is None and entry.said.get("steps") is None:
        draft.wrong(entry.path, "steps are needed for a new workflow")
        return
    base = old or WorkflowRow(
        id=id, name=entry.name, status="active", steps=(), created_at=draft.at, updated_at=draft.at
    )
    found = values(entry.said, _WORKFLOW)
    if entry.said.get("steps") is not None:
        found["steps"], problems = read_steps(
            entry.said["steps"], draft.names.leaf, path=f"{entry.path}.steps", strict=True
        )
        draft.names.problems += problems
    if "fallbackApprovers" in entry.said:
        leaves, problems = read_leaves(
            entry.said["fallbackApprovers"], draft.names.leaf, path=f"{entry.path}.fallbackApprovers", strict=True
        )
        draft.names.problems += problems
        found["fallback_approvers"] = leaves or None
    new = replace(base, **found)
    if old is not None and old.status != "draft" and new.status == "draft":
        draft.wrong(f"{entry.path}.status", f"{entry.name} is {old.status} and cannot become a draft again")
    version = base.version + (old is not None)
    activated_at = base.activated_at
    if new.status == "active" and (old is None or old.status != "active"):
        activated_at = draft.at
    words = _WORDS | {"steps": "steps" if base.status == "draft" else f"steps → version {version}"}
    if draft.compare(entry, old, new, words):
        draft.rows.workflows.append(replace(new, version=version, activated_at=activated_at, updated_at=draft.at))


def _vocabulary(draft: Draft) -> Vocabulary:
    """The words that Cedar texts may use, once the file is applied. What operations add is never wrong."""
    tenant = draft.rows.tenant or draft.state.tenant
    return vocabulary(msgspec.json.encode(tenant.settings) if tenant else b"{}")


def _leave_room(draft: Draft) -> None:
    """Hold all policies of the tenant, as they will be, to the bounds that the API has for them."""
    after = {**draft.state.policies, **{one.id: one for one in draft.rows.policies}}
    characters = sum(len(one.body.get("cedar") or "") for one in after.values())
    if len(after) > MAX_POLICIES:
        draft.wrong(f"{draft.entry.path}.policies", f"there would be {len(after)}, more than {MAX_POLICIES}")
    if characters > MAX_CHARACTERS:
        draft.wrong(
            f"{draft.entry.path}.policies", f"all texts together would have more than {MAX_CHARACTERS} characters"
        )


def _policy(draft: Draft, entry: Entry, id: UUID, known: Vocabulary) -> None:
    old = draft.state.policies.get(id)
    if old is None and entry.said.get("cedar") is None:
        draft.wrong(entry.path, "cedar is needed for a new policy")
    base = old or PolicyRow(id=id, name=entry.name, created_at=draft.at, updated_at=draft.at)
    found = values(entry.said, {"name": ("name", ""), "enabled": ("enabled", True), "priority": ("priority", 0)})
    body = dict(base.body) | {key: entry.said[key] for key in _POLICY_BODY if key in entry.said}
    found["body"] = {key: value for key, value in body.items() if value is not None}
    new = replace(base, **found)
    default, most = new.body.get("defaultDurationSeconds"), new.body.get("maxDurationSeconds")
    if old is not None and default is not None and most is not None and default > most:
        draft.wrong(entry.path, f"defaultDurationSeconds would be {default}, more than maxDurationSeconds, {most}")
    for problem in check(entry.said.get("cedar") or "", known).problems:
        where = "" if problem.line is None else f"line {problem.line}, column {problem.column}: "
        draft.wrong(f"{entry.path}.cedar", f"{where}{problem.message}")
    changed = [key for key in _POLICY_BODY if dict(base.body).get(key) != new.body.get(key)]
    if draft.compare(entry, old, new, {"body": ", ".join(changed)}):
        draft.rows.policies.append(replace(new, updated_at=draft.at))
