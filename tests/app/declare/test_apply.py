"""A tenant becomes what its file says, and applying a file twice changes nothing."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from argon2 import PasswordHasher

import quorate.commands
from quorate.app.declare import CannotApply, Order, Problems, Report, RequestToFile, apply, dry_run, export, parse
from quorate.app.verify import Passwords
from quorate.domain.refusals import NoWorkflow, Refusal
from quorate.domain.workflows import Kind, Leaf, Step, any_one_of
from quorate.store import members
from quorate.store.database import Database
from tests.app.directory import SEALER

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DEMO = Path(next(iter(quorate.commands.__path__))) / "demo.yaml"


@pytest.fixture(scope="module")
async def passwords() -> AsyncIterator[Passwords]:
    quick = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield quick
    quick.close()


class Desk:
    """Applies files to a tenant of its own, whose slug it knows."""

    def __init__(self, owner: Database, db: Database, passwords: Passwords) -> None:
        self.slug = f"t-{uuid4()}"
        self.owner = owner
        self.db = db
        self.passwords = passwords
        self.filed: list[RequestToFile] = []
        self.refuse: Refusal | None = None

    def text(self, **sections: Any) -> str:
        return json.dumps({"tenants": [{"slug": self.slug, **sections}]}, default=str)

    async def apply(self, text: str | None = None, *, dry: bool = False, **sections: Any) -> Report:
        how = {key: sections.pop(key) for key in ("prune", "yes", "environ") if key in sections}
        name = sections.pop("file_name", "tenant.yaml")
        file = parse(text or self.text(**sections), name)
        order = Order(at=AT, passwords=self.passwords, seal=lambda: SEALER, **how)
        return await (dry_run(self.owner, file, order) if dry else apply(self.owner, file, order, self.file))

    async def file(self, request: RequestToFile) -> None:
        if self.refuse:
            raise self.refuse
        self.filed.append(request)
        async with self.owner.tx([request.tenant]) as tx:
            await tx.run(
                """
                INSERT INTO request (tenant_id, id, kind, status, requester_id, beneficiary_id, filed_by, filing, route,
                                     progress, step_index, version, created_at, updated_at)
                VALUES ($1, $2, 'generic', 'pending', $3, $3, $3, '{}', '{}', '{}', 0, 1, $4, $4)
                """,
                request.tenant,
                request.id,
                request.requester,
                AT,
            )

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the server sees of the tenant: row security shows it nothing else."""
        found = await self.db.across("SELECT id FROM tenant_by($1)", self.slug)
        async with self.db.tx([found[0]["id"]]) as tx:
            return [tuple(row.values()) for row in await tx.all(sql)]


@pytest.fixture
def desk(owner: Database, db: Database, passwords: Passwords) -> Desk:
    return Desk(owner, db, passwords)


ANA = {"login": "ana@acme.example", "name": "Ana Ott"}
BEN = {"login": "ben@acme.example", "name": "Ben Bo"}
STEP = {"order": 1, "name": "Security", "approverType": "group", "approverValue": "Security"}


