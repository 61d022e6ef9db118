"""Reminders and escalations as people write them in our own words, and shown so that they read as the same."""

from collections.abc import Callable
from typing import Any, Final

from quorate.app.schedules import BadSchedule, read_schedule, show_schedule
from quorate.app.values import Reader
from quorate.domain.cadence import Cadence
from quorate.domain.workflows import MAX_REMINDERS, MAX_TIMEOUT_S, Escalations, Leaf, Reminders

MOST_TO_ESCALATE_TO: Final = 20
_CADENCE_KEYS: Final = ("afterSeconds", "schedule", "timeZone")

ReadLeaves = Callable[[object, str], tuple[Leaf, ...]]


def read_reminders(reader: Reader, value: object, path: str) -> Reminders | None:
    """Read when a step reminds. None beside a problem, and where nothing is written."""
    fields = None if value is None else reader.fields(value, path, (*_CADENCE_KEYS, "most"))
    cadence = None if fields is None else _cadence(reader, fields, path)
    if fields is None or cadence is None:
        return None
    most = fields.get("most")
    return Reminders(cadence, MAX_REMINDERS if most is None else reader.whole(most, f"{path}.most", 1, MAX_REMINDERS))


def read_escalations(reader: Reader, value: object, path: str, read_leaves: ReadLeaves) -> Escalations | None:
    """Read who join a step and when. None beside a problem, and where nothing is written."""
    fields = None if value is None else reader.fields(value, path, (*_CADENCE_KEYS, "to"))
    if fields is None:
        return None
    if fields.get("afterSeconds") is None:
        reader.wrong(f"{path}.afterSeconds", "is needed")
        return None
    leaves, cadence = read_leaves(fields.get("to"), f"{path}.to"), _cadence(reader, fields, path)
    if not 1 <= len(leaves) <= MOST_TO_ESCALATE_TO:
        reader.wrong(f"{path}.to", f"must name 1 to {MOST_TO_ESCALATE_TO}")
    elif len(leaves) > 1 and cadence is not None and show_schedule(cadence) is None:
        reader.wrong(f"{path}.schedule", "is needed where there are several")
    elif cadence is not None:
        return Escalations(cadence, leaves)
    return None


def show_reminders(reminders: Reminders) -> dict[str, Any]:
    return _shown(reminders.cadence) | {"most": reminders.most}


def show_escalations(escalations: Escalations, show_leaves: Callable[[tuple[Leaf, ...]], list[Any]]) -> dict[str, Any]:
    return _shown(escalations.cadence) | {"to": show_leaves(escalations.leaves)}


def _cadence(reader: Reader, fields: Any, path: str) -> Cadence | None:
    after, schedule, zone = (fields.get(key) for key in _CADENCE_KEYS)
    before = len(reader.problems)
    first_s = None if after is None else reader.whole(after, f"{path}.afterSeconds", 1, MAX_TIMEOUT_S)
    text = None if schedule is None else reader.text(schedule, f"{path}.schedule")
    where = None if zone is None else reader.text(zone, f"{path}.timeZone")
    if len(reader.problems) > before:
        return None
    if text is None and first_s is None:
        reader.wrong(f"{path}.afterSeconds", "is needed where there is no schedule")
        return None
    try:
        read_schedule(None, where, 1)
    except BadSchedule as bad:
        reader.wrong(f"{path}.timeZone", str(bad))
        return None
    try:
        return read_schedule(text, where, first_s)
    except BadSchedule as bad:
        reader.wrong(f"{path}.schedule", str(bad))
        return None


def _shown(cadence: Cadence) -> dict[str, Any]:
    said = {"afterSeconds": cadence.first_s, "schedule": show_schedule(cadence), "timeZone": cadence.zone}
    return {key: one for key, one in said.items() if one is not None and one != "UTC"}
