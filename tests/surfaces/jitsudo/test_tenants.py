"""Tenants are made by the administrators of one tenant, which the operator names; and by nobody else."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from quorate import wiring
from quorate.app.declare import export
from quorate.app.verify import Passwords
from quorate.store.database import Database
from tests.app.directory import CHEAP, SEALER, Clock
from tests.store.servers import Server
from tests.surfaces.jitsudo.story import ACCOUNT, Jit, error
from tests.surfaces.native.story import SETTINGS, told
from tests.surfaces.native.test_openapi import misfits


@pytest.fixture
async def operated(postgres: Server, db: Database, tenant: UUID, olu: UUID) -> AsyncIterator[Jit]:
    """The story, in which Acme is the operator's own tenant."""
    clock, passwords = Clock(), Passwords(CHEAP)
    dsn = postgres.admin(await postgres.migrated())
    settings = replace(SETTINGS, operator_tenant=f"t-{tenant}")
    async with (
        wiring.running(settings, dsn, clock=clock, seal=SEALER, passwords=passwords) as origin,
        told(origin, clock, db, tenant, olu) as world,
    ):
        yield Jit(world)
    passwords.close()


def globex(**more: Any) -> dict[str, Any]:
    return {"name": "Globex", "slug": f"globex-{uuid4()}", "owner_email": "grace@globex.example"} | more


async def test_an_operator_makes_a_tenant_and_its_owner_begins_with_the_key_in_the_answer(
    operated: Jit, owner: Database
) -> None:
    asked = globex(owner_name="Grace Ott", locale="en-GB", sso_start_url="https://g.example/start", sso_region="eu")
    made = await operated.post("ada", "/tenants", asked, 201)

    said = (await operated.story.callers[""].get("/openapi/jitsudo.json")).json()
    schema = said["paths"]["/v1/tenants"]["post"]["responses"]["201"]["content"]["application/json"]["schema"]
    assert not list(misfits(made, schema, said["components"]["schemas"], "$"))
    assert {key: made[key] for key in asked} == asked
    operated.story.keys["grace"] = made["owner_api_key"]
    for path in ("/requests", "/audit-log"):
        assert (await operated.call("grace", "GET", path, tenant=made["id"])).status_code == 200
    policy = {"name": "base", "max_duration_seconds": 60, "cedar_policy_set": "permit(principal, action, resource);"}
    assert (await operated.call("grace", "POST", "/policies", policy, tenant=made["id"])).status_code == 201
    assert error(await operated.call("grace", "GET", "/requests")) == (403, "tenant_mismatch")
    written = await export(owner, [asked["slug"]], at=operated.clock())
    assert "ssoStartUrl: https://g.example/start" in written
    assert made["owner_api_key"] not in written


async def test_both_histories_tell_of_it_and_the_new_one_names_nobody_of_the_operators(
    operated: Jit, unfenced: Database
) -> None:
    made = await operated.post("ada", "/tenants", globex(), 201)

    async def events(tenant: str) -> list[tuple[str, UUID | None, str]]:
        async with unfenced.tx([UUID(tenant)]) as tx:
            sql = "SELECT type, actor_id, body::text AS body FROM event WHERE tenant_id = $1 ORDER BY type"
            return [(row["type"], row["actor_id"], row["body"]) for row in await tx.all(sql, UUID(tenant))]

    assert [(what, who) for what, who, _ in await events(made["id"])] == [
        ("key.created", None),
        ("role.assigned", None),
        ("role.created", None),
        ("tenant.created", None),
        ("user.created", None),
    ]
    assert ("tenant.created", operated.ids["ada"]) in [
        (what, who) for what, who, _ in await events(str(operated.story.tenant))
    ]
    assert not [body for _, _, body in await events(made["id"]) if made["owner_api_key"] in body]


async def test_nobody_else_makes_one_and_nobody_learns_which_there_are(operated: Jit) -> None:
    there = globex()
    await operated.post("ada", "/tenants", there, 201)
    bot = await operated.api_key(permissions=["workflow:write", "directory:write"])

    for who in ("rhea", "ana", "rita", "olu", bot["id"]):
        for body in (globex(), there):
            refused = await operated.call(who, "POST", "/tenants", body)
            assert error(refused) == (403, "forbidden"), who
    assert error(await operated.call("ada", "POST", "/tenants", there)) == (409, "conflict")


async def test_an_administrator_makes_none_where_the_operator_has_named_no_tenant(jit: Jit) -> None:
    assert error(await jit.call("ada", "POST", "/tenants", globex())) == (403, "forbidden")


async def test_what_no_tenant_can_be_is_refused_in_words(operated: Jit) -> None:
    for field, value in (
        ("slug", "Globex"),
        ("slug", "-"),
        ("name", " "),
        ("owner_email", "grace"),
        ("sso_start_url", "javascript:alert(1)"),
    ):
        refused = await operated.call("ada", "POST", "/tenants", globex(**{field: value}))
        assert error(refused) == (400, "invalid_input"), field
        assert [one["field"] for one in refused.json()["details"]["errors"]] == [field]


async def test_two_new_tenants_know_nothing_of_each_other(operated: Jit) -> None:
    first, second = [await operated.post("ada", "/tenants", globex(), 201) for _ in range(2)]
    operated.story.keys |= {"one": first["owner_api_key"], "two": second["owner_api_key"]}
    policy = {"name": "base", "max_duration_seconds": 60, "cedar_policy_set": "permit(principal, action, resource);"}
    assert (await operated.call("one", "POST", "/policies", policy, tenant=first["id"])).status_code == 201
    asked = {"resource": ACCOUNT, "action": "request_access", "duration_seconds": 60}
    made = await operated.call("one", "POST", "/requests", asked, tenant=first["id"])
    assert made.status_code == 201, made.text

    at = f"/requests/{made.json()['id']}"
    assert error(await operated.call("two", "GET", at, tenant=second["id"])) == (404, "not_found")
    assert error(await operated.call("two", "GET", at, tenant=first["id"])) == (403, "tenant_mismatch")
    assert error(await operated.call("ada", "GET", at)) == (404, "not_found")
