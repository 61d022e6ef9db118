"""What is made of figures: ratios to the limit of the same size, aims, and the table."""

import msgspec
from bench.calls import Measured
from bench.limit import Limit
from bench.report import Report


def measured(
    operation: str, per_second: float, *, connections: int = 64, size: int = 10_000, **more: float
) -> Measured:
    one = Measured(operation, 20, connections, size, size, 0, per_second, 1.0, 10.0, 200, 100, 5, 30, 1000, [])
    return msgspec.structs.replace(one, **more)


def report(*calls: Measured) -> Report:
    limits = [
        Limit("decide", 8, 10_000, 900, 1.0, 300),
        Limit("decide", 64, 10_000, 1000, 1.0, 300),
        Limit("decide", 64, 150_000, 500, 1.0, 300),
        Limit("both", 64, 10_000, 400, 1.0, 300),
    ]
    return Report("2026-11-20T10:00:00+00:00", "v", "a machine", limits, list(calls))


def test_a_ratio_is_to_the_best_count_on_tables_of_the_same_size() -> None:
    small, big = measured("decide", 1500), measured("decide", 1500, size=150_000)
    found = report(small, big)

    assert found.ratio(small) == 1.5
    assert found.ratio(big) == 3.0
    assert found.ratio(measured("decide", 1500, size=1_000_000)) == 1.5
    assert found.ratio(measured("cycle", 200)) == 0.5
    assert found.ratio(measured("inbox", 5000)) is None
    assert found.ratio(measured("decide", 2000, offered=2000)) is None


def test_aims_say_whether_they_are_reached() -> None:
    found = report(
        measured("decide", 1500),
        measured("decide", 1200, connections=256),
        measured("inbox", 7000, p99_ms=21.0),
        measured("inbox", 6500, p99_ms=42.0, size=1_000_000),
        measured("decide", 2000, offered=2000, p99_ms=24.0),
    )
    found.facts["memory of the server after 10,000, MB"] = 151.0

    assert {what: met for what, _, met in found.aims()} == {
        "decide at 64 ≥ 1.0 × the limit": True,
        "decide at 256 ≥ 1.3 × the limit": False,
        "inbox ≥ 6,000/s at 10,000": True,
        "inbox p99 < 20 ms at 10,000": False,
        "inbox ≥ 6,000/s at 1,000,000": True,
        "inbox p99 < 20 ms at 1,000,000": False,
        "inbox at 64: p99 at 1,000,000 ≤ 1.3 ×": False,
        "decide p99 < 25 ms at 2,000/s, 10,000": True,
        "memory of the server after 10,000, MB < 150": False,
    }


def test_a_kept_report_shows_the_same_table() -> None:
    found = report(measured("decide", 1500))
    found.slow_disk = report(measured("decide", 800))

    again = msgspec.json.decode(msgspec.json.encode(found), type=Report)

    assert again.markdown() == found.markdown()
    assert "| decide | 20 | 64 | 10,000 | 1,500 | 1.50 | 1.0 | 10.0 | 200 | 100 | 5 | 30.0 |" in found.markdown()
    assert "| decide | 20 | 64 | 10,000 | 800 | 0.80 |" in found.markdown().partition("With a disk")[2]


def test_errors_of_any_part_count() -> None:
    found = report(measured("decide", 1500))
    found.slow_disk = report(msgspec.structs.replace(measured("decide", 800), errors=["3 lost"]))

    assert found.errors == ["3 lost"]
