"""When something is done again and again while a step waits: reminding its approvers, letting others join them."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

Calendar = Callable[[str, str, datetime], datetime | None]
"""Gives the first moment after another that a cron text names in a time zone. Whoever calls the rules brings it."""


class Cadence(Struct, frozen=True, omit_defaults=True):
    """`first_s` after the step opens, else at the schedule's first moment; then again and again by the schedule.

    That is `every_s` after the last time, or the next moment of `cron` (five fields) in `zone`: an IANA name, or an
    offset like `+02:00`. Where there is neither, it is done once.
    """

    first_s: int | None = None
    every_s: int | None = None
    cron: str | None = None
    zone: str = "UTC"

    def first(self, opened_at: datetime, calendar: Calendar) -> datetime | None:
        if self.first_s is None:
            return self.after(opened_at, calendar)
        return opened_at + timedelta(seconds=self.first_s)

    def is_in_vain(self, timeout_s: int | None) -> bool:
        """Say whether the first time would not come before a deadline after so many seconds."""
        return self.first_s is not None and timeout_s is not None and self.first_s >= timeout_s

    def after(self, at: datetime, calendar: Calendar) -> datetime | None:
        """Name the next moment; None when it is not done again."""
        if self.every_s is not None:
            return at + timedelta(seconds=self.every_s)
        return calendar(self.cron, self.zone, at) if self.cron is not None else None


def no_calendar(cron: str, zone: str, after: datetime) -> datetime | None:
    """Stand in where nobody asks for moments."""
    raise AssertionError("nobody brought a calendar")