def everything() -> dict[str, Any]:
    """One of all there is."""
    return {
        "name": "Acme",
        "settings": {
            "selfApproval": False,
            "fallbackApprovers": [{"role": "admins"}, {"user": "ana@acme.example"}],
            "operationExpirySeconds": 2592000,
            "retainExpiredRequests": False,
            "recheckAccessForResults": False,
            "breakGlass": {"enabled": True, "groups": ["Security"], "maxSeconds": 3600, "types": ["aws_account"]},
            "webauthn": {"rpId": "keys.acme.example", "origins": ["https://keys.acme.example"], "signIn": False},
            "publicUrl": None,
            "jitsudo": {"defaultDurationSeconds": 3600, "strictIds": False, "resourceTypes": ["db"]},
        },
        "identityProvider": {
            "issuer": f"https://{uuid4()}.example",
            "clientId": "quorate",
            "clientSecret": "kept-by-nobody",
            "scopes": ["openid", "email"],
            "tenantClaim": "org",
        },
        "roles": [
            {"name": "manager"},
            {"name": "admins", "permissions": ["admin"], "approval": {"workflow": "Standard"}},
        ],
        "groups": [{"name": "Security", "externalId": "sec", "description": "Careful people"}],
        "users": [
            ANA
            | {
                "email": "ana@acme.example",
                "password": "secret words",
                "manager": "ben@acme.example",
                "roles": ["admins", "manager"],
                "groups": ["Security"],
                "keys": [{"name": "laptop", "secret": f"a long enough {uuid4()}".replace(" ", "-")}],
                "clients": [{"id": "ana-client", "secret": f"a-long-secret-{uuid4()}"}],
                "passkeys": [{"name": "yubi", "id": "abc_-1", "publicKey": {"kty": "EC", "x": "1"}, "signCount": 3}],
            },
            BEN,
        ],
        "services": [
            {
                "name": "ci",
                "owner": "ana@acme.example",
                "permissions": ["workflow:write"],
                "keys": [{"name": "main", "expiresAt": "2030-01-01T00:00:00Z"}],
            }
        ],
        "resources": [
            {"name": "Admin prod", "type": "environment", "parent": "Billing:Admin"},
            {
                "name": "Billing:Admin",
                "type": "profile",
                "owner": "ana@acme.example",
                "attributes": {"appName": "Billing", "no": "no", "n": 1.5},
                "approval": {
                    "workflow": "Standard",
                    "validFor": {"value": 60, "unit": "minutes"},
                    "timeToApprove": {"value": 5, "unit": "minutes"},
                    "justification": "required",
                },
            },
        ],
        "workflows": [
            {
                "name": "Standard",
                "description": "The usual",
                "status": "active",
                "resourceTypes": ["role"],
                "autoApprove": "policy",
                "fallbackApprovers": [{"role": "admins"}],
                "steps": [
                    STEP,
                    {
                        "order": 2,
                        "name": "Custodians",
                        "quorum": {
                            "n": "50%",
                            "requirePassword": True,
                            "members": [
                                {"user": "ana@acme.example"},
                                {"role": "admins"},
                                {"manager": "requester"},
                                {"manager": "asker"},
                                {"owner": "target"},
                                {"n": "DOUBLE", "members": [{"group": "Security"}], "overlap": True},
                            ],
                        },
                        "rejection": {"count": 2},
                        "requiresComment": "rejection",
                        "timeoutSeconds": 172801,
                        "override": True,
                        "onTimeout": "escalate",
                        "escalateTo": {"approverType": "user", "approverValue": "ben@acme.example"},
                    },
                ],
            }
        ],
        "policies": [
            {
                "name": "base",
                "maxDurationSeconds": 14400,
                "approvalMode": "require",
                "description": "Who may have what",
                "notificationChannel": "#security",
                "cedar": "permit(principal, action, resource);\n// x\n",
            }
        ],
        "operations": [
            {"method": "DELETE", "path": "/api/v1/workflows/{id}", "workflow": "Standard", "execute": "internal"},
            {
                "method": "POST",
                "path": "keys/{id}/rotate",
                "workflow": "Standard",
                "resource": "Billing:Admin",
                "execute": {"url": "https://x.example/do", "headers": {"Authorization": "Bearer x"}, "retry": "never"},
            },
            {"method": "POST", "path": "/s", "workflow": "Standard", "execute": {"reply": {"status": 200, "body": {}}}},
        ],
        "defaults": [
            {"requiresComment": "rejection", "fallbackApprovers": [{"role": "admins"}], "timeoutSeconds": 864000},
            {
                "type": "ENTITLEMENT_DESCRIPTIONS",
                "timeoutSeconds": 86400,
                "onTimeout": "escalate",
                "escalateTo": {"approverType": "group", "approverValue": "Security"},
            },
            {
                "target": {"resource": "Billing:Admin"},
                "chain": [{"user": "ana@acme.example"}, {"owner": "target"}],
                "waived": False,
                "reminders": {"schedule": "0 9 * * MON-FRI", "timeZone": "Europe/Berlin", "most": 3},
                "escalations": {
                    "afterSeconds": 86400,
                    "schedule": "@every 1h30m",
                    "to": [{"user": "ben@acme.example"}, {"manager": "asker"}, {"role": "admins"}],
                },
            },
            {"target": {"id": "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"}, "waived": True, "askingApproves": "never"},
        ],
        "delegations": [
            {
                "from": "ana@acme.example",
                "to": "ben@acme.example",
                "startsAt": "2026-03-01T00:00:00+01:00",
                "endsAt": "2026-04-01T00:00:00Z",
            }
        ],
        "requests": [
            {
                "requester": "ben@acme.example",
                "resourceType": "role",
                "resource": "admins",
                "justification": "audit",
                "duration": {"value": 5, "unit": "days"},
                "references": [{"id": "r1", "type": "AccessRequestId"}],
                "batch": {"id": "b-77", "size": 3},
                "attributes": {"colour": "blue"},
            },
            {"kind": "generic", "requester": "ben@acme.example", "workflow": "Standard", "title": "A thing"},
        ],
    }


async def test_everything_is_made_and_a_second_apply_changes_nothing(desk: Desk) -> None:
    said = everything()
    first = await desk.apply(**said)

    assert first.is_clean
    assert f"+ tenant {desk.slug}" in first.lines()
    assert "+ key laptop of ana@acme.example" in first.lines()
    assert len(desk.filed) == 2
    again = await desk.apply(**said)
    assert again.lines() == ["nothing to change"]
    assert len(desk.filed) == 2


async def test_a_dry_run_says_the_same_and_does_nothing(desk: Desk) -> None:
    said = everything()
    planned = await desk.apply(**said, dry=True)

    assert await desk.owner.across("SELECT 1 FROM tenant_by($1)", desk.slug) == []
    done = await desk.apply(**said)
    assert (
        planned.lines()
        == [line for line in done.lines() if not line.startswith((" ", "Secrets"))][: len(planned.lines())]
    )
    assert planned.minted == []
    assert desk.filed[0].details["batch"] == {"id": "b-77", "size": 3}


async def test_applying_an_export_changes_nothing_and_it_holds_no_secret(desk: Desk) -> None:
    await desk.apply(**everything())

    text = await export(desk.owner, [desk.slug], at=AT)

    assert "secret" not in text
    assert "Bearer" not in text
    assert "argon2" not in text
    assert (await desk.apply(text)).lines() == ["nothing to change"]
    assert (await desk.apply(text, prune=True)).lines() == ["nothing to change"]


