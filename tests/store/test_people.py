"""The directory keeps what it is given, says what changed, and never shows or touches another tenant's."""

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from quorate.store import credentials, directory, people, tenants
from quorate.store.database import Database, Tx
from tests.store.servers import on_both

pytestmark = on_both

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMPS: dict[str, Any] = {"created_at": AT, "updated_at": AT}
Answer = TypeVar("Answer")


def user(login: str, **more: Any) -> people.Principal:
    return people.Principal(id=uuid4(), kind="user", login=login, name=login.title(), **STAMPS | more)


def service(name: str, **more: Any) -> people.Principal:
    return people.Principal(id=uuid4(), kind="service", name=name, **STAMPS | more)


def key(holder: people.Principal, secret: str, **more: Any) -> credentials.StoredCredential:
    secret_hash = hashlib.sha256(secret.encode()).digest()
    return credentials.StoredCredential(
        id=uuid4(), principal_id=holder.id, kind="key", secret_hash=secret_hash, created_at=AT, **more
    )


class Directory:
    """A small directory, the same for every tenant but for its ids and secrets."""

    def __init__(self) -> None:
        self.mona = user("mona")
        self.ana = user("Ana@acme.example", manager_id=self.mona.id, email="ana@x", metadata={"a": [1]}, name_parts={})
        self.ci = service("ci", owner_id=self.ana.id, permissions=("workflow:write",))
        self.admins = directory.Role(id=uuid4(), name="admins", permissions=("admin", "key:write"), **STAMPS)
        self.readers = directory.Role(id=uuid4(), name="readers", permissions=("workflow:read",), **STAMPS)
        self.security = directory.Group(id=uuid4(), name="Security", external_id="sec", **STAMPS)
        self.billing = directory.Resource(id=uuid4(), type="profile", name="Billing", approval={"n": 1}, **STAMPS)
        self.prod = directory.Resource(
            id=uuid4(), type="environment", name="prod", parent_id=self.billing.id, attributes={"x": None}, **STAMPS
        )
        self.laptop = key(self.ana, str(uuid4()), name="laptop")
        self.yubi = credentials.StoredCredential(
            id=uuid4(),
            principal_id=self.mona.id,
            kind="passkey",
            name="yubi",
            public={"id": str(uuid4()), "publicKey": {}},
            created_at=AT,
        )
        self.leave = people.Delegation(
            id=uuid4(), from_id=self.ana.id, to_id=self.mona.id, starts_at=AT, ends_at=AT + timedelta(1), created_at=AT
        )
        self.password = people.Password(self.ana.id, "$argon2id$…", uuid4())

    async def write(self, tx: Tx, tenant: UUID) -> None:
        await people.put_principals(tx, tenant, [self.ana, self.ci, self.mona])
        await people.put_passwords(tx, tenant, [self.password], AT)
        await directory.put_roles(tx, tenant, [self.readers, self.admins])
        await directory.put_groups(tx, tenant, [self.security])
        await directory.put_resources(tx, tenant, [self.prod, self.billing])
        await people.set_roles(
            tx, tenant, {self.ana.id: [self.admins.id, self.readers.id], self.ci.id: [self.readers.id]}
        )
        await people.set_groups(tx, tenant, {self.ana.id: [self.security.id]})
        await people.put_delegations(tx, tenant, [self.leave])
        await credentials.put_credentials(tx, tenant, [self.laptop, self.yubi])


Read = Callable[[Tx, UUID, Directory], Awaitable[Any]]

