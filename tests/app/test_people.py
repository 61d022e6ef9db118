"""The desk of the directory: who may is asked in the transaction that acts, and changes come one after the other."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import UNSET

from quorate.app.audit import Audit, Sought
from quorate.app.catalogue import GroupFields, Groups, ResourceFields, Resources, RoleFields, Roles
from quorate.app.delegations import Delegations
from quorate.app.directory import Desk
from quorate.app.keyring import Keyring
from quorate.app.people import Search, UserFields, Users
from quorate.app.services import ServiceFields, Services
from quorate.app.verify import Passwords
from quorate.domain import refusals as no
from quorate.store.database import Database
from quorate.store.tenants import directory_versions
from tests.app.company import Company
from tests.app.directory import CHEAP, change
from tests.app.test_workflows import actor

_SUSPEND = "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2"


class Office:
    """The use cases of one company, and whose memory was told to forget."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.forgotten: list[UUID] = []
        self.desk = Desk(company.db, clock=company.clock, new_id=uuid4, forget=self.forgotten.append)
        self.users = Users(self.desk, Passwords(CHEAP))
        self.roles, self.groups, self.resources = Roles(self.desk), Groups(self.desk), Resources(self.desk)
        self.services, self.keys = Services(self.desk), Keyring(self.desk)
        self.delegations, self.audit = Delegations(self.desk), Audit(self.desk)
        self.ada = actor(company.tenant, company.ada)

    async def version(self) -> int:
        async with self.company.db.tx([self.company.tenant]) as tx:
            return (await directory_versions(tx))[self.company.tenant]


@pytest.fixture
async def office(db: Database, tenant: UUID) -> Office:
    return Office(await Company(db, tenant).settle())


def every_use(office: Office) -> list[Callable[[Any], Awaitable[Any]]]:
    company, id = office.company, uuid4()
    return [
        lambda who: office.users.page(who, Search(), 10, 0),
        lambda who: office.users.read(who, company.ben),
        lambda who: office.users.create(who, UserFields(login="zoe", name="Zoe")),
        lambda who: office.users.update(who, company.ben, UserFields(name="B")),
        lambda who: office.users.suspend(who, company.ben),
        lambda who: office.users.reactivate(who, company.ben),
        lambda who: office.users.delete(who, company.ben),
        lambda who: office.roles.page(who, 10, 0),
        lambda who: office.roles.read(who, company.auditors),
        lambda who: office.roles.create(who, RoleFields(name="r")),
        lambda who: office.roles.update(who, company.auditors, RoleFields(name="r")),
        lambda who: office.roles.delete(who, company.auditors),
        lambda who: office.roles.add_member(who, company.auditors, company.ben),
        lambda who: office.roles.remove_member(who, company.admins, company.ada),
        lambda who: office.groups.create(who, GroupFields(name="g")),
        lambda who: office.groups.members(who, company.security, 10, 0),
        lambda who: office.groups.add_member(who, company.security, company.mona),
        lambda who: office.groups.remove_member(who, company.security, company.ben),
        lambda who: office.resources.create(who, ResourceFields(type="t", name="n")),
        lambda who: office.services.create(who, ServiceFields(name="s")),
        lambda who: office.services.update(who, id, ServiceFields(name="s")),
        lambda who: office.services.delete(who, id),
        lambda who: office.keys.page(who, "user", company.ben, 10, 0),
        lambda who: office.keys.create(who, "user", company.ben, "k"),
        lambda who: office.keys.revoke(who, "user", company.ben, id),
        lambda who: office.delegations.create(who, company.ben, company.cyd, company.clock(), company.clock()),
        lambda who: office.delegations.delete(who, id),
        lambda who: office.audit.page(who, Sought(), 10, 0),
        lambda who: office.audit.read(who, f"{id}-0"),
    ]


async def test_what_the_caller_was_told_a_moment_ago_does_not_count(office: Office, olu: UUID) -> None:
    company = office.company
    rhea = actor(company.tenant, company.rhea)  # Said to be an administrator, which she is not.
    before = await company.rows("SELECT count(*) FROM event WHERE tenant_id = $1")
    version = await office.version()

    for use in every_use(office):
        with pytest.raises(no.NotPermitted):
            await use(rhea)
        with pytest.raises(no.AccountInactive):
            await use(actor(olu, company.ada))
    await change(company.db, company.tenant, _SUSPEND, company.ada)
    for use in every_use(office):
        with pytest.raises(no.AccountInactive):
            await use(office.ada)

    assert await company.rows("SELECT count(*) FROM event WHERE tenant_id = $1") == before
    assert await office.version() == version


