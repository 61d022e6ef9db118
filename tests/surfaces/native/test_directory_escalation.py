"""Nobody gives or takes a permission they do not hold, on no path; and the last administrator stays.

Rita looks after the directory: she may change it and make keys, and nothing else. Ada is the administrator.
"""

import asyncio
from typing import Any

import pytest

from quorate.domain.permissions import KNOWN
from tests.surfaces.native.story import Story, error

HERS = ("directory:read", "directory:write", "key:write")


async def clerk(story: Story) -> dict[str, str]:
    """Let Rita look after the directory; answers ids by name for paths."""
    role = (await story.post("ada", "/roles", {"name": "clerks", "permissions": list(HERS)}, 201))["id"]
    await story.post("ada", f"/users/{story.ids['rita']}/roles", {"roleId": role})
    roles = {one["name"]: one["id"] for one in (await story.get("ada", "/roles"))["roles"]}
    await story.call("ada", "DELETE", f"/users/{story.ids['rita']}/roles/{roles['readers']}")
    mighty = await story.post("ada", "/services", {"name": "mighty", "permissions": ["workflow:write"]}, 201)
    weak = await story.post("ada", "/services", {"name": "weak", "permissions": ["directory:read"]}, 201)
    workflow = await story.workflow()
    return {
        **{name: str(id) for name, id in story.ids.items()},
        **{f"role-{name}": id for name, id in roles.items()},
        "mighty": mighty["id"],
        "weak": weak["id"],
        "workflow": workflow,
    }


def filled(value: Any, ids: dict[str, str]) -> Any:
    match value:
        case str():
            for name, id in ids.items():
                value = value.replace(f"<{name}>", id)
            return value
        case dict():
            return {key: filled(one, ids) for key, one in value.items()}
        case list():
            return [filled(one, ids) for one in value]
        case _:
            return value


ATTEMPTS: list[tuple[str, str, str, Any]] = [
    ("assigning a role to herself", "POST", "/users/<rita>/roles", {"roleId": "<role-admins>"}),
    ("assigning a role to another", "POST", "/users/<rhea>/roles", {"roleId": "<role-readers>"}),
    ("making a role", "POST", "/roles", {"name": "n", "permissions": ["directory:read", "workflow:read"]}),
    ("making a role of all there is", "POST", "/roles", {"name": "n", "permissions": ["admin"]}),
    ("adding to the role she holds", "PUT", "/roles/<role-clerks>", {"permissions": [*HERS, "audit:read"]}),
    ("adding to a role nobody holds", "PUT", "/roles/<role-auditors>", {"permissions": ["admin"]}),
    ("exchanging within a role", "PUT", "/roles/<role-readers>", {"permissions": ["directory:read", "audit:read"]}),
    ("letting another workflow give a role", "PUT", "/roles/<role-admins>", {"workflowId": "<workflow>"}),
    ("answering for a role she does not hold", "PUT", "/roles/<role-admins>", {"ownerId": "<rita>"}),
    ("a key of an administrator", "POST", "/users/<ada>/keys", {"name": "k"}),
    ("a key of a mighty service", "POST", "/services/<mighty>/keys", {"name": "k"}),
    ("an administrator's password", "PUT", "/users/<ada>", {"password": "a password she knows"}),
    ("an administrator's login", "PUT", "/users/<ada>", {"login": "rita2"}),
    ("an administrator's address", "PUT", "/users/<ada>", {"email": "rita2@acme.example"}),
    ("making a service", "POST", "/services", {"name": "n", "permissions": ["workflow:read"]}),
    ("adding to a service", "PUT", "/services/<weak>", {"permissions": ["directory:read", "admin"]}),
    ("owning a mighty service", "PUT", "/services/<mighty>", {"ownerId": "<rita>"}),
    ("disowning a mighty service", "PUT", "/services/<bot>", {"ownerId": None}),
    ("suspending an administrator", "POST", "/users/<mona>/suspend", None),
    ("deactivating an administrator", "PUT", "/users/<mona>", {"status": "inactive"}),
    ("deleting an administrator", "DELETE", "/users/<mona>", None),
    ("revoking an administrator's key", "DELETE", "/users/<mona>/keys/<mona-key>", None),
    ("taking an administrator's role", "DELETE", "/users/<mona>/roles/<role-admins>", None),
    ("taking from a role", "PUT", "/roles/<role-readers>", {"permissions": []}),
    ("deleting a role", "DELETE", "/roles/<role-readers>", None),
    ("suspending a mighty service", "PUT", "/services/<mighty>", {"status": "suspended"}),
    ("deleting a mighty service", "DELETE", "/services/<mighty>", None),
    ("revoking a mighty service's key", "DELETE", "/services/<mighty>/keys/<mighty-key>", None),
    ("taking from a service", "PUT", "/services/<mighty>", {"permissions": []}),
]