# Every function of the store's directory that reads, asked of one tenant about the other's ids where it takes ids.
READS: dict[str, Read] = {
    "people.principals": lambda tx, tenant, d: people.principals(tx, tenant),
    "people.principals_by_id": lambda tx, tenant, d: people.principals_by_id(tx, tenant, [d.ana.id, d.ci.id]),
    "people.users_by_login": lambda tx, tenant, d: people.users_by_login(tx, tenant, ["ana@ACME.example", "mona"]),
    "people.services_by_name": lambda tx, tenant, d: people.services_by_name(tx, tenant, ["ci"]),
    "people.password_hashes": lambda tx, tenant, d: people.password_hashes(tx, tenant, [d.ana.id, d.ci.id]),
    "people.permissions_of": lambda tx, tenant, d: people.permissions_of(tx, tenant, [d.ana.id, d.ci.id]),
    "people.roles_of": lambda tx, tenant, d: people.roles_of(tx, tenant, [d.ana.id, d.ci.id]),
    "people.groups_of": lambda tx, tenant, d: people.groups_of(tx, tenant, [d.ana.id]),
    "people.delegations": lambda tx, tenant, d: people.delegations(tx, tenant),
    "directory.roles": lambda tx, tenant, d: directory.roles(tx, tenant),
    "directory.groups": lambda tx, tenant, d: directory.groups(tx, tenant),
    "directory.resources": lambda tx, tenant, d: directory.resources(tx, tenant),
    "credentials.credentials": lambda tx, tenant, d: credentials.credentials(tx, tenant),
    "credentials.credentials_of": lambda tx, tenant, d: credentials.credentials_of(tx, tenant, [d.ana.id]),
    "credentials.keys_of": lambda tx, tenant, d: credentials.keys_of(tx, tenant, d.ana.id, 10, 0),
    "credentials.key_of": lambda tx, tenant, d: credentials.key_of(tx, tenant, d.ana.id, d.laptop.id),
    "credentials.passkeys_of": lambda tx, tenant, d: credentials.passkeys_of(tx, tenant, d.mona.id),
}

# Every one that writes.
WRITES: dict[str, Read] = {
    "people.put_principals": lambda tx, tenant, d: people.put_principals(tx, tenant, [renamed(d.mona)]),
    "people.put_passwords": lambda tx, tenant, d: people.put_passwords(
        tx, tenant, [people.Password(d.ana.id, "other", uuid4())], AT
    ),
    "people.set_roles": lambda tx, tenant, d: people.set_roles(tx, tenant, {d.ana.id: []}),
    "people.set_groups": lambda tx, tenant, d: people.set_groups(tx, tenant, {d.ana.id: []}),
    "people.put_delegations": lambda tx, tenant, d: people.put_delegations(tx, tenant, []),
    "people.remove_delegations": lambda tx, tenant, d: people.remove_delegations(tx, tenant, [d.leave.id]),
    "directory.put_roles": lambda tx, tenant, d: directory.put_roles(tx, tenant, [renamed(d.admins)]),
    "directory.put_groups": lambda tx, tenant, d: directory.put_groups(tx, tenant, [renamed(d.security)]),
    "directory.put_resources": lambda tx, tenant, d: directory.put_resources(tx, tenant, [renamed(d.billing)]),
    "credentials.put_credentials": lambda tx, tenant, d: credentials.put_credentials(tx, tenant, []),
    "credentials.revoke_credentials": lambda tx, tenant, d: credentials.revoke_credentials(
        tx, tenant, [d.laptop.id], AT
    ),
    "credentials.hold": lambda tx, tenant, d: credentials.hold(tx, [(tenant, d.yubi.id)]),
}


def renamed(value: Any) -> Any:
    return msgspec.structs.replace(value, name="renamed", **({"login": "renamed"} if hasattr(value, "login") else {}))


def functions(*modules: ModuleType) -> set[str]:
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


async def in_tx(db: Database, tenant: UUID, work: Callable[[Tx], Awaitable[Answer]]) -> Answer:
    async with db.tx([tenant]) as tx:
        return await work(tx)


async def everything(db: Database, tenant: UUID, of: Directory) -> dict[str, Any]:
    async with db.tx([tenant]) as tx:
        return {name: await read(tx, tenant, of) for name, read in READS.items()}


