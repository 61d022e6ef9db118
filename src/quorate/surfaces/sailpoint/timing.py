"""When steps remind, escalate and are late: the vendor's words for it, read and shown.

Source: SailPoint contract §4, ApprovalConfig.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from quorate.app.schedules import BadSchedule, canonical_zone, read_schedule, show_schedule
from quorate.domain.cadence import Cadence
from quorate.domain.workflows import MAX_REMINDERS, REQUESTER, Escalations, Kind, Leaf, OnTimeout, Reminders
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.sailpoint.vocabulary import IDENTITY_TYPE, MANAGER_OF_ASKER

MOST_TO_ESCALATE_TO: Final = 20
_DAY_S: Final = 86_400
_RESULTS: Final = {"EXPIRED": OnTimeout.EXPIRE, "APPROVED": OnTimeout.APPROVE}

Days = Annotated[int, Meta(ge=1, le=90)]
Text = Annotated[str, Meta(max_length=255)]


class Somebody(Struct, frozen=True, rename="camel", omit_defaults=True):
    identity_type: str
    identity_id: str | None = None


class Escalation(Struct, frozen=True, rename="camel", omit_defaults=True):
    enabled: bool = False
    days_until_first_escalation: Days | None = None
    escalation_cron_schedule: Text | None = None
    escalation_chain: Annotated[list[Somebody], Meta(max_length=MOST_TO_ESCALATE_TO)] | None = None


class Timeout(Struct, frozen=True, rename="camel", omit_defaults=True):
    enabled: bool = False
    days_until_timeout: Days | None = None
    timeout_result: Literal["EXPIRED", "APPROVED"] | None = None


class Reminder(Struct, frozen=True, rename="camel", omit_defaults=True):
    enabled: bool = False
    days_until_first_reminder: Annotated[int, Meta(ge=0, le=90)] | None = None
    reminder_cron_schedule: Text | None = None
    max_reminders: Annotated[int, Meta(ge=0, le=MAX_REMINDERS)] | None = None


class Zone(Struct, frozen=True, omit_defaults=True):
    location: Text | None = None
    offset: Text | None = None


def zone(given: Zone | None) -> str | None:
    """Name the zone of schedules; a location counts before an offset, as it knows of summer. Raises `BadInput`."""
    for name, written in (("location", given and given.location), ("offset", given and given.offset)):
        if written:
            try:
                return canonical_zone(written)
            except BadSchedule as bad:
                raise BadInput.at(f"cronTimezone.{name}", str(bad)) from None
    return None


def deadline(given: Timeout | None) -> tuple[int | None, OnTimeout | None]:
    """Say after how many seconds a step is late, and what then. Raises `BadInput`."""
    if given is None or not given.enabled:
        return None, None
    if given.days_until_timeout is None:
        raise BadInput.at("timeoutConfig.daysUntilTimeout", "is needed")
    return given.days_until_timeout * _DAY_S, _RESULTS[given.timeout_result or "EXPIRED"]


def reminders(given: Reminder | None, zone: str | None, timeout_s: int | None) -> Reminders | None:
    """Say when a step reminds. Raises `BadInput`: it would not, or not by what is written."""
    if given is None or not given.enabled:
        return None
    if given.max_reminders == 0:
        raise BadInput.at("reminderConfig.maxReminders", "must be at least 1")
    days, schedule = given.days_until_first_reminder, given.reminder_cron_schedule
    if not days and not schedule:
        raise BadInput.at("reminderConfig.daysUntilFirstReminder", "is needed where there is no schedule")
    cadence = _cadence("reminderConfig", "Reminder", days, schedule, zone, timeout_s)
    return Reminders(cadence, given.max_reminders or MAX_REMINDERS)


def escalations(
    given: Escalation | None, leaves: tuple[Leaf, ...], zone: str | None, timeout_s: int | None
) -> Escalations | None:
    """Say who join a step and when. Raises `BadInput`: nobody would, or not all."""
    if given is None or not given.enabled:
        return None
    days, schedule = given.days_until_first_escalation, given.escalation_cron_schedule
    if days is None:
        raise BadInput.at("escalationConfig.daysUntilFirstEscalation", "is needed")
    if not leaves:
        raise BadInput.at("escalationConfig.escalationChain", "is needed")
    if len(leaves) > 1 and not schedule:
        raise BadInput.at("escalationConfig.escalationCronSchedule", "is needed for a chain of several")
    return Escalations(_cadence("escalationConfig", "Escalation", days, schedule, zone, timeout_s), leaves)


def shown(
    timeout_s: int | None, when_late: OnTimeout, reminders: Reminders | None, escalations: Escalations | None
) -> dict[str, Any]:
    """Show what a step holds to, or what is settled for steps. What is no whole number of days is rounded up."""
    found: dict[str, Any] = {}
    cadences = []
    if reminders is not None:
        cadences.append(reminders.cadence)
        found["reminderConfig"] = _shown(reminders.cadence, "Reminder", "reminderCronSchedule") | {
            "maxReminders": reminders.most
        }
    if escalations is not None:
        cadences.append(escalations.cadence)
        found["escalationConfig"] = _shown(escalations.cadence, "Escalation", "escalationCronSchedule") | {
            "escalationChain": [somebody(leaf) for leaf in escalations.leaves]
        }
    if timeout_s is not None and when_late is not OnTimeout.ESCALATE:
        result = "APPROVED" if when_late is OnTimeout.APPROVE else "EXPIRED"
        found["timeoutConfig"] = {"enabled": True, "daysUntilTimeout": _days(timeout_s), "timeoutResult": result}
    zone = next((one.zone for one in cadences if one.cron is not None), "UTC")
    if zone != "UTC":
        found["cronTimezone"] = {"offset" if zone[0] in "+-" else "location": zone}
    return found


def somebody(leaf: Leaf) -> Mapping[str, str]:
    """Name whom a leaf names, as the configuration does."""
    kind = IDENTITY_TYPE[leaf.kind]
    match leaf.kind:
        case Kind.MANAGER:
            return {"identityType": kind if leaf.value == REQUESTER else MANAGER_OF_ASKER}
        case Kind.OWNER:
            return {"identityType": kind}
        case _:
            return {"identityId": leaf.value, "identityType": kind}


def _cadence(
    config: str, noun: str, days: int | None, schedule: str | None, zone: str | None, timeout_s: int | None
) -> Cadence:
    first_s = days * _DAY_S if days else None
    if first_s is not None and timeout_s is not None and first_s >= timeout_s:
        raise BadInput.at(f"{config}.daysUntilFirst{noun}", "must be before the timeout")
    try:
        return read_schedule(schedule or None, zone, first_s)
    except BadSchedule as bad:
        raise BadInput.at(f"{config}.{noun.lower()}CronSchedule", str(bad)) from None


def _shown(cadence: Cadence, noun: str, schedule: str) -> dict[str, Any]:
    days = {} if cadence.first_s is None else {f"daysUntilFirst{noun}": _days(cadence.first_s)}
    again = show_schedule(cadence)
    return {"enabled": True} | days | ({schedule: again} if again else {})


def _days(seconds: int) -> int:
    return max(1, -(-seconds // _DAY_S))
