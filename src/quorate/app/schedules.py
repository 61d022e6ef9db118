"""Schedules as people write them, and the moments they name. The rules ask through a `Calendar`; here is the only one.

A schedule is five fields of cron, read as Debian's cron reads them, changes of the clock included; one of `@hourly`,
`@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`; or `@every` and a span such as `24h` or `1h30m`.
Source: SailPoint contract §4, ApprovalConfig ("robfig cron or `@every 24h`").
"""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from msgspec.structs import replace

from quorate.domain.cadence import Cadence

log = logging.getLogger(__name__)

LEAST_S: Final = 60
MOST_S: Final = 366 * 86_400
_LONGEST: Final = 200  # characters

_WORDS: Final[Mapping[str, str]] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ONE: Final = r"(?:[0-9]{1,2}|[A-Za-z]{3})"
_ITEM: Final = rf"(?:\*|{_ONE}(?:-{_ONE})?)(?:/[0-9]{{1,2}})?"
_CRON: Final = re.compile(rf"{_ITEM}(?:,{_ITEM})*(?: {_ITEM}(?:,{_ITEM})*){{4}}")
_UNITS_S: Final[Mapping[str, int]] = {"h": 3600, "m": 60, "s": 1}
_SPAN: Final = re.compile(r"([0-9]{1,9})([hms])")
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
_START: Final = datetime(2000, 1, 1, tzinfo=UTC)


class BadSchedule(ValueError):
    """It is no schedule, or no time zone; the text says why, for whoever wrote it."""


def read_schedule(text: str | None, zone: str | None, first_s: int | None) -> Cadence:
    """Read a schedule; None: done once. Raises: BadSchedule."""
    zone = canonical_zone(zone) if zone is not None else "UTC"
    once = Cadence(first_s, zone=zone)
    if text is None:
        if first_s is None:
            raise BadSchedule("neither says when it is done first nor by which schedule")
        return once
    text = " ".join(text.split())
    if text.startswith("@every "):
        return replace(once, every_s=_span_s(text.removeprefix("@every ")))
    cron = _WORDS.get(text.lower(), text).replace("?", "*")
    if len(cron) > _LONGEST or not _CRON.fullmatch(cron):
        raise BadSchedule('must be five fields of cron, a word like "@daily", or "@every" and a span like 24h')
    try:
        comes = _next(cron, UTC, _START)
    except CronSimError as error:
        raise BadSchedule(f"is no schedule: {str(error).lower()}") from None
    if comes is None:
        raise BadSchedule("names no moment that ever comes")
    return replace(once, cron=cron)


def show_schedule(cadence: Cadence) -> str | None:
    """Write a schedule so that it reads as the same; None when it is done once."""
    if cadence.every_s is None:
        return cadence.cron
    hours, rest = divmod(cadence.every_s, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "@every " + "".join(f"{number}{unit}" for number, unit in parts if number)


def canonical_zone(name: str) -> str:
    """Check the name of a time zone, or an offset. Raises: BadSchedule."""
    if match := _OFFSET.fullmatch(name):
        sign, hours, minutes = match.groups()
        if int(hours) > 14 or int(minutes) > 59:
            raise BadSchedule("is no offset that there is anywhere")
        return f"{sign}{hours}:{minutes}"
    if _named(name) is None:
        raise BadSchedule("is no time zone, such as Europe/Berlin, and no offset, such as +02:00")
    return name


def next_moment(cron: str, zone: str, after: datetime) -> datetime | None:
    """Give the first moment after another at which a cron text has its turn, in UTC. It has been read before.

    A zone that this machine has forgotten counts as UTC: a request must not hang on that.
    """
    where = _zone(zone)
    if where is None:
        log.warning("there is no time zone of this name any more; UTC counts", extra={"zone": zone})
    return _next(cron, where or UTC, after)


def _next(cron: str, zone: tzinfo, after: datetime) -> datetime | None:
    """Step until a moment lies truly after: where the clock is put back, a local time comes twice."""
    for local in CronSim(cron, after.astimezone(zone)):
        at = local.astimezone(UTC)
        if at > after:
            return at
    return None


def _zone(name: str) -> tzinfo | None:
    if match := _OFFSET.fullmatch(name):
        sign, hours, minutes = match.groups()
        span = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(span if sign == "+" else -span)
    return _named(name)


@lru_cache(maxsize=64)
def _named(name: str) -> ZoneInfo | None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+/-]{1,63}", name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # The last: it names a directory.
        return None


def _span_s(text: str) -> int:
    """Read a span such as `1h30m`. Raises: BadSchedule."""
    parts = _SPAN.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise BadSchedule('must be a span like 24h, 90m or 1h30m after "@every"')
    total = sum(int(number) * _UNITS_S[unit] for number, unit in parts)
    if not LEAST_S <= total <= MOST_S:
        raise BadSchedule(f"must be from {LEAST_S} seconds to {MOST_S}")
    return total