@pytest.mark.parametrize(("what", "method", "path", "body"), ATTEMPTS, ids=[one[0] for one in ATTEMPTS])
async def test_nobody_gives_or_takes_a_permission_they_do_not_hold(
    story: Story, what: str, method: str, path: str, body: Any
) -> None:
    ids = await clerk(story)
    await story.post("ada", f"/users/{ids['mona']}/roles", {"roleId": ids["role-admins"]})
    for kind, who in (("users", "mona"), ("services", "mighty")):
        ids[f"{who}-key"] = (await story.post("ada", f"/{kind}/{ids[who]}/keys", {"name": "k"}, 201))["id"]
    before = await story.get("ada", "/audit/events")

    answer = await story.call("rita", method, filled(path, ids), filled(body, ids))

    assert error(answer) == (403, "FORBIDDEN"), what
    assert "do not hold" in answer.json()["error"]["message"]
    assert await story.get("ada", "/audit/events") == before

    allowed = await story.call("ada", method, filled(path, ids), filled(body, ids))
    assert allowed.status_code in (200, 201), allowed.text


BACK: list[tuple[str, str, str, str, Any]] = [
    ("reactivating", "ben", "POST", "/users/<ben>/reactivate", None),
    ("making active", "ben", "PUT", "/users/<ben>", {"status": "active"}),
    ("a service", "mighty", "PUT", "/services/<mighty>", {"status": "active"}),
]


@pytest.mark.parametrize(("what", "who", "method", "path", "body"), BACK, ids=[one[0] for one in BACK])
async def test_nobody_brings_back_what_may_do_more_than_they(
    story: Story, what: str, who: str, method: str, path: str, body: Any
) -> None:
    # Ben himself may do nothing, but the service he owns may write workflows and comes back with him.
    ids = await clerk(story)
    if who == "ben":
        await story.post("rita", f"/users/{ids['ben']}/suspend")
    else:
        suspended = await story.call("ada", "PUT", f"/services/{ids['mighty']}", {"status": "suspended"})
        assert suspended.status_code == 200

    assert error(await story.call("rita", method, filled(path, ids), body)) == (403, "FORBIDDEN"), what

    assert (await story.call("ada", method, filled(path, ids), body)).status_code == 200


GIVEN: list[tuple[str, str, str, Any]] = [
    ("a role of hers", "POST", "/users/<rhea>/roles", {"roleId": "<role-clerks>"}),
    ("a role that carries nothing", "POST", "/users/<rhea>/roles", {"roleId": "<role-auditors>"}),
    ("a new role", "POST", "/roles", {"name": "n", "permissions": ["directory:read"]}),
    ("another name of a role", "PUT", "/roles/<role-readers>", {"name": "n"}),
    ("a key of a plain user", "POST", "/users/<rhea>/keys", {"name": "k"}),
    ("a key of a weak service", "POST", "/services/<weak>/keys", {"name": "k"}),
    ("a plain user's password", "PUT", "/users/<rhea>", {"password": "a new password"}),
    ("an administrator's name", "PUT", "/users/<ada>", {"displayName": "Ada Min"}),
    ("a new service", "POST", "/services", {"name": "n", "permissions": ["key:write"]}),
    ("less of a service", "PUT", "/services/<weak>", {"permissions": []}),
    ("suspending a plain user", "POST", "/users/<rhea>/suspend", None),
    ("deleting a plain user", "DELETE", "/users/<rhea>", None),
    ("deleting a weak service", "DELETE", "/services/<weak>", None),
    ("a role taken away", "DELETE", "/users/<ana>/roles/<role-manager>", None),
]


@pytest.mark.parametrize(("what", "method", "path", "body"), GIVEN, ids=[one[0] for one in GIVEN])
async def test_what_one_holds_one_may_give(story: Story, what: str, method: str, path: str, body: Any) -> None:
    ids = await clerk(story)

    answer = await story.call("rita", method, filled(path, ids), filled(body, ids))

    assert answer.status_code in (200, 201), (what, answer.text)


async def test_all_permissions_together_are_not_admin(story: Story) -> None:
    all_but_admin = sorted(KNOWN - {"admin"})
    role = (await story.post("ada", "/roles", {"name": "nearly", "permissions": all_but_admin}, 201))["id"]
    await story.post("ada", f"/users/{story.ids['rita']}/roles", {"roleId": role})

    assert error(await story.call("rita", "POST", "/roles", {"name": "n", "permissions": ["admin"]})) == (
        403,
        "FORBIDDEN",
    )
    assert error(await story.call("rita", "POST", f"/users/{story.ids['ada']}/keys", {"name": "k"})) == (
        403,
        "FORBIDDEN",
    )
    await story.post("rita", "/roles", {"name": "n", "permissions": all_but_admin}, 201)


