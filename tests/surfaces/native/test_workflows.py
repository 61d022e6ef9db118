"""Native contract b.3 and (c), row by row."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from quorate.store.database import Database
from tests.surfaces.native.story import Story, by, by_security, error

KEYS = {"id", "tenantId", "name", "description", "status", "steps", "createdAt", "updatedAt"}
STEP_KEYS = {"order", "name", "approverType", "approverValue", "timeoutHours"}


async def test_a_new_workflow_is_a_draft_with_exactly_the_documented_keys(story: Story) -> None:
    answer = await story.call(
        "ada", "POST", "/workflows", {"name": "  Standard  ", "description": "d", "steps": [story.known(by("ana"))]}
    )

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"success", "data"}
    assert body["success"] is True
    made = body["data"]
    assert set(made) == KEYS
    assert set(made["steps"][0]) == STEP_KEYS
    assert (made["name"], made["status"], made["tenantId"]) == ("Standard", "draft", str(story.tenant))
    assert made["createdAt"] == made["updatedAt"]
    assert made["createdAt"].endswith("Z")
    assert "." not in made["createdAt"]
    assert made["steps"][0]["timeoutHours"] == 72


async def test_a_description_left_out_is_null(story: Story) -> None:
    made = await story.post("ada", "/workflows", {"name": "n", "steps": [story.known(by("ana"))]}, 201)

    assert made["description"] is None


async def test_steps_are_kept_in_ascending_order_with_their_gaps(story: Story) -> None:
    steps = [story.known(by("ana", 40)), story.known(by("ben", 7))]

    made = await story.post("ada", "/workflows", {"name": "n", "steps": steps}, 201)

    assert [step["order"] for step in made["steps"]] == [7, 40]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": None}, "steps"),
        ({"steps": {}}, "steps"),
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"description": 7}, "description"),
        ({"steps": [by("ana"), by("ben")]}, "steps"),
        ({"steps": [by("ana", 0)]}, "steps[0].order"),
        ({"steps": [by("ana") | {"order": True}]}, "steps[0].order"),
        ({"steps": [by("ana") | {"order": "1"}]}, "steps[0].order"),
        ({"steps": [by("ana") | {"name": " "}]}, "steps[0].name"),
        ({"steps": [by("ana") | {"approverType": "manager"}]}, "steps[0].approverType"),
        ({"steps": [by("ana") | {"approverValue": ""}]}, "steps[0].approverValue"),
        ({"steps": [by("ana") | {"timeoutHours": 0}]}, "steps[0].timeoutHours"),
        ({"steps": [by("ana") | {"timeoutHours": 8761}]}, "steps[0].timeoutHours"),
        ({"steps": [by("ana") | {"timeoutHours": True}]}, "steps[0].timeoutHours"),
        ({"steps": [by("ana") | {"timeoutHours": "48"}]}, "steps[0].timeoutHours"),
        ({"steps": ["x"]}, "steps[0]"),
        ({"resourceTypes": []}, "resourceTypes"),
        ({"autoApprove": "always"}, "autoApprove"),
        ({"fallbackApprovers": [{"nobody": "x"}]}, "fallbackApprovers[0]"),
    ],
)
async def test_a_workflow_that_is_not_valid_is_400_and_names_the_field(
    story: Story, change: dict[str, Any], field: str
) -> None:
    body = {"name": "n", "steps": [by("ana")]} | change

    answer = await story.call("ada", "POST", "/workflows", story.known(body))

    assert error(answer) == (400, "VALIDATION_ERROR")
    assert field in [detail.get("field") for detail in answer.json()["error"]["details"]]
    assert (await story.get("ada", "/workflows"))["total"] == 0


async def test_unknown_keys_are_ignored(story: Story) -> None:
    await story.post("ada", "/workflows", {"name": "n", "steps": [story.known(by("ana", colour="red"))], "x": 1}, 201)


async def test_a_taken_name_is_409_duplicate_name(story: Story) -> None:
    body = {"name": "Standard", "steps": [story.known(by("ana"))]}
    await story.post("ada", "/workflows", body, 201)

    assert error(await story.call("ada", "POST", "/workflows", body | {"name": " Standard "})) == (
        409,
        "DUPLICATE_NAME",
    )
    await story.post("ada", "/workflows", body | {"name": "standard"}, 201)
    await story.post("olu", "/workflows", body, 201)


async def test_of_many_who_take_a_name_at_once_exactly_one_gets_it(story: Story) -> None:
    body = {"name": "Standard", "steps": [story.known(by("ana"))]}

    answers = await asyncio.gather(*(story.call("ada", "POST", "/workflows", body) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert (await story.get("ada", "/workflows"))["total"] == 1


async def test_a_workflow_is_read_and_listed_newest_first(story: Story) -> None:
    first = await story.workflow()
    story.clock.passes(seconds=1)
    second = await story.workflow()

    listed = await story.get("rita", "/workflows")

    assert set(listed) == {"workflows", "total"}
    assert [one["id"] for one in listed["workflows"]] == [second, first]
    assert listed["total"] == 2
    assert listed["workflows"][0] == await story.get("rita", f"/workflows/{second}")
    page = await story.get("rita", "/workflows?page=2&limit=1")
    assert ([one["id"] for one in page["workflows"]], page["total"]) == ([first], 2)
    assert (await story.get("rita", "/workflows?page=9"))["workflows"] == []


async def test_another_tenants_workflow_does_not_exist(story: Story) -> None:
    made = await story.workflow()

    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PUT", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("POST", "/activate", None),
        ("POST", "/deactivate", None),
        ("POST", "/start", {"subject": {}}),
    ]
    for method, path, body in calls:
        answer = await story.call("olu", method, f"/workflows/{made}{path}", body)
        assert error(answer) == (404, "RESOURCE_NOT_FOUND"), (method, path)
    assert (await story.get("olu", "/workflows"))["total"] == 0
    assert (await story.get("ada", f"/workflows/{made}"))["status"] == "active"


@pytest.mark.parametrize("id", ["wf9z8y7x-6w5v-4321-uvwx-1234567890ab", "0", "%20", str(uuid4()), "x" * 3000])
async def test_an_id_is_never_refused_for_its_shape(story: Story, id: str) -> None:
    assert error(await story.call("ada", "GET", f"/workflows/{id}")) == (404, "RESOURCE_NOT_FOUND")
    assert error(await story.call("ada", "DELETE", f"/workflows/{id}")) == (404, "RESOURCE_NOT_FOUND")


async def test_name_and_description_can_be_changed_in_every_state(story: Story) -> None:
    made = await story.workflow(activate=False)
    for step in ("activate", "deactivate", None):
        story.clock.passes(seconds=1)
        name = f"Called {step}"
        answer = await story.call("ada", "PUT", f"/workflows/{made}", {"name": name, "description": "d"})
        assert answer.status_code == 200
        changed = answer.json()["data"]
        assert (changed["name"], changed["description"]) == (name, "d")
        assert changed["updatedAt"] > changed["createdAt"]
        if step:
            await story.post("ada", f"/workflows/{made}/{step}")


async def test_steps_are_replaced_in_a_draft_and_frozen_afterwards(story: Story) -> None:
    made = await story.workflow(activate=False)
    steps = {"steps": [story.known(by("ben", 2)), story.known(by("cyd", 1))]}

    replaced = await story.call("ada", "PUT", f"/workflows/{made}", steps)
    assert [step["order"] for step in replaced.json()["data"]["steps"]] == [1, 2]
    for step in ("activate", "deactivate"):
        await story.post("ada", f"/workflows/{made}/{step}")
        before = await story.get("ada", f"/workflows/{made}")
        answer = await story.call("ada", "PUT", f"/workflows/{made}", steps | {"name": "other"})
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert await story.get("ada", f"/workflows/{made}") == before


async def test_an_empty_change_changes_nothing(story: Story) -> None:
    made = await story.workflow()
    before = await story.get("ada", f"/workflows/{made}")
    story.clock.passes(hours=1)

    answer = await story.call("ada", "PUT", f"/workflows/{made}", {})

    assert (answer.status_code, answer.json()["data"]) == (200, before)


async def test_renaming_to_a_taken_name_is_409_and_to_ones_own_is_fine(story: Story) -> None:
    await story.workflow(name="Taken")
    made = await story.workflow(name="Mine")

    assert error(await story.call("ada", "PUT", f"/workflows/{made}", {"name": " Taken"})) == (409, "DUPLICATE_NAME")
    answer = await story.call("ada", "PUT", f"/workflows/{made}", {"name": "Mine ", "description": "d"})
    assert answer.json()["data"]["name"] == "Mine"


async def test_of_two_who_rename_to_one_name_at_once_one_gets_it(story: Story) -> None:
    first, second = await story.workflow(), await story.workflow()

    answers = await asyncio.gather(
        *(story.call("ada", "PUT", f"/workflows/{one}", {"name": "Wanted"}) for one in (first, second))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_a_change_with_an_old_tag_is_412_and_changes_nothing(story: Story) -> None:
    made = await story.workflow()
    tag = (await story.call("ada", "GET", f"/workflows/{made}")).headers["etag"]
    changed = await story.call("ada", "PUT", f"/workflows/{made}", {"name": "a"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag

    answer = await story.call("ada", "PUT", f"/workflows/{made}", {"name": "b"}, headers={"If-Match": tag})

    assert error(answer) == (412, "PRECONDITION_FAILED")
    assert (await story.get("ada", f"/workflows/{made}"))["name"] == "a"
    odd = await story.call("ada", "PUT", f"/workflows/{made}", {"name": "b"}, headers={"If-Match": "odd"})
    assert error(odd) == (400, "VALIDATION_ERROR")


async def test_of_two_changes_with_one_tag_exactly_one_counts(story: Story) -> None:
    made = await story.workflow()
    tag = {"If-Match": (await story.call("ada", "GET", f"/workflows/{made}")).headers["etag"]}

    answers = await asyncio.gather(
        *(story.call("ada", "PUT", f"/workflows/{made}", {"description": word}, headers=tag) for word in "abc")
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


async def test_activating_and_deactivating_answer_exactly_three_keys(story: Story) -> None:
    made = await story.workflow(activate=False)

    active = await story.post("ada", f"/workflows/{made}/activate")
    inactive = await story.post("ada", f"/workflows/{made}/deactivate")

    assert (set(active), active["status"]) == ({"id", "status", "updatedAt"}, "active")
    assert (set(inactive), inactive["status"]) == ({"id", "status", "updatedAt"}, "inactive")
    assert (await story.post("ada", f"/workflows/{made}/activate"))["status"] == "active"


async def test_a_workflow_cannot_be_put_into_the_state_it_is_in(story: Story) -> None:
    made = await story.workflow(activate=False)

    assert error(await story.call("ada", "POST", f"/workflows/{made}/deactivate")) == (409, "CONFLICT")
    await story.post("ada", f"/workflows/{made}/activate")
    assert error(await story.call("ada", "POST", f"/workflows/{made}/activate")) == (409, "CONFLICT")
    await story.post("ada", f"/workflows/{made}/deactivate")
    assert error(await story.call("ada", "POST", f"/workflows/{made}/deactivate")) == (409, "CONFLICT")


async def test_of_many_who_activate_at_once_exactly_one_does(story: Story) -> None:
    made = await story.workflow(activate=False)

    answers = await asyncio.gather(*(story.call("ada", "POST", f"/workflows/{made}/activate") for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


async def test_a_draft_is_deleted_and_gives_its_name_back(story: Story) -> None:
    made = await story.workflow(activate=False, name="Once")

    answer = await story.call("ada", "DELETE", f"/workflows/{made}")

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "message": "Workflow deleted"}
    assert error(await story.call("ada", "GET", f"/workflows/{made}")) == (404, "RESOURCE_NOT_FOUND")
    assert error(await story.call("ada", "DELETE", f"/workflows/{made}")) == (404, "RESOURCE_NOT_FOUND")
    await story.workflow(name="Once")


async def test_an_active_workflow_and_one_with_pending_requests_cannot_be_deleted(story: Story) -> None:
    made = await story.workflow()
    assert error(await story.call("ada", "DELETE", f"/workflows/{made}")) == (409, "CONFLICT")
    request = await story.request()
    await story.post("ada", f"/workflows/{made}/deactivate")
    assert error(await story.call("ada", "DELETE", f"/workflows/{made}")) == (409, "CONFLICT")

    await story.post("rhea", f"/access-requests/{request['id']}/cancel")

    assert (await story.call("ada", "DELETE", f"/workflows/{made}")).status_code == 200
    kept = await story.get("ada", f"/workflow-instances/{request['id']}")
    assert kept["workflowId"] == made


async def test_a_request_that_has_expired_unnoticed_does_not_keep_its_workflow(story: Story) -> None:
    made = await story.workflow(by("ana", timeoutHours=1))
    await story.request()
    await story.post("ada", f"/workflows/{made}/deactivate")

    story.clock.passes(hours=1)

    assert (await story.call("ada", "DELETE", f"/workflows/{made}")).status_code == 200


async def test_deactivating_leaves_running_requests_decidable(story: Story) -> None:
    made = await story.workflow()
    request = await story.request()
    await story.post("ada", f"/workflows/{made}/deactivate")

    task = await story.task("ana", request["id"])

    decided = await story.post("ana", f"/approvals/{task}/decide", {"decision": "approve"})
    assert decided["accessRequestStatus"] == "approved"


async def test_our_own_keys_are_answered_only_where_they_were_set(story: Story) -> None:
    quorum = {"n": 2, "members": [{"group": "@security"}, {"n": "50%", "members": [{"user": "@ada"}]}]}
    body: dict[str, Any] = story.known(
        {
            "name": "Ours",
            "resourceTypes": ["role", "role"],
            "autoApprove": "policy",
            "fallbackApprovers": [{"role": "admins"}],
            "steps": [
                {
                    "order": 1,
                    "name": "Two",
                    "quorum": quorum,
                    "timeoutSeconds": 5400,
                    "rejection": {"count": 2},
                    "requiresComment": "rejection",
                    "override": False,
                    "onTimeout": "escalate",
                    "escalateTo": {"approverType": "role", "approverValue": "admins"},
                    "reminders": {"afterSeconds": 600, "schedule": "*/10 * * * *", "most": 2},
                    "escalations": {"afterSeconds": 900, "to": [{"manager": "requester"}]},
                }
            ],
        }
    )
    made = await story.post("ada", "/workflows", body, 201)

    assert set(made) == KEYS | {"resourceTypes", "autoApprove", "fallbackApprovers"}
    assert (made["resourceTypes"], made["autoApprove"]) == (["role"], "policy")
    assert made["fallbackApprovers"] == [{"role": "admins"}]
    step = made["steps"][0]
    assert (step["approverType"], step["approverValue"], step["timeoutHours"]) == (None, None, 2)
    assert {key: step[key] for key in body["steps"][0]} == body["steps"][0]

    cleared = {"resourceTypes": None, "autoApprove": None, "fallbackApprovers": None}
    changed = await story.call("ada", "PUT", f"/workflows/{made['id']}", cleared)
    assert set(changed.json()["data"]) == KEYS
    assert await story.get("ada", f"/workflows/{made['id']}") == changed.json()["data"]


async def test_what_a_workflow_answers_can_be_sent_back(story: Story) -> None:
    made = await story.get("ada", f"/workflows/{await story.workflow(by('ana'), by_security(3), activate=False)}")

    answer = await story.call("ada", "PUT", f"/workflows/{made['id']}", made)

    assert answer.json()["data"] == made


@pytest.mark.parametrize("who", ["rhea", "rita"])
async def test_writing_needs_workflow_write(story: Story, who: str) -> None:
    made = await story.workflow()

    for method, path, body in [
        ("POST", "/workflows", {"name": "n", "steps": [story.known(by("ana"))]}),
        ("PUT", f"/workflows/{made}", {"name": "x"}),
        ("DELETE", f"/workflows/{made}", None),
        ("DELETE", f"/workflows/{uuid4()}", None),
        ("POST", f"/workflows/{made}/deactivate", None),
        ("POST", f"/workflows/{made}/start", {"subject": {}}),
    ]:
        assert error(await story.call(who, method, path, body)) == (403, "FORBIDDEN"), (method, path)


async def test_reading_needs_workflow_read(story: Story) -> None:
    made = await story.workflow()

    assert error(await story.call("rhea", "GET", "/workflows")) == (403, "FORBIDDEN")
    assert error(await story.call("rhea", "GET", f"/workflows/{made}")) == (403, "FORBIDDEN")
    assert error(await story.call(None, "GET", "/workflows")) == (401, "UNAUTHORIZED")


async def test_every_change_of_a_workflow_is_in_the_history(story: Story, db: Database) -> None:
    made = await story.workflow()
    await story.call("ada", "PUT", f"/workflows/{made}", {"name": "Renamed"})
    await story.call("ada", "PUT", f"/workflows/{made}", {"name": "Renamed"})
    await story.post("ada", f"/workflows/{made}/deactivate")
    await story.call("ada", "DELETE", f"/workflows/{made}")

    async with db.tx([story.tenant]) as tx:
        rows = await tx.all(
            """SELECT seq, type, actor_id, credential_id, surface, address, body FROM event
                WHERE tenant_id = $1 AND subject_kind = 'workflow' AND subject_id::text = $2 ORDER BY seq""",
            story.tenant,
            made,
        )
    assert [(row["seq"], row["type"]) for row in rows] == [
        (1, "workflow.created"),
        (2, "workflow.activated"),
        (3, "workflow.updated"),
        (4, "workflow.deactivated"),
        (5, "workflow.deleted"),
    ]
    assert {row["actor_id"] for row in rows} == {story.ids["ada"]}
    assert all(row["credential_id"] and row["surface"] == "native" and row["address"] for row in rows)
    assert rows[2]["body"] == b'{"name": "Renamed"}'
