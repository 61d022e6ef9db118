"""Approval defaults in the file: what is settled for the steps of all workflows, for everything, a type or a target."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from msgspec.structs import replace

from quorate.app.declare.draft import Draft, differing
from quorate.app.declare.names import values
from quorate.app.declare.schema import Entry
from quorate.app.declare.wanted import Change
from quorate.app.defaults import id_of
from quorate.app.definitions import Namer, read_leaf, read_leaves, show_leaves
from quorate.app.timing import read_escalations, read_reminders, show_escalations, show_reminders
from quorate.app.values import Reader
from quorate.domain.defaults import Defaults, Scope, Settled, problems
from quorate.domain.workflows import Leaf, OnTimeout, OwnSay, Wants

_PLAIN: Final[Mapping[str, tuple[str, Any]]] = {"timeoutSeconds": ("timeout_s", None), "waived": ("waived", None)}
_WORDS: Final = {
    "requires_comment": "requiresComment",
    "timeout_s": "timeoutSeconds",
    "on_timeout": "onTimeout",
    "escalate_to": "escalateTo",
    "fallback": "fallbackApprovers",
    "own_say": "askingApproves",
}

Key = tuple[Scope, str]


def plan_defaults(draft: Draft) -> None:
    """Plan what is settled; who is not written keeps what they have."""
    named: set[Key] = set()
    for entry in draft.entries("defaults"):
        key = _key(draft, entry)
        if key is None:
            continue
        if key in named:
            draft.wrong(entry.path, f"{entry.name} stands here twice")
        named.add(key)
        _one(draft, entry, key)
    if draft.prune and "defaults" in draft.entry.sections:
        for key in draft.state.defaults.keys() - named:
            draft.removed("default", id_of(draft.tenant, *key), " ".join(part for part in key if part))
            draft.rows.defaults_gone.append(key)


def show_defaults(defaults: Defaults, name: Namer) -> dict[str, Any]:
    """Show what is settled, in the words of the file."""

    def leaves(many: Collection[Leaf]) -> list[dict[str, str]]:
        return show_leaves(many, name)

    said: dict[str, Any] = {
        "requiresComment": defaults.requires_comment and defaults.requires_comment.value,
        "timeoutSeconds": defaults.timeout_s,
        "onTimeout": defaults.on_timeout and defaults.on_timeout.value,
        "escalateTo": leaves([defaults.escalate_to])[0] if defaults.escalate_to else None,
        "fallbackApprovers": leaves(defaults.fallback) or None,
        "chain": leaves(defaults.chain) or None,
        "waived": defaults.waived,
        "askingApproves": defaults.own_say and defaults.own_say.value,
        "reminders": show_reminders(defaults.reminders) if defaults.reminders else None,
        "escalations": show_escalations(defaults.escalations, leaves) if defaults.escalations else None,
    }
    return {key: one for key, one in said.items() if one is not None}


def _key(draft: Draft, entry: Entry) -> Key | None:
    """Say for which requests it is; None beside a problem."""
    target = entry.said.get("target")
    if target is None:
        kind = entry.said.get("type")
        return (Scope.TENANT, "") if kind is None else (Scope.TYPE, kind)
    [(what, written)] = target.items()
    id = written if what == "id" else draft.names.lookup(what, written, f"{entry.path}.target.{what}")
    return None if id is None else (Scope.TARGET, str(id))


def _one(draft: Draft, entry: Entry, key: Key) -> None:
    old = draft.state.defaults.get(key)
    said, path, reader = entry.said, entry.path, Reader(strict=True)
    found = values(said, _PLAIN)

    def leaves(value: object, path: str) -> tuple[Leaf, ...]:
        read, wrong = read_leaves(value, draft.names.leaf, path=path, strict=True)
        reader.problems += wrong
        return read

    def leaf(value: object, path: str) -> Leaf | None:
        read, wrong = read_leaf(value, draft.names.leaf, path=path, strict=True)
        reader.problems += wrong
        return read

    readers: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
        "requiresComment": ("requires_comment", lambda value, _: value and Wants(value)),
        "askingApproves": ("own_say", lambda value, _: value and OwnSay(value)),
        "onTimeout": ("on_timeout", lambda value, _: value and OnTimeout(value)),
        "escalateTo": ("escalate_to", leaf),
        "fallbackApprovers": ("fallback", leaves),
        "chain": ("chain", leaves),
        "reminders": ("reminders", lambda value, at: read_reminders(reader, value, at)),
        "escalations": ("escalations", lambda value, at: read_escalations(reader, value, at, leaves)),
    }
    found |= {column: read(said[word], f"{path}.{word}") for word, (column, read) in readers.items() if word in said}
    draft.names.problems += reader.problems
    new = replace(old or Defaults(), **found)
    for problem in problems(new):
        draft.wrong(f"{path}.{_WORDS.get(problem.path, problem.path)}", problem.message)
    changes_own_say = new.own_say is not (old.own_say if old else None)
    if changes_own_say and new.own_say in (OwnSay.DIRECT, OwnSay.INDIRECT) and not _lets_decide_own(draft):
        draft.wrong(f"{path}.askingApproves", "the settings do not say selfApproval: true")
    if old is None:
        draft.changes.append(Change("create", "default", id_of(draft.tenant, *key), entry.name))
    elif old != new:
        details = tuple(_WORDS.get(field, field) for field in differing(old, new))
        draft.changes.append(Change("update", "default", id_of(draft.tenant, *key), entry.name, details))
    else:
        return
    draft.rows.defaults.append(Settled(*key, new))


def _lets_decide_own(draft: Draft) -> bool:
    tenant = draft.rows.tenant or draft.state.tenant
    return tenant is not None and tenant.settings.get("selfApproval") is True