async def test_who_answers_for_a_thing_is_set_changed_and_taken_away(desk: Desk) -> None:
    def owned(owner: str | None) -> dict[str, Any]:
        said = {"owner": owner}
        return {
            "roles": [{"name": "r", **said}],
            "groups": [{"name": "g", **said}],
            "resources": [{"name": "x", "type": "db", **said}],
        }

    owner = """SELECT coalesce(p.login, '-') FROM (SELECT owner_id FROM role UNION ALL SELECT owner_id FROM user_group
               UNION ALL SELECT owner_id FROM resource) o LEFT JOIN principal p ON p.id = o.owner_id"""
    await desk.apply(users=[ANA, BEN], **owned("ANA@acme.example"))
    assert await desk.rows(owner) == [("ana@acme.example",)] * 3
    text = await export(desk.owner, [desk.slug], at=AT)
    assert text.count("owner: ana@acme.example") == 3
    changed = await desk.apply(**owned("ben@acme.example"))
    assert changed.lines() == ["~ role r: owner", "~ group g: owner", "~ resource x: owner"]
    await desk.apply(**owned(None))
    assert await desk.rows(owner) == [("-",)] * 3
    with pytest.raises(Problems) as refused:
        await desk.apply(**owned("nobody@acme.example"))
    assert [one.path.rpartition(".")[2] for _, one in refused.value.found] == ["owner"] * 3


async def test_what_only_a_request_can_tell_is_no_fallback_of_a_tenant(desk: Desk) -> None:
    with pytest.raises(Problems) as refused:
        await desk.apply(settings={"fallbackApprovers": [{"owner": "target"}, {"manager": "asker"}]})
    assert [one.path for _, one in refused.value.found] == [
        "tenants[0].settings.fallbackApprovers[0].owner",
        "tenants[0].settings.fallbackApprovers[1].manager",
    ]


async def test_what_differs_is_changed_and_said(desk: Desk) -> None:
    await desk.apply(
        users=[ANA | {"password": "one", "roles": ["r"]}, BEN], roles=[{"name": "r"}], groups=[{"name": "Security"}]
    )

    changed = await desk.apply(
        users=[
            {
                "login": "ANA@acme.example",
                "email": "a@x.example",
                "manager": "ben@acme.example",
                "password": "two",
                "roles": [],
            }
        ]
    )

    assert changed.lines() == ["~ user ANA@acme.example: login, email, manager, -role r, password"]
    assert await desk.rows("SELECT name FROM principal WHERE lower(login) = 'ana@acme.example'") == [("Ana Ott",)]


async def test_the_same_password_is_no_change_and_its_stamp_stays(desk: Desk) -> None:
    said = [ANA | {"password": "correct horse"}]
    await desk.apply(users=said)
    before = await desk.rows("SELECT password_hash, password_stamp FROM principal")

    assert (await desk.apply(users=said)).lines() == ["nothing to change"]
    assert await desk.rows("SELECT password_hash, password_stamp FROM principal") == before
    assert (await desk.apply(users=[ANA | {"passwordHash": before[0][0]}])).lines() == ["nothing to change"]


