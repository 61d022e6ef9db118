"""Reminders, escalation chains and deadlines that are configured by scope: what they do, and what is refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from quorate.app.batch import lapse_due
from quorate.domain.cadence import Cadence
from quorate.domain.defaults import Defaults, Scope
from quorate.domain.workflows import Escalations, Kind, Leaf, OwnSay, Reminders, Wants
from quorate.store.defaults import put
from tests.surfaces.native.story import Story, by
from tests.surfaces.sailpoint.calls import V1, call, error, generic, shown
from tests.surfaces.sailpoint.test_config import settle

DAY_S = 86_400


async def time_works(story: Story, *, days: float = 0, **span: float) -> None:
    """Let time pass and the clock worker do what is due."""
    story.clock.at += timedelta(days=days, **span)
    for kind in ("request", "reminder"):
        await lapse_due(story.db, story.tenant, kind, story.clock, uuid4, 64)


def someone(story: Story, name: str) -> dict[str, str]:
    return {"identityId": str(story.ids[name]), "identityType": "IDENTITY"}


async def reminded(story: Story) -> int:
    async with story.db.tx([story.tenant]) as tx:
        row = await tx.one("SELECT count(*) FROM event WHERE tenant_id = $1 AND type = 'Reminded'", story.tenant)
    assert row is not None
    return int(row["count"])


REMIND = {"enabled": True, "daysUntilFirstReminder": 1, "reminderCronSchedule": "@every 24h", "maxReminders": 2}


async def test_approvers_are_reminded_by_the_schedule_and_a_webhook_hears_of_it(story: Story) -> None:
    hook = {"name": "ops", "url": "https://ops.example/hook", "events": ["approval.reminded"]}
    await story.post("ada", "/webhooks", hook, 201)
    late = {"enabled": True, "daysUntilTimeout": 30}
    await settle(story, "TENANT", str(story.tenant), {"reminderConfig": REMIND, "timeoutConfig": late})
    id = await generic(story)
    config = (await shown(story, "ana", id))["approvalConfig"]
    assert config["reminderConfig"] == REMIND
    before, sent = await shown(story, "ana", id), []
    for _ in range(4):
        await time_works(story, days=1)
        sent.append(await reminded(story))

    assert sent == [1, 2, 2, 2]
    after = await shown(story, "ana", id)
    assert after == before | {"modifiedDate": after["modifiedDate"]}
    async with story.db.tx([story.tenant]) as tx:
        rows = await tx.all("SELECT event_type, body FROM outbox WHERE tenant_id = $1", story.tenant)
    assert [row["event_type"] for row in rows] == ["approval.reminded"] * 2


async def test_reminders_keep_to_the_working_hours_of_a_place(story: Story) -> None:
    config = {
        "reminderConfig": {"enabled": True, "reminderCronSchedule": "0 9 * * MON-FRI"},
        "cronTimezone": {"location": "America/New_York", "offset": "-05:00"},
        "timeoutConfig": {"enabled": True, "daysUntilTimeout": 30},
    }
    assert await settle(story, "TENANT", str(story.tenant), config) == config
    await generic(story)
    async with story.db.tx([story.tenant]) as tx:
        row = await tx.one(
            """
            SELECT extract(isodow FROM due_at AT TIME ZONE 'America/New_York')::int AS day,
                   to_char(due_at AT TIME ZONE 'America/New_York', 'HH24:MI') AS time
              FROM timer WHERE tenant_id = $1 AND kind = 'reminder'
            """,
            story.tenant,
        )
    assert row is not None
    assert row["time"] == "09:00"
    assert row["day"] <= 5


async def test_a_chain_is_escalated_to_one_after_another(story: Story) -> None:
    chain = [
        someone(story, "ben"),
        {"identityType": "GOVERNANCE_GROUP", "identityId": str(story.security)},
        {"identityType": "MANAGER_OF"},
    ]
    late = {"enabled": True, "daysUntilFirstEscalation": 2, "escalationCronSchedule": "@every 24h"}
    await settle(story, "TENANT", str(story.tenant), {"escalationConfig": late | {"escalationChain": chain}})
    id, seen = await generic(story), []
    first = await shown(story, "rhea", id)
    assert first["approvalConfig"]["escalationConfig"] == late | {"escalationChain": chain}
    for days in (1.9, 0.2, 1, 1):
        await time_works(story, days=days)
        now = await shown(story, "rhea", id)
        history = [one["reassignmentType"] for one in now["reassignmentHistory"]]
        seen.append((now["escalationStep"], now["isEscalated"], len(now["assignedTo"]), len(history)))
        assert set(history) <= {"ESCALATION"}

    assert seen == [("0", False, 1, 0), ("1", True, 2, 1), ("2", True, 3, 2), ("3", True, 4, 3)]
    assert now["approvalCriteria"] == first["approvalCriteria"]
    to = [one["reassignedTo"]["type"] for one in now["reassignmentHistory"]]
    assert to == ["IDENTITY", "GOVERNANCE_GROUP", "MANAGER_OF"]
    approved = (await call(story, "mona", "POST", f"{id}/approve")).json()
    assert (approved["status"], approved["isEscalated"], approved["escalationStep"]) == ("APPROVED", False, "3")


async def test_is_escalated_is_over_once_somebody_acts(story: Story) -> None:
    both = story.known(
        {"order": 1, "name": "Both", "quorum": {"n": 2, "members": [{"user": "@ana"}, {"user": "@ben"}]}}
    )
    late = {"enabled": True, "daysUntilFirstEscalation": 1, "escalationChain": [someone(story, "cyd")]}
    await settle(story, "TENANT", str(story.tenant), {"escalationConfig": late})
    id = await generic(story, both)
    await time_works(story, days=1)
    assert (await shown(story, "rhea", id))["isEscalated"] is True

    await call(story, "ana", "POST", f"{id}/approve")

    now = await shown(story, "rhea", id)
    assert (now["status"], now["isEscalated"], now["escalationStep"]) == ("PENDING", False, "1")


@pytest.mark.parametrize(("result", "status"), [("EXPIRED", "EXPIRED"), ("APPROVED", "APPROVED")])
async def test_an_escalation_stands_beside_a_timeout(story: Story, result: str, status: str) -> None:
    chain = [someone(story, "ben"), someone(story, "cyd"), someone(story, "mona")]
    config = {
        "escalationConfig": {
            "enabled": True,
            "daysUntilFirstEscalation": 1,
            "escalationCronSchedule": "@every 24h",
            "escalationChain": chain,
        },
        "timeoutConfig": {"enabled": True, "daysUntilTimeout": 3, "timeoutResult": result},
    }
    await settle(story, "TENANT", str(story.tenant), config)
    id = await generic(story)
    before = await shown(story, "rhea", id)
    await time_works(story, days=2)
    now = await shown(story, "rhea", id)
    assert (now["status"], now["escalationStep"], now["dueDate"]) == ("PENDING", "2", before["dueDate"])

    await time_works(story, days=1)

    over = await shown(story, "rhea", id)
    assert (over["status"], over["completedDate"], over["escalationStep"]) == (status, before["dueDate"], "2")
    assert error(await call(story, "mona", "POST", f"{id}/approve"))[0] in (400, 404)


async def test_whoever_was_escalated_to_decides_even_if_no_worker_has_run_and_never_their_own(story: Story) -> None:
    chain = [someone(story, "rhea"), someone(story, "cyd")]
    late = {"enabled": True, "daysUntilFirstEscalation": 1, "escalationCronSchedule": "@daily"}
    await settle(story, "TENANT", str(story.tenant), {"escalationConfig": late | {"escalationChain": chain}})
    id = await generic(story)
    story.clock.passes(seconds=2 * DAY_S)

    assert error(await call(story, "rhea", "POST", f"{id}/approve"))[0] == 403
    assert error(await call(story, "olu", "POST", f"{id}/approve"))[0] == 404
    assert (await call(story, "cyd", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_a_workflows_own_deadline_makes_way_for_an_escalation_alone(story: Story) -> None:
    late = {"enabled": True, "daysUntilFirstEscalation": 5, "escalationChain": [someone(story, "cyd")]}
    await settle(story, "TENANT", str(story.tenant), {"escalationConfig": late})
    id = await generic(story, by("ana", timeoutHours=1))
    assert "dueDate" not in await shown(story, "rhea", id)
    await time_works(story, days=5)
    assert (await shown(story, "rhea", id))["status"] == "PENDING"
    await time_works(story, days=5)

    assert (await shown(story, "rhea", id))["status"] == "EXPIRED"


def reminding(**more: Any) -> dict[str, Any]:
    return {"reminderConfig": {"enabled": True, **more}}


def escalating(**more: Any) -> dict[str, Any]:
    chain = [{"identityType": "MANAGER_OF"}]
    return {"escalationConfig": {"enabled": True, "daysUntilFirstEscalation": 3, "escalationChain": chain, **more}}


TIMEOUT = {"timeoutConfig": {"enabled": True, "daysUntilTimeout": 3}}
BAD: tuple[dict[str, Any], ...] = (
    reminding(),
    reminding(daysUntilFirstReminder=0),
    reminding(daysUntilFirstReminder=91),
    reminding(daysUntilFirstReminder=1, maxReminders=21),
    reminding(daysUntilFirstReminder=1, maxReminders=0),
    reminding(reminderCronSchedule="tomorrow"),
    reminding(reminderCronSchedule="0 0 30 2 *"),
    reminding(reminderCronSchedule="@every 1s"),
    reminding(daysUntilFirstReminder=3) | TIMEOUT,
    reminding(reminderCronSchedule="@daily") | {"cronTimezone": {"location": "Atlantis/Port"}},
    reminding(reminderCronSchedule="@daily") | {"cronTimezone": {"offset": "5"}},
    {"cronTimezone": "Europe/Berlin"},
    escalating(escalationChain=[]),
    escalating(escalationChain=[{"identityType": "MANAGER_OF"}] * 2),
    escalating(escalationChain=[{"identityType": "MANAGER_OF"}] * 21, escalationCronSchedule="@daily"),
    escalating(escalationChain=[{"identityType": "IDENTITY", "identityId": str(uuid4())}]),
    escalating(escalationCronSchedule="61 * * * *"),
    escalating(daysUntilFirstEscalation=None),
    escalating() | TIMEOUT,
)


async def test_what_would_have_no_effect_is_refused(story: Story) -> None:
    url = f"{V1}/config/{story.tenant}"
    for config in BAD:
        assert (config, error(await call(story, "ada", "PUT", f"{url}/TENANT", config))[0]) == (config, 400)
    assert error(await call(story, "ada", "GET", url))[0] == 404


async def test_what_is_switched_off_is_kept_and_does_nothing(story: Story) -> None:
    config = {
        "reminderConfig": {"enabled": False, "daysUntilFirstReminder": 1},
        "escalationConfig": {"enabled": False, "daysUntilFirstEscalation": 1},
        "cronTimezone": {"offset": "+02:00"},
    }
    await settle(story, "TENANT", str(story.tenant), config)
    id = await generic(story)
    await time_works(story, days=2)

    assert await reminded(story) == 0
    assert (await shown(story, "rhea", id))["escalationStep"] == "0"


async def test_what_the_file_has_settled_is_read_in_the_vendors_words(story: Story) -> None:
    ben = Leaf(Kind.USER, str(story.ids["ben"]))
    asker, owner = Leaf(Kind.MANAGER, "asker"), Leaf(Kind.OWNER, "target")
    settled = Defaults(
        requires_comment=Wants.ALL,
        timeout_s=10 * DAY_S + 1,
        fallback=(ben, owner),
        chain=(asker, owner, ben),
        waived=False,
        own_say=OwnSay.NEVER,
        reminders=Reminders(Cadence(cron="0 9 * * *", zone="+02:00"), 3),
        escalations=Escalations(Cadence(DAY_S, every_s=5400), (Leaf(Kind.MANAGER, "requester"), asker)),
    )
    async with story.db.tx([story.tenant]) as tx:
        await put(tx, story.tenant, Scope.TENANT, "", settled, None, story.clock())

    said = (await call(story, "ada", "GET", f"{V1}/config/{story.tenant}")).json()

    by_id = {"identityId": ben.value, "identityType": "IDENTITY"}
    assert said == {
        "requiresComment": "ALL",
        "timeoutConfig": {"enabled": True, "daysUntilTimeout": 11, "timeoutResult": "EXPIRED"},
        "fallbackApprover": {"type": "IDENTITY", "identityID": ben.value},
        "serialChain": [{"identityType": "MANAGER_OF_REQUESTER"}, {"identityType": "REQUESTED_TARGET_OWNER"}, by_id],
        "circumventApprovalProcess": False,
        "autoApprove": "OFF",
        "reminderConfig": {"enabled": True, "reminderCronSchedule": "0 9 * * *", "maxReminders": 3},
        "escalationConfig": {
            "enabled": True,
            "daysUntilFirstEscalation": 1,
            "escalationCronSchedule": "@every 1h30m",
            "escalationChain": [{"identityType": "MANAGER_OF"}, {"identityType": "MANAGER_OF_REQUESTER"}],
        },
        "cronTimezone": {"offset": "+02:00"},
    }
    assert await settle(story, "TENANT", str(story.tenant), said) == said
