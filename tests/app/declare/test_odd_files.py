"""A file with anything anywhere is applied and then changes nothing more, or is refused in words; never a traceback."""

import contextlib
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from quorate.app.declare import CannotApply, Problems, export
from quorate.app.verify import Passwords
from quorate.store.database import Database
from tests.app.declare.test_apply import AT, Desk, everything, passwords
from tests.app.declare.test_schema import ODD, places

__all__ = ["passwords"]  # A fixture.

WHOLE = everything()
# What is wrong in shape is refused without a database (see test_schema); here values go where they may fit.
FITTING: some.SearchStrategy[Any] = some.one_of(
    ODD,
    some.sampled_from(["Security", "admins", "manager", "ana@acme.example", "ben@acme.example", "ci", "Standard"]),
    some.sampled_from(["Billing:Admin", "Admin prod", "Straße", "naïve\u2028", "x" * 255, "2030-01-01T00:00:00+23:59"]),
    some.sampled_from([1, 2, 50, 2**31 - 1, 2**53, 1e300, True, False, None]),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=some.lists(some.tuples(some.sampled_from(places(WHOLE)[1:]), FITTING), min_size=1, max_size=2))
async def test_an_odd_file_is_applied_or_refused(
    changes: list[tuple[tuple[Any, ...], Any]], owner: Database, db: Database, passwords: Passwords
) -> None:
    desk = Desk(owner, db, passwords)
    said = json.loads(desk.text(**everything()))["tenants"][0]
    for path, odd in changes:
        with contextlib.suppress(LookupError, TypeError):
            at = said
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = odd
    said["slug"] = desk.slug
    text = json.dumps({"tenants": [said]})

    try:
        await desk.apply(text)
    except (Problems, CannotApply):
        return
    assert (await desk.apply(text)).lines() == ["nothing to change"]
    exported = await export(owner, [desk.slug], at=AT)
    assert (await desk.apply(exported)).lines() == ["nothing to change"]