async def test_secrets_may_come_from_a_file_or_the_environment(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("from a file\n")
    key = f"key-from-the-environment-{uuid4()}"
    users = [ANA | {"passwordFile": "pw", "keys": [{"name": "k", "secretEnv": "THE_KEY"}]}]
    name = str(tmp_path / "tenant.yaml")
    await desk.apply(users=users, file_name=name, environ={"THE_KEY": key})

    [(stored,)] = await desk.rows("SELECT password_hash FROM principal")
    assert (await desk.passwords.verify(stored, "from a file")).right
    assert await desk.rows("SELECT secret_hash FROM credential") == [(hashlib.sha256(key.encode()).digest(),)]
    with pytest.raises(Problems) as raised:
        await desk.apply(users=users, environ={})
    assert sorted(line.split(": ")[1] for line in raised.value.lines()) == [
        "tenants[0].users[0].keys[0].secretEnv",
        "tenants[0].users[0].passwordFile",
    ]


async def test_a_key_without_a_secret_is_minted_and_shown_once(desk: Desk) -> None:
    said = [ANA | {"keys": [{"name": "laptop"}], "clients": [{"name": "etl"}]}]

    first = await desk.apply(users=said)

    key, client = first.as_json()["secrets"]
    assert await desk.rows("SELECT secret_hash FROM credential WHERE kind = 'key'") == [
        (hashlib.sha256(key["secret"].encode()).digest(),)
    ]
    assert await desk.rows("SELECT client_id FROM credential WHERE kind = 'client'") == [(client["clientId"],)]
    assert any(key["secret"] in line for line in first.lines())
    assert (await desk.apply(users=said)).as_json()["secrets"] == []


async def test_a_list_of_keys_is_exact(desk: Desk) -> None:
    await desk.apply(users=[ANA | {"keys": [{"name": "old"}, {"name": "kept"}]}])

    changed = await desk.apply(users=[ANA | {"keys": [{"name": "kept"}]}])

    assert changed.lines() == ["- key old of ana@acme.example: revoked"]
    assert (await desk.apply(users=[ANA])).lines() == ["nothing to change"]
    assert await desk.rows("SELECT name FROM credential WHERE revoked_at IS NULL") == [("kept",)]


async def test_steps_that_differ_on_an_active_workflow_make_a_new_version(desk: Desk) -> None:
    groups = [{"name": "Security"}, {"name": "Platform"}]
    await desk.apply(
        groups=groups, workflows=[{"name": "W", "steps": [STEP]}, {"name": "D", "status": "draft", "steps": [STEP]}]
    )

    steps = [STEP | {"approverValue": "Platform"}]
    changed = await desk.apply(workflows=[{"name": "W", "steps": steps}, {"name": "D", "steps": steps}])

    assert changed.lines() == ["~ workflow W: steps → version 2", "~ workflow D: steps"]
    assert await desk.rows("SELECT name, version, status FROM workflow ORDER BY name") == [
        ("D", 2, "draft"),
        ("W", 2, "active"),
    ]
    with pytest.raises(Problems, match="cannot become a draft again"):
        await desk.apply(workflows=[{"name": "W", "status": "draft"}])


async def test_what_the_api_may_leave_in_a_workflow_is_exported_and_applied(desk: Desk) -> None:
    await desk.apply(
        users=[ANA],
        workflows=[{"name": "W", "steps": [STEP | {"approverType": "role", "approverValue": "r"}]}],
        roles=[{"name": "r"}],
    )
    gone = [Leaf(Kind.USER, str(uuid4())), Leaf(Kind.GROUP, "no id at all"), Leaf(Kind.ROLE, "no such role")]
    steps = msgspec.json.encode(
        [Step(n, f"S{n}", any_one_of(leaf), 3600, is_plain=True) for n, leaf in enumerate(gone, 1)]
    )
    found = await desk.owner.across("SELECT id FROM tenant_by($1)", desk.slug)
    async with desk.owner.tx([found[0]["id"]]) as tx:
        await tx.run("UPDATE workflow SET steps = $2, version = 7 WHERE tenant_id = $1", found[0]["id"], steps)

    text = await export(desk.owner, [desk.slug], at=AT)

    assert (await desk.apply(text)).lines() == ["nothing to change"]


async def test_an_id_renames_what_has_it(desk: Desk) -> None:
    id = uuid4()
    await desk.apply(groups=[{"name": "Security", "id": id}], users=[ANA | {"groups": ["Security"]}])

    changed = await desk.apply(groups=[{"name": "Safety", "id": id}], users=[ANA | {"groups": ["Safety"]}])

    assert changed.lines() == ["~ group Safety: name"]
    with pytest.raises(Problems, match="has the id"):
        await desk.apply(groups=[{"name": "Safety", "id": uuid4()}])


async def test_names_that_lead_nowhere_are_all_reported_with_their_lines(desk: Desk) -> None:
    text = f"""tenants:
- slug: {desk.slug}
  groups: [{{name: Security}}]
  users:
  - login: ana
    manager: bem
    roles: [boss]
  - login: ben
  workflows:
  - name: W
    steps:
    - {{order: 1, name: S, approverType: group, approverValue: Securty}}
    - order: 2
      name: Q
      quorum: {{n: 1, members: [{{user: ana}},
        {{user: anna}}]}}
"""
    with pytest.raises(Problems) as raised:
        await desk.apply(text)

    user, step = "tenants[0].users[0]", "tenants[0].workflows[0].steps"
    assert raised.value.lines() == [
        f"tenant.yaml:6: {user}.manager: there is no user 'bem'; did you mean ben?",
        f"tenant.yaml:7: {user}.roles[0]: there is no role 'boss'",
        f"tenant.yaml:12: {step}[0].approverValue: there is no group 'Securty'; did you mean Security?",
        f"tenant.yaml:16: {step}[1].quorum.members[1].user: there is no user 'anna'; did you mean ana?",
    ]
    assert await desk.owner.across("SELECT 1 FROM tenant_by($1)", desk.slug) == []


async def test_a_policy_that_cannot_be_kept_is_refused_with_its_lines(desk: Desk) -> None:
    text = f"""tenants:
- slug: {desk.slug}
  settings: {{jitsudo: {{resourceTypes: [k8s_namespace]}}}}
  policies:
  - name: known
    cedar: permit(principal, action, resource is K8sNamespace);
  - name: unknown
    cedar: |
      // Lines are counted from the first.
      permit(principal, action, resource is K8sCluster);

      permit(principal, action);
  - name: long
    cedar: "//{"x" * 65_536}"
"""
    with pytest.raises(Problems) as raised:
        await desk.apply(text)

    lines = raised.value.lines()
    unread = "line 4, column 1: this policy is missing the `resource` variable in the scope"
    assert lines == [
        f"tenant.yaml:8: tenants[0].policies[1].cedar: {unread}",
        "tenant.yaml:14: tenants[0].policies[2].cedar: must be at most 65536 characters",
    ]
    with pytest.raises(Problems) as raised:
        await desk.apply(text.split("  - name: long")[0].replace("permit(principal, action);", ""))
    unknown = raised.value.lines()
    assert all(one.startswith("tenant.yaml:8: tenants[0].policies[1].cedar: line 2, column ") for one in unknown)
    assert any("K8sCluster" in one for one in unknown)


async def test_a_tenant_has_room_for_so_many_policies_and_so_much_text(desk: Desk) -> None:
    def text(policies: list[dict[str, str]]) -> str:
        return json.dumps({"tenants": [{"slug": desk.slug, "policies": policies}]})

    with pytest.raises(Problems, match=r"tenants\[0\]\.policies: there would be 501, more than 500"):
        await desk.apply(text([{"name": f"p{number}", "cedar": ""} for number in range(501)]))
    with pytest.raises(Problems, match=r"tenants\[0\]\.policies: all texts together would have more than 524288 char"):
        await desk.apply(text([{"name": f"p{number}", "cedar": "//" + "x" * 60_000} for number in range(9)]))


async def test_durations_of_a_policy_must_fit_together_with_what_is_there(desk: Desk) -> None:
    def text(durations: str) -> str:
        return f"""tenants:
- slug: {desk.slug}
  policies:
  - {{name: base, cedar: "", {durations}}}
"""

    await desk.apply(text("maxDurationSeconds: 60"))

    with pytest.raises(Problems, match="more than maxDurationSeconds, 60"):
        await desk.apply(text("defaultDurationSeconds: 61"))


async def test_pruning_takes_out_of_use_what_a_section_does_not_name(desk: Desk) -> None:
    boss = ANA | {"roles": ["admins"], "keys": [{"name": "k"}]}
    roles = [{"name": "admins", "permissions": ["admin"]}]
    await desk.apply(users=[boss, BEN], roles=[*roles, {"name": "other"}], groups=[{"name": "Security"}])

    with pytest.raises(Problems, match="more than a fifth"):
        await desk.apply(users=[boss], roles=roles, prune=True)
    pruned = await desk.apply(users=[boss], roles=roles, prune=True, yes=True)

    assert pruned.lines() == ["- role other: deleted", "- user ben@acme.example: inactive"]
    assert await desk.rows("SELECT count(*) FROM user_group WHERE deleted_at IS NULL") == [(1,)]
    assert (await desk.apply(users=[boss], roles=roles, prune=True)).lines() == ["nothing to change"]
    assert (await desk.apply(roles=[*roles, {"name": "other"}])).lines() == ["+ role other"]


async def test_pruning_never_takes_the_last_administrator(desk: Desk) -> None:
    roles = [{"name": "admins", "permissions": ["admin"]}]
    await desk.apply(users=[ANA | {"roles": ["admins"]}, BEN], roles=roles)

    with pytest.raises(Problems, match="no active user with the permission admin"):
        await desk.apply(users=[BEN], prune=True, yes=True)
    with pytest.raises(Problems, match="no active user with the permission admin"):
        await desk.apply(roles=[], prune=True, yes=True)
    assert await desk.rows("SELECT DISTINCT status FROM principal") == [("active",)]


async def test_another_tenant_is_not_touched(desk: Desk, unfenced: Database, olu: UUID) -> None:
    async def of_olu() -> list[Any]:
        async with unfenced.tx([olu]) as tx:
            return await tx.all("SELECT t.*, t.xmin::text FROM tenant t WHERE id = $1", olu) + await tx.all(
                "SELECT tenant_id FROM principal WHERE tenant_id = $1", olu
            )

    before = await of_olu()
    await desk.apply(**everything())
    await desk.apply(users=[], roles=[{"name": "admins", "permissions": ["admin"]}], groups=[], prune=False)

    assert await of_olu() == before


async def test_two_applies_at_once_make_everything_once(desk: Desk) -> None:
    said = everything() | {"requests": []}

    reports = await asyncio.gather(*(desk.apply(**said) for _ in range(3)))

    assert sorted(len(report.lines()) > 1 for report in reports) == [False, False, True]
    assert await desk.rows("SELECT count(*) FROM principal") == [(3,)]


async def test_a_secret_that_another_tenant_uses_is_refused_and_nothing_is_written(desk: Desk) -> None:
    key = f"the-very-same-key-{uuid4()}"
    other = Desk(desk.owner, desk.db, desk.passwords)
    await other.apply(users=[ANA | {"keys": [{"name": "k", "secret": key}]}])

    with pytest.raises(CannotApply, match="one live key per secret"):
        await desk.apply(users=[BEN | {"keys": [{"name": "k", "secret": key}]}])
    assert await desk.owner.across("SELECT 1 FROM tenant_by($1)", desk.slug) == []


async def test_every_changed_thing_leaves_an_event(desk: Desk) -> None:
    await desk.apply(users=[ANA | {"keys": [{"name": "k"}]}], groups=[{"name": "Security"}])
    await desk.apply(users=[ANA | {"email": "a@x.example"}])

    assert await desk.rows("SELECT subject_kind, seq, type, surface, actor_id FROM event ORDER BY id") == [
        ("tenant", 1, "tenant.created", "apply", None),
        ("group", 1, "group.created", "apply", None),
        ("user", 1, "user.created", "apply", None),
        ("key", 1, "key.created", "apply", None),
        ("user", 2, "user.updated", "apply", None),
    ]


async def test_a_request_that_the_rules_refuse_is_reported(desk: Desk) -> None:
    desk.refuse = NoWorkflow("role")
    asked = {"requester": "ben@acme.example", "resourceType": "role", "resource": "r"}

    report = await desk.apply(users=[BEN], roles=[{"name": "r"}], requests=[asked])

    assert not report.is_clean
    assert report.lines()[-1] == "! request r for ben@acme.example: no_workflow(type=role)"
    desk.refuse = None
    assert (await desk.apply(users=[BEN], requests=[asked])).lines() == ["+ request r for ben@acme.example"]


async def test_the_demo_file_can_be_applied_over_and_over(owner: Database, passwords: Passwords) -> None:
    order = Order(at=AT, passwords=passwords, seal=lambda: SEALER)
    file = parse(DEMO.read_text(), "demo.yaml")

    first = await apply(owner, file, order)

    assert [tenant.slug for tenant in first.tenants] == ["acme", "olympia"]
    assert first.minted == []
    assert (await apply(owner, file, order)).lines() == ["nothing to change"]


async def granted(desk: Desk, holder: UUID, what: str, target: UUID) -> None:
    """Give somebody a role, group or resource for good, as an approval does."""
    request = uuid4()
    [(tenant,)] = await desk.rows("SELECT id FROM tenant")
    await desk.file(RequestToFile(tenant=tenant, id=request, kind="generic", requester=holder))
    async with desk.owner.tx([tenant]) as tx:
        await tx.run(
            """
            INSERT INTO access_grant (tenant_id, id, request_id, principal_id, target_type, target_id, target_name,
                                      starts_at)
            VALUES ($1, $2, $2, $3, $4, $5, 'it', $6)
            """,
            tenant,
            request,
            holder,
            what,
            target,
            AT,
        )


async def asked_for(desk: Desk, who: UUID, what: str, target: UUID) -> UUID:
    """Have somebody's request for a role, group or resource called `it` wait."""
    request = uuid4()
    [(tenant,)] = await desk.rows("SELECT id FROM tenant")
    async with desk.owner.tx([tenant]) as tx:
        await tx.run(
            """
            INSERT INTO request (tenant_id, id, kind, status, requester_id, beneficiary_id, filed_by, target_type,
                                 target_id, filing, route, progress, step_index, version, created_at, updated_at)
            VALUES ($1, $2, 'access', 'pending', $3, $3, $3, $4, $5, $6, '{}', '{}', 0, 1, $7, $7)
            """,
            tenant,
            request,
            who,
            what,
            str(target),
            msgspec.json.encode({"target": {"type": what, "id": str(target), "name": "it"}}),
            AT,
        )
    return request


async def test_an_account_that_the_file_deactivates_loses_what_was_granted_to_it(desk: Desk) -> None:
    ana, role = uuid4(), uuid4()
    user = {"id": str(ana), "login": "ana@acme.example", "name": "Ana"}
    await desk.apply(users=[user], roles=[{"id": str(role), "name": "auditors"}])
    await granted(desk, ana, "role", role)

    await desk.apply(users=[{**user, "status": "suspended"}])
    assert await desk.rows("SELECT revoked_at FROM access_grant") == [(None,)]
    await desk.apply(users=[{**user, "status": "inactive"}])

    assert await desk.rows("SELECT revoked_at, reason FROM access_grant") == [(AT, "the account was deactivated")]


@pytest.mark.parametrize("what", ["role", "group"])
async def test_who_is_taken_out_loses_the_grants_that_would_keep_them_in(desk: Desk, what: str) -> None:
    ana, ben, one, other = (uuid4() for _ in range(4))
    things: Any = {f"{what}s": [{"id": str(one), "name": "it"}, {"id": str(other), "name": "other"}]}
    people: list[dict[str, Any]] = [ANA | {"id": str(ana), f"{what}s": ["it"]}, BEN | {"id": str(ben)}]
    await desk.apply(users=people, **things)
    await granted(desk, ana, what, one)
    await granted(desk, ana, what, other)
    await granted(desk, ben, what, one)

    await desk.apply(users=[people[0] | {f"{what}s": []}, people[1] | {f"{what}s": []}])

    left = await desk.rows("SELECT principal_id, target_id, reason FROM access_grant ORDER BY revoked_at, starts_at")
    assert left[0] == (ana, one, f"put out of the {what}")
    assert set(left[1:]) == {(ana, other, None), (ben, one, None)}


async def test_grants_of_what_is_pruned_are_revoked(desk: Desk) -> None:
    ana, ids = uuid4(), {what: uuid4() for what in ("role", "group", "resource")}
    things: Any = {f"{what}s": [{"id": str(id), "name": "it"}] for what, id in ids.items()}
    things["resources"][0]["type"] = "database"
    await desk.apply(users=[ANA | {"id": str(ana)}], **things)
    for what, id in ids.items():
        await granted(desk, ana, what, id)

    await desk.apply(roles=[], groups=[], resources=[], prune=True, yes=True)

    assert await desk.rows("SELECT target_type, revoked_at, reason FROM access_grant ORDER BY target_type") == [
        (what, AT, f"the {what} was deleted") for what in ("group", "resource", "role")
    ]


@pytest.mark.parametrize("how", ["pruned", "renamed"])
async def test_requests_for_what_is_pruned_or_renamed_are_to_end(desk: Desk, how: str) -> None:
    ana, ids = uuid4(), {what: uuid4() for what in ("role", "group", "resource")}
    things: Any = {f"{what}s": [{"id": str(id), "name": "it"}] for what, id in ids.items()}
    things["resources"][0]["type"] = "database"
    await desk.apply(users=[ANA | {"id": str(ana)}], **things)
    asked = {what: await asked_for(desk, ana, what, id) for what, id in ids.items()}

    if how == "pruned":
        await desk.apply(roles=[], groups=[], resources=[], prune=True, yes=True)
    else:
        renamed: Any = {what: [one[0] | {"name": "that"}] for what, one in things.items()}
        await desk.apply(**renamed)

    found = await desk.rows("SELECT subject_id, due_at FROM timer WHERE kind = 'target'")
    assert set(found) == {(id, AT) for id in asked.values()}


async def test_webhooks_hear_of_what_a_file_changes_as_if_the_api_had_been_called(desk: Desk) -> None:
    ana, security = uuid4(), uuid4()
    await desk.apply(users=[BEN], policies=[{"name": "old", "cedar": ""}], roles=[{"name": "reader"}])
    [(tenant,)] = await desk.rows("SELECT id FROM tenant")
    async with desk.owner.tx([tenant]) as tx:
        await tx.run(
            """
            INSERT INTO webhook (tenant_id, id, name, url, events, sealed, created_at)
            VALUES ($1, $2, 'all', 'https://hooks.example', '{*}', '', $3)
            """,
            tenant,
            uuid4(),
            AT,
        )
    said: dict[str, Any] = {
        "users": [ANA | {"id": str(ana), "groups": ["Security"], "roles": ["reader"], "keys": [{"name": "k"}]}, BEN],
        "groups": [{"name": "Security", "id": str(security)}],
        "workflows": [{"name": "W", "steps": [STEP]}],
        "services": [{"name": "ci", "permissions": ["audit:read"]}],
    }

    async def heard() -> list[str]:
        rows = await desk.rows("SELECT event_type FROM outbox ORDER BY event_type")
        async with desk.owner.tx([tenant]) as tx:
            await tx.run("DELETE FROM outbox WHERE tenant_id = $1", tenant)
        return [name for (name,) in rows]

    await desk.apply(**said)
    assert await heard() == [
        "group.created",
        "group.member_added",
        "key.created",
        "role.assigned",
        "service.created",
        "user.created",
        "workflow.activated",
        "workflow.created",
    ]
    [(subject, body)] = await desk.rows("SELECT subject_id, body FROM event WHERE type = 'group.member_added'")
    assert (subject, json.loads(body)["userId"]) == (security, str(ana))

    said["users"][0] |= {"groups": [], "keys": [], "status": "suspended"}
    said["workflows"][0] |= {"status": "inactive"}
    await desk.apply(**said)
    assert await heard() == ["group.member_removed", "key.revoked", "user.suspended", "workflow.deactivated"]

    said["users"][0] |= {"status": "active", "email": "a@x.example"}
    await desk.apply(**said)
    assert await heard() == ["user.reactivated"]

    await desk.apply(groups=[], policies=[], users=said["users"], services=[], prune=True, yes=True)
    assert await heard() == ["group.deleted", "policy.updated", "service.updated"]
    await desk.apply(users=said["users"])
    assert await heard() == []


async def test_an_apply_waits_for_a_change_of_the_directory_that_is_under_way(desk: Desk) -> None:
    await desk.apply(users=[ANA | {"roles": ["r"]}], roles=[{"name": "r"}])
    [(tenant,)] = await desk.rows("SELECT id FROM tenant")

    async with desk.db.tx([tenant]) as tx:
        await members.hold_directory(tx, tenant)
        applying = asyncio.create_task(desk.apply(roles=[{"name": "r", "permissions": ["audit:read"]}]))
        async with asyncio.timeout(10):
            while not await desk.owner.across("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype <> 'advisory'"):
                assert not applying.done()
        await tx.run("UPDATE role SET description = 'changed meanwhile' WHERE tenant_id = $1", tenant)

    assert (await applying).lines() == ["~ role r: permissions"]
    assert await desk.rows("SELECT description, permissions FROM role") == [("changed meanwhile", ["audit:read"])]


PLAIN = {"name": "Plain", "steps": [STEP]}
TIMED = {"name": "Timed", "steps": [{**STEP, "onTimeout": "approve"}]}
GROUPS = [{"name": "Security"}]


@pytest.mark.parametrize(
    ("operation", "where"),
    [
        ({"method": "DELETE", "path": "/keys/{id}", "execute": "internal"}, "execute"),
        ({"method": "DELETE", "path": "/api/v1/{what}/{id}", "execute": "internal"}, "execute"),
        ({"method": "DELETE", "path": "/api/v1/workflows/{id}", "execute": {"url": "https://x.example/"}}, "execute"),
        ({"method": "DELETE", "path": "{a}/{b}/{c}/{d}", "execute": {"reply": {"status": 200}}}, "execute"),
        ({"path": "/x/{id}", "execute": {"url": "https://x.example/{other}"}}, "execute.url"),
        ({"path": "/x/{id}", "execute": {"url": "https://{id}.example/"}}, "execute.url"),
        ({"path": "/x/a{id}", "execute": {"reply": {"status": 200}}}, "path"),
        ({"path": "/x/{id}/{id}", "execute": {"reply": {"status": 200}}}, "path"),
        ({"path": "/x", "execute": {"url": "https://x.example/", "headers": {"Host": "y"}}}, "execute.headers"),
        ({"path": "/x", "execute": {"reply": {"status": 200}}, "workflow": "Timed"}, "workflow"),
    ],
)
async def test_an_operation_that_could_never_work_is_refused_where_it_is_written(
    desk: Desk, operation: dict[str, Any], where: str
) -> None:
    operations = [{"method": "POST", "workflow": "Plain", **operation}]

    with pytest.raises(Problems) as raised:
        await desk.apply(groups=GROUPS, workflows=[PLAIN, TIMED], operations=operations)

    assert [line.split(": ")[1] for line in raised.value.lines()] == [f"tenants[0].operations[0].{where}"]


async def test_two_operations_that_match_the_same_calls_are_refused(desk: Desk) -> None:
    reply = {"reply": {"status": 200}}
    operations = [
        {"method": "POST", "path": path, "workflow": "Plain", "execute": reply} for path in ("/x/{a}", "x/{b}")
    ]

    with pytest.raises(Problems) as raised:
        await desk.apply(groups=GROUPS, workflows=[PLAIN], operations=operations)

    assert "matches the same calls as POST /x/{a}" in raised.value.lines()[0]


PROVIDER: dict[str, Any] = {"issuer": "https://login.example", "clientSecret": "s3cret-of-theirs"}


async def test_an_identity_provider_is_settled_and_its_secret_sealed_and_saying_it_again_changes_nothing(
    desk: Desk,
) -> None:
    said = PROVIDER | {"clientId": str(uuid4())}
    made = await desk.apply(identityProvider=said)
    assert "+ identity_provider https://login.example" in made.lines()
    assert (await desk.apply(identityProvider=said)).lines() == ["nothing to change"]
    [(sealed, scopes, first)] = await desk.rows("SELECT sealed, scopes, stamp FROM identity_provider")
    assert b"s3cret" not in sealed
    assert scopes == ["openid", "email", "profile"]

    bare = {"issuer": said["issuer"], "clientId": said["clientId"]}
    assert (await desk.apply(identityProvider=bare)).lines() == ["nothing to change"]
    exported = await export(desk.owner, [desk.slug], at=AT)
    assert "s3cret" not in exported
    assert (await desk.apply(exported)).lines() == ["nothing to change"]
    other = await desk.apply(identityProvider=said | {"clientSecret": "another-of-theirs"})
    assert other.lines() == ["~ identity_provider https://login.example: clientSecret"]
    [(second,)] = await desk.rows("SELECT stamp FROM identity_provider")
    assert second != first  # What it had opened ends.
    await desk.apply(identityProvider=bare | {"clientSecret": None})
    assert await desk.rows("SELECT sealed FROM identity_provider") == [(None,)]
    gone = await desk.apply(identityProvider=None)
    assert gone.lines() == ["- identity_provider https://login.example"]
    assert await desk.rows("SELECT 1 FROM identity_provider") == []
    told = await desk.rows("SELECT type FROM event WHERE subject_kind = 'identity_provider' ORDER BY seq")
    assert [what for (what,) in told] == [*["identity_provider.changed"] * 3, "identity_provider.removed"]


async def test_a_providers_secret_is_not_kept_for_another_and_comes_from_the_environment_too(desk: Desk) -> None:
    client = str(uuid4())
    said = {"issuer": "https://login.example", "clientId": client, "clientSecretEnv": "OIDC_SECRET"}
    with pytest.raises(Problems, match="OIDC_SECRET is not set"):
        await desk.apply(identityProvider=said, environ={})
    await desk.apply(identityProvider=said, environ={"OIDC_SECRET": "s3cret-of-theirs"})

    with pytest.raises(Problems, match="clientSecret is needed with another"):
        await desk.apply(identityProvider={"issuer": "https://other.example", "clientId": client})
    for wrong in ({"clientId": "a b"}, {"issuer": "https://login.example/?a=1"}, {"scopes": ["a b"]}):
        with pytest.raises(Problems):
            await desk.apply(identityProvider=said | wrong, environ={"OIDC_SECRET": "x"})
    with pytest.raises(Problems, match="clientSecret is given already"):
        await desk.apply(identityProvider=said | {"clientSecret": "x"}, environ={"OIDC_SECRET": "x"})


async def test_a_client_of_an_issuer_is_one_tenants(desk: Desk) -> None:
    said, other = PROVIDER | {"clientId": str(uuid4())}, Desk(desk.owner, desk.db, desk.passwords)
    await desk.apply(identityProvider=said)

    with pytest.raises(CannotApply, match="one tenant per issuer and client"):
        await other.apply(identityProvider=said)


async def test_the_headers_of_an_operation_are_sealed_and_saying_them_again_changes_nothing(desk: Desk) -> None:
    call: dict[str, Any] = {"url": "https://x.example/", "headers": {"Authorization": "Bearer s3cret"}}
    operation = {"method": "POST", "path": "/x", "workflow": "Plain", "execute": call}
    wanted: dict[str, Any] = {"groups": GROUPS, "workflows": [PLAIN], "operations": [operation]}
    await desk.apply(**wanted)
    [(kept,)] = await desk.rows("SELECT execute::text FROM operation")
    assert "s3cret" not in kept

    assert (await desk.apply(**wanted)).tenants[0].changes == ()
    assert (await desk.apply(operations=[{**operation, "execute": {"url": call["url"]}}])).tenants[0].changes == ()

    call["headers"] = {"Authorization": "Bearer other"}
    [changed] = (await desk.apply(**wanted)).tenants[0].changes
    assert (changed.kind, changed.details) == ("operation", ("execute",))