async def test_the_directory_is_read_as_it_was_written(db: Database, tenant: UUID) -> None:
    ours = Directory()
    await in_tx(db, tenant, lambda tx: ours.write(tx, tenant))

    read = await everything(db, tenant, ours)

    assert read["people.principals"] == [ours.ana, ours.mona, ours.ci]
    assert read["people.principals_by_id"] == {ours.ana.id: ours.ana, ours.ci.id: ours.ci}
    assert read["people.users_by_login"] == {"ana@ACME.example": ours.ana, "mona": ours.mona}
    assert read["people.services_by_name"] == {"ci": ours.ci}
    assert read["people.password_hashes"] == {ours.ana.id: "$argon2id$…"}
    assert read["people.permissions_of"] == {
        ours.ana.id: {"admin", "key:write", "workflow:read"},
        ours.ci.id: {"workflow:write", "workflow:read"},
    }
    assert read["people.roles_of"] == {ours.ana.id: {ours.admins.id, ours.readers.id}, ours.ci.id: {ours.readers.id}}
    assert read["people.groups_of"] == {ours.ana.id: {ours.security.id}}
    assert read["people.delegations"] == [ours.leave]
    assert read["directory.roles"] == [ours.admins, ours.readers]
    assert read["directory.groups"] == [ours.security]
    assert read["directory.resources"] == [ours.prod, ours.billing]
    assert {one.id for one in read["credentials.credentials"]} == {ours.laptop.id, ours.yubi.id}
    assert read["credentials.credentials_of"] == [ours.laptop]
    assert read["credentials.passkeys_of"] == [ours.yubi]
    assert (read["credentials.keys_of"], read["credentials.key_of"]) == (([ours.laptop], 1), ours.laptop)


def test_every_function_of_the_directory_is_in_the_stories_below(postgres: object) -> None:
    assert functions(people, directory, credentials) == READS.keys() | WRITES.keys()


async def test_predicates_alone_show_nothing_of_another_tenant(unfenced: Database, tenant: UUID, olu: UUID) -> None:
    ours, theirs = Directory(), Directory()
    await in_tx(unfenced, tenant, lambda tx: ours.write(tx, tenant))
    before = await everything(unfenced, tenant, ours)
    await in_tx(unfenced, olu, lambda tx: theirs.write(tx, olu))

    assert await everything(unfenced, tenant, ours) == before
    asked_about_theirs = await everything(unfenced, tenant, theirs)
    for name in ("people.principals_by_id", "people.password_hashes", "people.permissions_of"):
        assert asked_about_theirs[name] == {}, name
    assert not any(asked_about_theirs["people.roles_of"].values())
    assert not any(asked_about_theirs["people.groups_of"].values())
    assert asked_about_theirs["credentials.credentials_of"] == []
    assert asked_about_theirs["credentials.keys_of"] == ([], 0)
    assert asked_about_theirs["credentials.key_of"] is None
    assert asked_about_theirs["credentials.passkeys_of"] == []


@pytest.mark.parametrize("name", WRITES)
async def test_predicates_alone_let_nobody_write_to_another_tenant(
    unfenced: Database, tenant: UUID, olu: UUID, name: str
) -> None:
    theirs = Directory()
    await in_tx(unfenced, olu, lambda tx: theirs.write(tx, olu))
    before = await everything(unfenced, olu, theirs)

    await in_tx(unfenced, tenant, lambda tx: WRITES[name](tx, tenant, theirs))

    assert await everything(unfenced, olu, theirs) == before


async def test_a_credential_cannot_be_put_on_another_tenants_person(
    unfenced: Database, tenant: UUID, olu: UUID
) -> None:
    theirs = Directory()
    await in_tx(unfenced, olu, lambda tx: theirs.write(tx, olu))

    with pytest.raises(asyncpg.ForeignKeyViolationError, match="the_holder_exists"):
        await in_tx(unfenced, tenant, lambda tx: credentials.put_credentials(tx, tenant, [key(theirs.ana, "x" * 20)]))


@pytest.mark.parametrize("name", WRITES)
async def test_a_change_to_the_directory_is_counted_for_its_tenant_alone(
    db: Database, tenant: UUID, olu: UUID, name: str
) -> None:
    ours = Directory()
    await in_tx(db, tenant, lambda tx: ours.write(tx, tenant))
    # The stories of these above put nothing, or only hold what is there.
    empty = name in ("people.put_delegations", "credentials.put_credentials", "credentials.hold")

    async with db.tx([tenant, olu]) as tx:
        before = await tenants.directory_versions(tx)
        await WRITES[name](tx, tenant, ours)
        after = await tenants.directory_versions(tx)

    assert after[olu] == before[olu] == 0
    assert (after[tenant] > before[tenant]) is not empty


