"""Policies of tenants: who may write them, what is kept, and that nothing that was compiled is ever stale."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import json
from msgspec.structs import replace

from quorate.app.cedar.policies import POLICY_WRITE, Asked, Change, Draft, Policies
from quorate.app.cedar.question import Question, Who, unknown
from quorate.app.cedar.ready import Shelf
from quorate.domain import permissions
from quorate.domain.policy import BadPolicy, Because, Mode, NoSuchPolicy, Policy, Verdict
from quorate.domain.refusals import AccountInactive, DuplicateName, NotPermitted, PreconditionFailed
from quorate.store import declare, directory, people
from quorate.store import policies as store
from quorate.store.database import Database
from tests.app.cedar.written import ANY, asked
from tests.app.company import Company
from tests.app.directory import change
from tests.app.test_workflows import actor
from tests.conftest import new_tenant

NEVER = "forbid(principal, action, resource);"
SECURITY_ONLY = 'permit(principal in Group::"Security", action, resource);'


@pytest.fixture
async def company(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
def policies(company: Company) -> Policies:
    return Policies(company.db, clock=company.clock, new_id=uuid4)


def draft(cedar: str = ANY, name: str = "base", **facts: Any) -> Draft:
    return Draft(name=name, cedar=cedar, **facts)


async def history(company: Company) -> list[tuple[str, dict[str, Any]]]:
    rows = await company.rows(
        "SELECT type, body FROM event WHERE tenant_id = $1 AND subject_kind = 'policy' ORDER BY at, subject_id, seq"
    )
    return [(type, json.decode(body)) for type, body in rows]


def test_the_permission_is_one_that_can_be_given() -> None:
    assert POLICY_WRITE in permissions.KNOWN


async def test_a_policy_is_made_read_changed_and_removed_and_history_tells(
    company: Company, policies: Policies
) -> None:
    ada = actor(company.tenant, company.ada)
    made = await policies.create(
        ada, draft(description="d", priority=3, max_duration_seconds=60, notification_channel="ops", mode=Mode.AUTO)
    )
    assert await policies.read(ada, made.id) == made
    company.clock.passes(hours=1)

    after = await policies.update(ada, made.id, Change(name="other", max_duration_seconds=None, cedar=NEVER))

    assert await policies.read(ada, made.id) == after
    assert after == replace(
        made, name="other", max_duration_seconds=None, cedar=NEVER, version=2, updated_at=company.clock()
    )
    assert await policies.page(ada, 10, 0) == ([after], 1)
    await policies.delete(ada, made.id)
    assert await policies.page(ada, 10, 0) == ([], 0)
    for use in (policies.read(ada, made.id), policies.update(ada, made.id, Change()), policies.delete(ada, made.id)):
        with pytest.raises(NoSuchPolicy):
            await use
    told = await history(company)
    assert [one for one, _ in told] == ["policy.created", "policy.updated", "policy.deleted"]
    assert told[0][1]["cedar"] == ANY
    assert told[1][1] == {"name": "other", "cedar": NEVER}


async def test_saying_what_is_so_already_changes_nothing(company: Company, policies: Policies) -> None:
    ada = actor(company.tenant, company.ada)
    made = await policies.create(ada, draft())
    company.clock.passes(hours=1)

    assert await policies.update(ada, made.id, Change(name="base", cedar=ANY, enabled=True)) == made
    assert await policies.update(ada, made.id, Change()) == made
    assert len(await history(company)) == 1


async def test_a_tag_is_held_against_the_policy_as_it_is(company: Company, policies: Policies) -> None:
    ada = actor(company.tenant, company.ada)
    made = await policies.create(ada, draft())
    await policies.update(ada, made.id, Change(priority=1), lambda now: now.version == 1)

    with pytest.raises(PreconditionFailed):
        await policies.update(ada, made.id, Change(priority=2), lambda now: now.version == 1)
    with pytest.raises(PreconditionFailed):
        await policies.delete(ada, made.id, lambda now: now.version == 1)
    assert (await policies.read(ada, made.id)).priority == 1


async def test_a_name_is_taken_once(company: Company, policies: Policies) -> None:
    ada = actor(company.tenant, company.ada)
    await policies.create(ada, draft())
    other = await policies.create(ada, draft(name="other"))

    with pytest.raises(DuplicateName):
        await policies.create(ada, draft())
    with pytest.raises(DuplicateName):
        await policies.update(ada, other.id, Change(name="base"))


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (draft("permit(principal"), "cedar"),
        (draft("permit(principal, action, resource is Nothing);"), "cedar"),
        (draft(max_duration_seconds=0), "maxDurationSeconds"),
        (draft(name=" "), "name"),
    ],
)
async def test_what_is_not_fit_is_refused_and_nothing_is_kept(
    company: Company, policies: Policies, bad: Draft, path: str
) -> None:
    ada = actor(company.tenant, company.ada)
    made = await policies.create(ada, draft(name="kept"))

    with pytest.raises(BadPolicy) as refused:
        await policies.create(ada, bad)
    with pytest.raises(BadPolicy):
        await policies.update(
            ada, made.id, Change(name=bad.name, cedar=bad.cedar, max_duration_seconds=bad.max_duration_seconds)
        )

    assert refused.value.problems[0].path == path
    assert await policies.page(ada, 10, 0) == ([made], 1)
    assert len(await history(company)) == 1


async def test_a_permission_that_was_taken_away_counts_at_once(company: Company, policies: Policies, olu: UUID) -> None:
    ada, rhea = actor(company.tenant, company.ada), actor(company.tenant, company.rhea)
    made = (await policies.create(ada, draft())).id
    about = Asked(principal=str(company.ana), type="role", target=str(company.auditors))
    told_otherwise: list[Callable[..., Awaitable[object]]] = [
        lambda by: policies.create(by, draft(name="mine")),
        lambda by: policies.update(by, made, Change(name="mine")),
        lambda by: policies.add_rule(by, made, ANY),
        lambda by: policies.delete(by, made),
        lambda by: policies.read(by, made),
        lambda by: policies.page(by, 10, 0),
        lambda by: policies.check(by, ANY),
        lambda by: policies.dry_run(by, about),
    ]

    for use in told_otherwise:
        with pytest.raises(NotPermitted):
            await use(rhea)
        with pytest.raises(AccountInactive):
            await use(actor(olu, company.ada))
    await change(
        company.db,
        company.tenant,
        "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2",
        company.ada,
    )
    for use in told_otherwise:
        with pytest.raises(AccountInactive):
            await use(ada)
    assert len(await history(company)) == 1


async def test_anybody_may_ask_about_themselves_but_not_with_groups_of_their_choice(
    company: Company, policies: Policies
) -> None:
    ada, ana = actor(company.tenant, company.ada), actor(company.tenant, company.ana)
    await policies.create(ada, draft(SECURITY_ONLY))
    about = Asked(principal=str(company.ana), type="role", target=str(company.auditors))

    assert (await policies.dry_run(ana, about)).verdict is Verdict.REQUIRE
    with pytest.raises(NotPermitted):
        await policies.dry_run(ana, replace(about, groups=("Board",)))
    with pytest.raises(NotPermitted):
        await policies.dry_run(ana, replace(about, principal=str(company.rhea)))
    assert (await policies.dry_run(ada, replace(about, principal=str(company.rhea)))).because is Because.NO_RULE
    stranger = replace(about, principal="oidc|4711", groups=("Security",), type="aws_account", target="123456789012")
    assert (await policies.dry_run(ada, stranger)).verdict is Verdict.REQUIRE


async def test_what_is_decided_follows_every_change_at_once(company: Company, policies: Policies) -> None:
    ada = actor(company.tenant, company.ada)
    elsewhere = Policies(company.db, clock=company.clock, new_id=uuid4)  # Another process, which writes.
    about = Asked(principal=str(company.ana), type="role", target=str(company.auditors))

    async def verdict() -> Verdict:
        return (await policies.decide(company.tenant, about)).verdict

    assert await verdict() is Verdict.DENY
    made = await elsewhere.create(ada, draft(SECURITY_ONLY))
    assert await verdict() is Verdict.REQUIRE
    await elsewhere.update(ada, made.id, Change(mode=Mode.AUTO))
    assert await verdict() is Verdict.AUTO
    never = await elsewhere.create(ada, draft(NEVER, "never"))
    assert await verdict() is Verdict.DENY
    await elsewhere.update(ada, never.id, Change(enabled=False))
    assert await verdict() is Verdict.AUTO
    await elsewhere.update(ada, never.id, Change(enabled=True))
    await elsewhere.delete(ada, never.id)
    assert await verdict() is Verdict.AUTO
    await _rename_security(company, "Sentinels")
    assert await verdict() is Verdict.DENY
    await _rename_security(company, "Security")
    async with company.db.tx([company.tenant]) as tx:
        await people.set_groups(tx, company.tenant, {company.ana: []})
    assert await verdict() is Verdict.DENY


async def _rename_security(company: Company, name: str) -> None:
    at = company.clock()
    async with company.db.tx([company.tenant]) as tx:
        await directory.put_groups(
            tx, company.tenant, [directory.Group(id=company.security, name=name, created_at=at, updated_at=at)]
        )


async def test_resources_are_asked_about_by_id_and_by_what_the_world_calls_them(
    company: Company, policies: Policies
) -> None:
    ada, at = actor(company.tenant, company.ada), company.clock()
    unit, account = uuid4(), uuid4()
    rows = [
        directory.Resource(
            id=unit, type="aws_organizational_unit", name="u", external_id="ou-1", created_at=at, updated_at=at
        ),
        directory.Resource(
            id=account,
            type="aws_account",
            name="prod",
            external_id="123456789012",
            parent_id=unit,
            attributes={"env": "prod"},
            created_at=at,
            updated_at=at,
        ),
    ]
    async with company.db.tx([company.tenant]) as tx:
        await directory.put_resources(tx, company.tenant, rows)
    await policies.create(
        ada,
        draft(
            "permit(principal, action, resource is AwsAccount) when {"
            ' resource.hasTag("env") && resource.getTag("env") == "prod" &&'
            ' resource in AwsOrganizationalUnit::"ou-1" };'
        ),
    )

    for type, target in (("aws_account", "123456789012"), ("aws_account", str(account)), ("resource", str(account))):
        said = await policies.decide(company.tenant, Asked(principal=str(company.ana), type=type, target=target))
        assert said.verdict is Verdict.REQUIRE, type
    for type, target in (("aws_account", "999999999999"), ("resource", str(unit)), ("role", str(account))):
        said = await policies.decide(company.tenant, Asked(principal=str(company.ana), type=type, target=target))
        assert said.because is Because.NO_RULE, type


async def test_what_the_declarative_file_wrote_counts_and_what_it_wrote_badly_denies(
    company: Company, policies: Policies
) -> None:
    at = company.clock()
    body = {"cedar": ANY, "approvalMode": "auto", "maxDurationSeconds": 14400, "somethingNew": 1}
    good = declare.PolicyRow(id=uuid4(), name="base", body=body, created_at=at, updated_at=at)
    bad = declare.PolicyRow(id=uuid4(), name="bad", body={"cedar": "permit("}, created_at=at, updated_at=at)
    about = Asked(principal=str(company.ana), type="group", target=str(company.security))

    async with company.db.tx([company.tenant]) as tx:
        await declare.put_policies(tx, company.tenant, [good])
    said = await policies.decide(company.tenant, about)
    assert (said.verdict, said.max_duration_seconds) == (Verdict.AUTO, 14400)
    async with company.db.tx([company.tenant]) as tx:
        await declare.put_policies(tx, company.tenant, [bad])
    assert (await policies.decide(company.tenant, about)).because is Because.ERROR
    ada = actor(company.tenant, company.ada)
    with pytest.raises(BadPolicy):
        await policies.update(ada, bad.id, Change(cedar="forbid("))
    await policies.update(ada, bad.id, Change(enabled=False))
    with pytest.raises(BadPolicy):
        await policies.update(ada, bad.id, Change(enabled=True))
    await policies.update(ada, good.id, Change(priority=1, max_duration_seconds=None))
    async with company.db.tx([company.tenant]) as tx:
        [kept] = [one for one in await declare.policies(tx, company.tenant) if one.id == good.id]
    assert kept.body == {"cedar": ANY, "approvalMode": "auto", "somethingNew": 1}


async def test_rules_added_at_once_are_all_kept(company: Company, policies: Policies) -> None:
    ada = actor(company.tenant, company.ada)
    made = await policies.create(ada, draft(""))

    added = await asyncio.gather(*(policies.add_rule(ada, made.id, f'@id("r{n}") {ANY}') for n in range(3)))

    assert sorted(rule.id for _, rule in added) == ["r0", "r1", "r2"]
    assert (await policies.read(ada, made.id)).version == 4
    for bad in ('@id("r1") ' + ANY, ANY + ANY, "permit(", "forbid(principal, action, resource is Nothing);"):
        with pytest.raises(BadPolicy):
            await policies.add_rule(ada, made.id, bad)
    with pytest.raises(NoSuchPolicy):
        await policies.add_rule(ada, uuid4(), ANY)


async def test_all_texts_of_a_tenant_together_are_bounded(
    company: Company, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = actor(company.tenant, company.ada)
    made = await policies.create(ada, draft(ANY))
    monkeypatch.setattr("quorate.app.cedar.policies.MAX_CHARACTERS", len(ANY) * 2)
    await policies.create(ada, draft(ANY, "second"))

    with pytest.raises(BadPolicy):
        await policies.create(ada, draft(ANY, "third"))
    with pytest.raises(BadPolicy):
        await policies.update(ada, made.id, Change(cedar=ANY + " "))
    await policies.create(ada, draft("", "third"))
    monkeypatch.setattr("quorate.app.cedar.policies.MAX_POLICIES", 3)
    with pytest.raises(BadPolicy):
        await policies.create(ada, draft("", "fourth"))


async def test_the_policies_of_many_tenants_are_read_in_one_transaction_and_stay_apart(
    company: Company, policies: Policies, olu: UUID
) -> None:
    await policies.create(actor(company.tenant, company.ada), draft(ANY))

    async with company.db.tx([company.tenant, olu]) as tx:
        ready = await policies.ready(tx)

    question = Question(who=Who(id="x"), what=unknown("role", "y", ready[olu].vocabulary), at=company.clock())
    assert ready[company.tenant].ask(question).is_permitted
    assert ready[olu].ask(question).because is Because.NO_RULE
    with pytest.raises(AccountInactive):
        await policies.page(actor(olu, company.ada), 10, 0)


async def test_the_shelf_is_bounded_and_keeps_what_did_not_change(owner: Database, db: Database) -> None:
    shelf = Shelf(most_tenants=3, most_rules=4)
    tenants = [await new_tenant(owner) for _ in range(5)]
    for tenant in tenants:
        at = Company(db, tenant).clock()
        new = Policy(id=uuid4(), name="p", cedar=ANY * 2, created_at=at, updated_at=at)
        async with db.tx([tenant]) as tx:
            assert await store.add(tx, tenant, new)
            first = (await shelf.ready(tx))[tenant]
            assert (await shelf.ready(tx))[tenant] is first
        assert len(shelf) <= 2
    async with db.tx(tenants) as tx:
        assert set(await shelf.ready(tx)) == set(tenants)
    assert len(shelf) == 2


async def test_tenants_that_push_each_other_off_the_shelf_are_all_answered(owner: Database, db: Database) -> None:
    shelf = Shelf(most_tenants=1)
    tenants = [await new_tenant(owner) for _ in range(3)]
    for tenant, cedar in zip(tenants, (ANY, NEVER, ""), strict=True):
        at = Company(db, tenant).clock()
        async with db.tx([tenant]) as tx:
            await store.add(tx, tenant, Policy(id=uuid4(), name="p", cedar=cedar, created_at=at, updated_at=at))

    async def because(tenant: UUID) -> Because:
        async with db.tx([tenant]) as tx:
            ready = (await shelf.ready(tx))[tenant]
        return ready.ask(asked()).because

    said = await asyncio.gather(*(because(tenant) for tenant in tenants * 10))

    assert said == [Because.PERMITTED, Because.FORBIDDEN, Because.NO_RULE] * 10
    assert len(shelf) == 1
