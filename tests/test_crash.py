"""The short form of `python -m bench crash`: some kills every time the tests run."""

from pathlib import Path

from bench import crash


async def test_every_kind_of_end_under_load_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    report = await crash.run(tmp_path, crash.VICTIMS, seed=11)

    assert report.violations == []
    assert set(report.kills) == set(crash.VICTIMS)
    assert any(deed.is_done and len(deed.statuses) > 1 for deed in report.deeds), "a kill left calls without an answer"
    assert report.seen > 0
    assert report.told > 0


async def test_a_database_that_forgets_what_it_committed_is_found_out(tmp_path: Path) -> None:
    report = await crash.run(tmp_path, ["both"] * 5, seed=11, harm="synchronous_commit = off")

    assert report.violations