async def test_writing_the_same_again_changes_nothing_and_says_so(db: Database, tenant: UUID) -> None:
    ours = Directory()
    await in_tx(db, tenant, lambda tx: ours.write(tx, tenant))

    async with db.tx([tenant]) as tx:
        before = await tenants.directory_versions(tx)
        assert await people.put_principals(tx, tenant, [ours.ana, ours.ci, ours.mona]) == set()
        assert await directory.put_roles(tx, tenant, [ours.admins, ours.readers]) == set()
        assert await directory.put_groups(tx, tenant, [ours.security]) == set()
        assert await directory.put_resources(tx, tenant, [ours.billing, ours.prod]) == set()
        assert await people.set_groups(tx, tenant, {ours.ana.id: [ours.security.id]}) == set()
        assert await people.put_delegations(tx, tenant, [ours.leave]) == set()
        assert await credentials.put_credentials(tx, tenant, [ours.laptop]) == set()
        assert await tenants.directory_versions(tx) == before


async def test_a_change_is_told_counted_and_keeps_when_it_was_made(db: Database, tenant: UUID) -> None:
    ana, ben = user("ana"), user("ben")
    later = AT + timedelta(hours=1)
    suspended = msgspec.structs.replace(ana, status="suspended", created_at=later, updated_at=later)

    async with db.tx([tenant]) as tx:
        assert await people.put_principals(tx, tenant, [ana, ben]) == {ana.id, ben.id}
        assert await people.put_principals(tx, tenant, [suspended, ben]) == {ana.id}
        read = await people.principals_by_id(tx, tenant, [ana.id])

    assert read[ana.id] == msgspec.structs.replace(suspended, created_at=AT, version=2)


async def test_a_person_never_becomes_a_program_nor_a_program_a_person(db: Database, tenant: UUID) -> None:
    ana, ci = user("ana"), service("ci")
    await in_tx(db, tenant, lambda tx: people.put_principals(tx, tenant, [ana, ci]))

    for other in (replace(ana, kind="service", login=None), replace(ci, kind="user", login="ci")):
        with pytest.raises(asyncpg.CheckViolationError):
            async with db.tx([tenant]) as tx:
                await people.put_principals(tx, tenant, [other])

    found = await in_tx(db, tenant, lambda tx: people.principals_by_id(tx, tenant, [ana.id, ci.id]))
    assert {id: one.kind for id, one in found.items()} == {ana.id: "user", ci.id: "service"}


async def test_memberships_become_exactly_what_is_said_and_only_of_those_named(db: Database, tenant: UUID) -> None:
    ours = Directory()
    await in_tx(db, tenant, lambda tx: ours.write(tx, tenant))

    async with db.tx([tenant]) as tx:
        changed = await people.set_roles(tx, tenant, {ours.ana.id: [ours.readers.id], ours.mona.id: [ours.admins.id]})
        held = await people.roles_of(tx, tenant, [ours.ana.id, ours.mona.id, ours.ci.id])

    assert changed == {ours.ana.id, ours.mona.id}
    assert held == {ours.ana.id: {ours.readers.id}, ours.mona.id: {ours.admins.id}, ours.ci.id: {ours.readers.id}}


async def test_a_deleted_role_gives_no_permissions(db: Database, tenant: UUID) -> None:
    ours = Directory()
    await in_tx(db, tenant, lambda tx: ours.write(tx, tenant))

    async with db.tx([tenant]) as tx:
        await directory.put_roles(tx, tenant, [msgspec.structs.replace(ours.admins, deleted_at=AT)])
        assert await people.permissions_of(tx, tenant, [ours.ana.id]) == {ours.ana.id: {"workflow:read"}}


