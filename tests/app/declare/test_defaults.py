"""What a file settles for the steps of all workflows."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import yaml
from argon2 import PasswordHasher

from quorate.app.declare import Problems, export
from quorate.app.declare.defaults import show_defaults
from quorate.app.definitions import as_given
from quorate.app.verify import Passwords
from quorate.domain.defaults import Defaults
from quorate.domain.workflows import Escalations, Kind, Leaf, OnTimeout, OwnSay, Reminders, Wants
from quorate.store.database import Database
from tests.app.declare.test_apply import ANA, AT, BEN, Desk
from tests.domain.test_cadence import HOURLY

ROLES = [{"name": "admins", "permissions": ["admin"]}, {"name": "auditors"}]
TO = [{"user": "ana@acme.example"}, {"role": "admins"}]


@pytest.fixture(scope="module")
async def quick() -> AsyncIterator[Passwords]:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield passwords
    passwords.close()


@pytest.fixture
async def desk(owner: Database, db: Database, quick: Passwords) -> Desk:
    desk = Desk(owner, db, quick)
    await desk.apply(users=[ANA, BEN], roles=ROLES)
    return desk


async def settled(desk: Desk) -> dict[tuple[str, str], Any]:
    rows = await desk.rows("SELECT scope, subject, defaults FROM approval_default ORDER BY scope, subject")
    return {(scope, subject): json.loads(defaults) for scope, subject, defaults in rows}


async def exported(desk: Desk) -> Any:
    return yaml.safe_load(await export(desk.owner, [desk.slug], at=AT))["tenants"][0].get("defaults")


async def test_what_is_settled_is_made_changed_and_kept_where_nothing_is_said(desk: Desk) -> None:
    late = {"timeoutSeconds": 3600, "onTimeout": "approve"}
    made = await desk.apply(defaults=[{"requiresComment": "all"}, {"target": {"role": "auditors"}, **late}])
    assert made.lines() == ["+ default everything", "+ default role auditors"]
    changed = await desk.apply(defaults=[{"timeoutSeconds": 60}, {"target": {"role": "auditors"}, "onTimeout": None}])

    assert changed.lines() == ["~ default everything: timeoutSeconds", "~ default role auditors: onTimeout"]
    assert await exported(desk) == [
        {"requiresComment": "all", "timeoutSeconds": 60},
        {"target": {"role": "auditors"}, "timeoutSeconds": 3600},
    ]
    events = await desk.rows("SELECT type, body FROM event WHERE subject_kind = 'tenant' ORDER BY id OFFSET 1")
    assert [name for name, _ in events] == ["tenant.changed"] * 4
    said = [json.loads(body)["approvalDefaults"] for _, body in events]
    assert said[0] == {"scope": "tenant", "subject": "", "said": {"requiresComment": "all"}}


async def test_what_a_section_does_not_name_is_kept_unless_it_is_pruned(desk: Desk) -> None:
    waived = {"waived": False}
    await desk.apply(defaults=[{"type": "a", **waived}, {"type": "b", **waived}, waived])

    assert (await desk.apply(defaults=[waived])).lines() == ["nothing to change"]
    with pytest.raises(Problems, match="more than a fifth"):
        await desk.apply(defaults=[waived], prune=True)
    pruned = await desk.apply(defaults=[waived], prune=True, yes=True)

    assert sorted(pruned.lines()) == ["- default type a", "- default type b"]
    assert list(await settled(desk)) == [("tenant", "")]


async def test_what_is_settled_for_something_that_is_gone_stays_as_it_is(desk: Desk) -> None:
    await desk.apply(defaults=[{"target": {"role": "auditors"}, "fallbackApprovers": [{"user": "ben@acme.example"}]}])
    before = await settled(desk)
    await desk.rows("UPDATE role SET deleted_at = now() WHERE name = 'auditors'")
    await desk.rows("UPDATE principal SET deleted_at = now() WHERE login = 'ben@acme.example'")
    [one] = await exported(desk)

    assert list(one["target"]) == ["id"]
    text = await export(desk.owner, [desk.slug], at=AT)
    assert (await desk.apply(text, prune=True)).lines() == ["nothing to change"]
    assert await settled(desk) == before


def test_the_file_has_a_word_for_all_that_can_be_settled() -> None:
    ana = Leaf(Kind.USER, str(uuid4()))
    full = Defaults(
        requires_comment=Wants.ALL,
        timeout_s=60,
        on_timeout=OnTimeout.ESCALATE,
        escalate_to=ana,
        fallback=(ana,),
        chain=(ana,),
        waived=True,
        own_say=OwnSay.DIRECT,
        reminders=Reminders(HOURLY),
        escalations=Escalations(HOURLY, (ana,)),
    )
    for field in msgspec.structs.fields(Defaults):
        assert getattr(full, field.name) != field.default, f"this test must say something of {field.name}"
    assert len(show_defaults(full, as_given)) == len(msgspec.structs.fields(Defaults))


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"type": "a", "target": {"role": "auditors"}}, "type"),
    ({"target": {}}, "target"),
    ({"target": {"role": "auditors", "group": "x"}}, "target"),
    ({"target": {"role": "nothing"}}, "target.role"),
    ({"onTimeout": "expire"}, "onTimeout"),
    ({"timeoutSeconds": 60, "onTimeout": "escalate"}, "escalateTo"),
    ({"timeoutSeconds": 60, "escalateTo": {"role": "admins"}}, "escalateTo"),
    ({"timeoutSeconds": 60, "onTimeout": "escalate", "escalateTo": {"role": "nobody"}}, "escalateTo.role"),
    ({"askingApproves": "direct"}, "askingApproves"),
    ({"requiresComment": "maybe"}, "requiresComment"),
    ({"chain": [{"user": "nobody@acme.example"}]}, "chain[0].user"),
    ({"reminders": {}}, "reminders.afterSeconds"),
    ({"reminders": {"schedule": "tomorrow"}}, "reminders.schedule"),
    ({"reminders": {"schedule": "@daily", "timeZone": "Atlantis/Port"}}, "reminders.timeZone"),
    ({"reminders": {"schedule": "@daily", "most": 21}}, "reminders.most"),
    ({"reminders": {"schedule": "@daily", "often": 2}}, "reminders.often"),
    ({"reminders": {"afterSeconds": 60}, "timeoutSeconds": 60}, "reminders"),
    ({"escalations": {"afterSeconds": 60, "to": TO}}, "escalations.schedule"),
    ({"escalations": {"afterSeconds": 60, "to": []}}, "escalations.to"),
    ({"escalations": {"schedule": "@daily", "to": TO}}, "escalations.afterSeconds"),
    ({"escalations": {"afterSeconds": 60, "to": [{"role": "nobody"}]}}, "escalations.to[0].role"),
    ({"escalations": {"afterSeconds": 60, "to": TO[:1]}, "timeoutSeconds": 60}, "escalations"),
)


@pytest.mark.parametrize(("said", "where"), BAD, ids=[f"{where}: {json.dumps(said)}" for said, where in BAD])
async def test_what_could_have_no_effect_is_refused_with_its_place(desk: Desk, said: Any, where: str) -> None:
    with pytest.raises(Problems) as refused:
        await desk.apply(defaults=[said])

    assert {problem.path for _, problem in refused.value.found} == {f"tenants[0].defaults[0].{where}"}
    assert await settled(desk) == {}


async def test_asking_approves_where_the_same_file_allows_deciding_what_is_ones_own(desk: Desk) -> None:
    await desk.apply(defaults=[{"askingApproves": "indirect"}], settings={"selfApproval": True})
    await desk.apply(settings={"selfApproval": False})

    text = await export(desk.owner, [desk.slug], at=AT)
    assert (await desk.apply(text)).lines() == ["nothing to change"]


async def test_two_entries_for_the_same_are_refused(desk: Desk) -> None:
    [(auditors,)] = await desk.rows("SELECT id FROM role WHERE name = 'auditors'")
    both = [{"target": {"role": "auditors"}, "waived": True}, {"target": {"id": str(auditors)}, "waived": False}]
    for twice in (both, [{"waived": True}, {"waived": False}]):
        with pytest.raises(Problems, match="twice"):
            await desk.apply(defaults=twice)
