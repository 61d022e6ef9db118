"""A test that cannot run here is skipped and counted, unless nothing may be skipped."""

import pytest

from tests.programs import closing_line, needs


def test_a_test_whose_program_is_missing_is_skipped_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUORATE_REQUIRE_ALL", raising=False)
    mark = needs("no-such-program").mark

    assert mark.args == (True,)
    assert mark.kwargs == {"reason": "needs no-such-program"}


def test_a_test_whose_program_is_there_is_not_skipped() -> None:
    assert needs("sh").mark.args == (False,)


def test_nothing_is_skipped_where_everything_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUORATE_REQUIRE_ALL", "1")

    assert needs("no-such-program").mark.args == (False,)


def test_the_closing_line_counts_the_skips_and_says_what_to_install() -> None:
    reasons = [
        "('x.py', 3, 'Skipped: needs slapd')",
        "Skipped: needs chromium",
        "Skipped: needs slapd",
        "Skipped: Mondays",
    ]

    assert closing_line(reasons) == "4 tests skipped; to run them install: chromium, slapd"
    assert closing_line(["Skipped: Mondays"]) == "1 test skipped"
