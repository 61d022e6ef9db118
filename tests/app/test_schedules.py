"""Schedules as people write them: the moments they name, and what is none."""

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.app.schedules import BadSchedule, canonical_zone, next_moment, read_schedule, show_schedule
from quorate.domain.cadence import Cadence

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "then"),
    [
        ("0 9 * * 1-5", "UTC", "2026-03-06T09:00", "2026-03-09T09:00"),  # Friday to Monday.
        ("0 9 * * MON", "UTC", "2026-03-02T08:59:59.9", "2026-03-02T09:00"),
        ("*/20 * * * *", "UTC", "2026-03-02T12:40", "2026-03-02T13:00"),
        ("0 9 * * *", BERLIN, "2026-01-01T00:00", "2026-01-01T08:00"),
        ("0 9 * * *", BERLIN, "2026-07-01T00:00", "2026-07-01T07:00"),  # In summer an hour sooner.
        ("0 9 * * *", "+05:30", "2026-01-01T00:00", "2026-01-01T03:30"),
        ("0 9 * * *", "-08:00", "2026-01-01T00:00", "2026-01-01T17:00"),
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            "2026-03-29T01:00",
        ),  # 02:30 is not there: as soon as there is a time.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", "2026-10-25T00:30"),  # 02:30 is there twice: the first counts,
        ("30 2 * * *", BERLIN, "2026-10-25T00:30", "2026-10-26T01:30"),  # and only that one,
        ("50 2 * * *", BERLIN, "2026-10-25T01:40", "2026-10-26T01:50"),  # also for who asks in between.
        ("0 0 29 2 *", "UTC", "2026-03-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_a_schedule_names_its_next_moment(cron: str, zone: str, after: str, then: str) -> None:
    assert next_moment(cron, zone, at(after)) == at(then)


minute = st.sampled_from(["*", "0", "30", "*/7", "5-10", "59"])
hour = st.sampled_from(["*", "0", "2", "3", "*/5", "9-17"])
day, month = st.sampled_from(["*", "1", "31", "*/2"]), st.sampled_from(["*", "3", "10", "1-12/3"])
weekday = st.sampled_from(["*", "0", "7", "MON-FRI", "SUN"])
moments = st.integers(1_704_067_200_000, 1_830_297_600_000).map(
    lambda ms: datetime.fromtimestamp(ms / 1000, UTC)
)  # 2024–27.
crons = st.tuples(minute, hour, day, month, weekday).map(" ".join)
zones = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "+12:45"])


@given(crons, zones, moments)
def test_the_next_moment_is_later_on_a_full_minute_and_the_first_that_there_is(
    cron: str, zone: str, after: datetime
) -> None:
    then = next_moment(cron, zone, after)

    assert then is not None
    assert then > after
    assert (then.second, then.microsecond) == (0, 0)
    between = after + (then - after) / 2
    assert next_moment(cron, zone, between) == then
    assert next_moment(cron, zone, then - timedelta(microseconds=1)) == then


SCHEDULES = {
    "0 9 * * 1-5": Cadence(60, cron="0 9 * * 1-5"),
    "  0  9 ? * mon,WED ": Cadence(60, cron="0 9 * * mon,WED"),
    "@daily": Cadence(60, cron="0 0 * * *"),
    "@WEEKLY": Cadence(60, cron="0 0 * * 0"),
    "@every 24h": Cadence(60, every_s=86_400),
    "@every 1h30m": Cadence(60, every_s=5400),
    "@every 90m5s": Cadence(60, every_s=5405),
}


@pytest.mark.parametrize("text", SCHEDULES)
def test_a_schedule_is_read_and_shown_so_that_it_reads_as_the_same(text: str) -> None:
    cadence = read_schedule(text, None, 60)

    assert cadence == SCHEDULES[text]
    assert read_schedule(show_schedule(cadence), None, 60) == cadence


def test_what_is_done_once_has_no_schedule() -> None:
    assert read_schedule(None, BERLIN, 60) == Cadence(60, zone=BERLIN)
    assert show_schedule(Cadence(60)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "@fortnightly",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 0 30 2 *",
        "0 0 L * *",
        "0 0 * * 1#2",
        "*/0 * * * *",
        "9-5 * * * *",
        "0 0 * XYZ *",
        "TZ=UTC 0 0 * * *",
        "@every",
        "@every 24",
        "@every 59s",
        "@every 367h24d",
        "@every 9999h",
        "@every -1h",
        "1," * 200 + "1 * * * *",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        read_schedule(text, None, 60)


def test_there_must_be_a_first_time() -> None:
    with pytest.raises(BadSchedule):
        read_schedule(None, None, None)


@pytest.mark.parametrize(
    ("written", "zone"), [(BERLIN, BERLIN), ("UTC", "UTC"), ("+0200", "+02:00"), ("-11:30", "-11:30")]
)
def test_a_zone_is_a_name_or_an_offset(written: str, zone: str) -> None:
    assert canonical_zone(written) == zone


@pytest.mark.parametrize("name", ["", "Berlin", "Europe", "../etc/passwd", "+25:00", "+2", "Europe/Berlin\0", "x" * 70])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(BadSchedule):
        canonical_zone(name)


def test_a_zone_that_this_machine_has_forgotten_counts_as_utc(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert next_moment("0 9 * * *", "Mars/Olympus", at("2026-01-01T00:00")) == at("2026-01-01T09:00")
    assert len(caplog.records) == 1


def test_zones_are_there_on_a_bare_machine() -> None:
    """Without the system's own tables, those of the package that we bring count."""
    import zoneinfo

    zoneinfo.reset_tzpath(to=())
    try:
        assert ZoneInfo.no_cache("Pacific/Chatham").key == "Pacific/Chatham"
    finally:
        zoneinfo.reset_tzpath()