async def test_every_change_counts_as_one_of_the_directory_and_is_forgotten_here_at_once(office: Office) -> None:
    company, ada = office.company, office.ada
    role = await office.roles.create(ada, RoleFields(name="r"))
    changes: list[Callable[[], Awaitable[Any]]] = [
        lambda: office.users.update(ada, company.ben, UserFields(name="B")),
        lambda: office.users.update(ada, company.ben, UserFields(), "a new password"),
        lambda: office.users.suspend(ada, company.ben),
        lambda: office.users.reactivate(ada, company.ben),
        lambda: office.roles.add_member(ada, role.row.id, company.ben),
        lambda: office.roles.remove_member(ada, role.row.id, company.ben),
        lambda: office.roles.update(ada, role.row.id, RoleFields(permissions=("audit:read",))),
        lambda: office.groups.add_member(ada, company.security, company.mona),
        lambda: office.groups.remove_member(ada, company.security, company.mona),
        lambda: office.keys.create(ada, "user", company.ben, "k"),
        lambda: office.roles.delete(ada, role.row.id),
        lambda: office.users.delete(ada, company.ben),
    ]
    for make in changes:
        version = await office.version()
        office.forgotten.clear()

        await make()

        assert await office.version() > version
        assert office.forgotten == [company.tenant]


async def test_changes_of_one_directory_come_one_after_the_other(office: Office) -> None:
    company, ada = office.company, office.ada
    await office.roles.add_member(ada, company.admins, company.mona)
    mona = actor(company.tenant, company.mona)

    async with company.db.tx([company.tenant]) as tx:
        await tx.run("SELECT FROM tenant WHERE id = $1 FOR NO KEY UPDATE", company.tenant)
        tasks = [
            asyncio.create_task(work)
            for work in (
                office.roles.remove_member(ada, company.admins, company.ada),
                office.roles.remove_member(mona, company.admins, company.mona),
                office.users.delete(ada, company.mona),
            )
        ]
        # Let all of them come to the lock; on a slow machine some may come a little later, which changes nothing.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    [row] = await company.db.across("SELECT count(*) AS many FROM pg_locks WHERE NOT granted")
                    if row["many"] >= len(tasks):
                        break
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    left = await company.rows(
        """SELECT count(*) FROM role_member m JOIN principal p ON p.tenant_id = m.tenant_id AND p.id = m.principal_id
            WHERE m.tenant_id = $1 AND m.role_id = $2 AND p.deleted_at IS NULL""",
        company.admins,
    )
    assert left == [(1,)]
    # Whoever comes first decides what is still possible for the others; an administrator is left in every order.
    assert 1 <= sum(end is None for end in ends) <= 2
    kinds = {type(end) for end in ends} - {type(None)}
    assert kinds <= {no.LastAdministrator, no.NotPermitted, no.AccountInactive}


async def test_a_clock_that_went_back_takes_no_change_back_in_time(office: Office) -> None:
    made = await office.groups.create(office.ada, GroupFields(name="g"))
    office.company.clock.passes(hours=-1)

    changed = await office.groups.update(office.ada, made.row.id, GroupFields(description="d"))

    assert changed.row.updated_at == made.row.updated_at
    assert changed.row.version == made.row.version + 1


async def test_what_another_tenant_calls_by_the_same_name_is_its_own(office: Office, db: Database, olu: UUID) -> None:
    theirs = Office(await Company(db, olu).settle())
    mine = await office.roles.create(office.ada, RoleFields(name="shared"))
    await theirs.roles.create(theirs.ada, RoleFields(name="shared"))

    with pytest.raises(no.NoSuchTarget):
        await theirs.roles.read(theirs.ada, mine.row.id)
    with pytest.raises(no.NoSuchTarget):
        await theirs.roles.add_member(theirs.ada, mine.row.id, theirs.company.ben)
    with pytest.raises(no.NoSuchUser):
        await theirs.roles.add_member(theirs.ada, theirs.company.auditors, office.company.ben)
    with pytest.raises(no.NoSuchUser):
        await theirs.keys.create(theirs.ada, "user", office.company.ben, "k")


async def test_a_change_that_is_refused_leaves_nothing_behind(office: Office) -> None:
    company, ada = office.company, office.ada
    before = await company.rows("SELECT type FROM event WHERE tenant_id = $1")

    with pytest.raises(no.LastAdministrator):
        await office.users.suspend(ada, company.ada)
    with pytest.raises(no.LoginTaken):
        await office.users.update(ada, company.ben, UserFields(name="B", login="ANA@acme.example"))
    with pytest.raises(no.BadReference):
        await office.users.create(ada, UserFields(login="zoe", manager_id=uuid4()))

    assert await company.rows("SELECT type FROM event WHERE tenant_id = $1") == before
    kept = await company.rows("SELECT name, status FROM principal WHERE tenant_id = $1 AND name IN ('Ada', 'Ben', 'B')")
    assert sorted(kept) == [("Ada", "active"), ("Ben", "active")]


async def test_fields_that_are_not_said_stay(office: Office) -> None:
    ada, ben = office.ada, office.company.ben
    await office.users.update(ada, ben, UserFields(metadata={"a": 1}, manager_id=office.company.mona))

    kept = await office.users.update(ada, ben, UserFields(name="Benjamin", email=UNSET))

    assert kept.principal.metadata == {"a": 1}
    assert kept.principal.manager_id == office.company.mona
    assert kept.principal.login == "ben@acme.example"