async def test_a_login_is_taken_whatever_its_case_until_its_user_is_deleted(db: Database, tenant: UUID) -> None:
    first, second = user("ana"), user("ANA")
    await in_tx(db, tenant, lambda tx: people.put_principals(tx, tenant, [first]))

    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_user_per_login"):
        await in_tx(db, tenant, lambda tx: people.put_principals(tx, tenant, [second]))

    async with db.tx([tenant]) as tx:
        await people.put_principals(tx, tenant, [msgspec.structs.replace(first, deleted_at=AT)])
        await people.put_principals(tx, tenant, [second])
        assert await people.users_by_login(tx, tenant, ["Ana"]) == {"Ana": second}


async def test_the_same_login_may_be_used_in_two_tenants(db: Database, tenant: UUID, olu: UUID) -> None:
    await in_tx(db, tenant, lambda tx: people.put_principals(tx, tenant, [user("ana")]))
    assert await in_tx(db, olu, lambda tx: people.put_principals(tx, olu, [user("ana")]))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (service("ci", login="ci"), "only_a_user_has_a_login"),
        (user("ana", permissions=("admin",)), "only_a_service_has_permissions_of_its_own"),
        (user("ana", owner_id=uuid4()), "only_a_service_has_an_owner"),
        (service("ci", manager_id=uuid4()), "only_a_user_has_a_manager"),
    ],
)
async def test_what_a_constraint_can_hold_it_holds_by_name(
    db: Database, tenant: UUID, wrong: people.Principal, rule: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=rule):
        await in_tx(db, tenant, lambda tx: people.put_principals(tx, tenant, [wrong]))


async def test_one_secret_is_one_key_in_the_whole_installation_until_it_is_revoked(
    db: Database, tenant: UUID, olu: UUID
) -> None:
    ours, theirs, secret = Directory(), Directory(), str(uuid4())
    await in_tx(db, tenant, lambda tx: ours.write(tx, tenant))
    await in_tx(db, olu, lambda tx: theirs.write(tx, olu))
    mine = key(ours.ana, secret)
    await in_tx(db, tenant, lambda tx: credentials.put_credentials(tx, tenant, [mine]))

    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_key_per_secret"):
        await in_tx(db, olu, lambda tx: credentials.put_credentials(tx, olu, [key(theirs.ana, secret)]))

    assert await in_tx(db, tenant, lambda tx: credentials.revoke_credentials(tx, tenant, [mine.id], AT)) == {mine.id}
    assert await in_tx(db, tenant, lambda tx: credentials.revoke_credentials(tx, tenant, [mine.id], AT)) == set()
    assert await in_tx(db, olu, lambda tx: credentials.put_credentials(tx, olu, [key(theirs.ana, secret)]))


async def test_a_revoked_credential_does_not_come_back_by_being_written_again(db: Database, tenant: UUID) -> None:
    ours = Directory()
    await in_tx(db, tenant, lambda tx: ours.write(tx, tenant))

    async with db.tx([tenant]) as tx:
        await credentials.revoke_credentials(tx, tenant, [ours.laptop.id], AT)
        assert await credentials.put_credentials(tx, tenant, [msgspec.structs.replace(ours.laptop, name="b")]) == set()
        assert await credentials.credentials(tx, tenant) == [ours.yubi]


async def test_a_tenant_is_made_by_the_owner_and_found_by_its_slug(owner: Database, db: Database) -> None:
    acme = tenants.Tenant(id=uuid4(), slug=f"acme-{uuid4()}", name="Acme", settings={"a": {}}, **STAMPS)

    async with owner.tx([acme.id]) as tx:
        assert await tenants.put_tenants(tx, [acme]) == {acme.id}
        assert await tenants.put_tenants(tx, [acme]) == set()
        assert await tenants.tenants(tx) == [acme]

    assert await tenants.tenant_by(db, slug=acme.slug) == acme.id
    assert await tenants.tenant_by(db, slug="nobody") is None
    assert (await tenants.every_tenant(owner))[acme.slug] == acme.id
    assert await tenants.every_tenant(db) == {}


async def test_asked_for_no_tenant_in_particular_there_must_be_exactly_one(
    db: Database, tenant: UUID, olu: UUID
) -> None:
    assert await tenants.tenant_by(db) is None