async def test_what_a_grant_gives_one_may_give_on_until_it_ends(story: Story) -> None:
    ids = await clerk(story)
    await story.call("ada", "PUT", f"/roles/{story.auditors}", {"permissions": ["audit:read"]})
    asked = await story.request("rita", duration={"value": 1, "unit": "hours"})
    await story.post("ana", f"/approvals/{await story.task('ana', asked['id'])}/decide", {"decision": "approve"})
    body = {"roleId": str(story.auditors)}

    await story.post("rita", f"/users/{ids['rhea']}/roles", body)
    story.clock.passes(hours=1)

    assert error(await story.call("rita", "POST", f"/users/{ids['mona']}/roles", body)) == (403, "FORBIDDEN")


LAST: list[tuple[str, str, str, Any]] = [
    ("suspending", "POST", "/users/<ada>/suspend", None),
    ("deactivating", "PUT", "/users/<ada>", {"status": "inactive"}),
    ("deleting", "DELETE", "/users/<ada>", None),
    ("taking the role away", "DELETE", "/users/<ada>/roles/<role-admins>", None),
    ("emptying the role", "PUT", "/roles/<role-admins>", {"permissions": []}),
    ("deleting the role", "DELETE", "/roles/<role-admins>", None),
]


@pytest.mark.parametrize(("what", "method", "path", "body"), LAST, ids=[one[0] for one in LAST])
async def test_the_last_administrator_stays(story: Story, what: str, method: str, path: str, body: Any) -> None:
    ids = await clerk(story)
    # Neither a service nor somebody who is suspended is an administrator who could help.
    await story.post("ada", "/services", {"name": "root", "permissions": ["admin"]}, 201)
    await story.post("ada", f"/users/{ids['mona']}/roles", {"roleId": ids["role-admins"]})
    await story.post("ada", f"/users/{ids['mona']}/suspend")
    before = await story.get("ada", f"/users/{ids['ada']}")

    assert error(await story.call("ada", method, filled(path, ids), body)) == (409, "CONFLICT"), what

    assert await story.get("ada", f"/users/{ids['ada']}") == before
    await story.post("ada", f"/users/{ids['mona']}/reactivate")
    done = await story.call("ada", method, filled(path, ids), body)
    # With a second administrator one may go; but the role is both's.
    assert done.status_code == (409 if what.endswith("the role") else 200)


async def test_of_two_administrators_who_put_each_other_out_at_once_one_stays(story: Story) -> None:
    ids = await clerk(story)
    await story.post("ada", f"/users/{ids['mona']}/roles", {"roleId": ids["role-admins"]})

    for _ in range(5):
        answers = await asyncio.gather(
            story.call("ada", "POST", f"/users/{ids['mona']}/suspend"),
            story.call("mona", "POST", f"/users/{ids['ada']}/suspend"),
        )

        assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 409])
        winner = "ada" if answers[0].status_code == 200 else "mona"
        await story.post(winner, f"/users/{ids['mona' if winner == 'ada' else 'ada']}/reactivate")


async def test_of_two_who_leave_at_once_one_stays(story: Story) -> None:
    ids = await clerk(story)
    await story.post("ada", f"/users/{ids['mona']}/roles", {"roleId": ids["role-admins"]})

    answers = await asyncio.gather(
        *(story.call(who, "DELETE", f"/users/{ids[who]}/roles/{ids['role-admins']}") for who in ("ada", "mona"))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_a_permission_that_was_taken_away_a_moment_ago_gives_nothing(story: Story) -> None:
    ids = await clerk(story)
    [before, after] = await asyncio.gather(
        story.call("ada", "DELETE", f"/users/{ids['rita']}/roles/{ids['role-clerks']}"),
        story.call("rita", "POST", f"/users/{ids['rhea']}/roles", {"roleId": ids["role-clerks"]}),
    )

    assert before.status_code == 200
    told = (await story.get("ada", f"/audit/resources/role/{ids['role-clerks']}/history"))["events"]
    revoked = next(place for place, one in enumerate(told) if one["action"] == "role.revoked")
    given = [place for place, one in enumerate(told) if one["details"].get("userId") == ids["rhea"]]
    assert after.status_code == (200 if given else 403)
    assert all(place > revoked for place in given), "the list is newest first"
