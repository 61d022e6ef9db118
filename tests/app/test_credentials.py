import asyncio
import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from quorate.app import credentials as subject
from quorate.app.actor import Actor, NotSignedIn
from quorate.app.keys import secret_hash
from quorate.app.signin import SignedIn
from quorate.store import signin as store
from quorate.store.credentials import revoke_credentials
from quorate.store.database import Database
from tests.app.directory import PASSWORD, World, a_client, a_key, a_service, a_user, change

REVOKE = "UPDATE credential SET revoked_at = now() WHERE tenant_id = $1 AND id = $2"
SUSPEND = "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2"


async def arrive(world: World, credential: str) -> Actor:
    return await world.credentials.actor(credential, surface="native", address="203.0.113.9")


async def is_refused(world: World, credential: str) -> bool:
    try:
        await arrive(world, credential)
    except NotSignedIn:
        return True
    return False


async def test_a_key_makes_its_holder_the_actor_with_the_permissions_of_their_roles(world: World, tenant: UUID) -> None:
    roles = [("approver", ["request:approve"]), ("reader", ["workflow:read", "audit:read"])]
    ana = await a_user(world.db, tenant, roles=roles)
    key, secret = await a_key(world.db, tenant, ana)

    actor = await arrive(world, secret)

    assert (actor.tenant, actor.principal, actor.is_service) == (tenant, ana, False)
    assert actor.permissions == {"request:approve", "workflow:read", "audit:read"}
    assert (actor.how.credential, actor.how.kind, actor.how.surface) == (key, "key", "native")


async def test_a_service_has_permissions_of_its_own(world: World, tenant: UUID) -> None:
    service = await a_service(world.db, tenant, permissions=["workflow:write"])
    _, secret = await a_key(world.db, tenant, service, secret="a-given-secret-of-25-chars")

    actor = await arrive(world, secret)

    assert actor.is_service
    assert actor.permissions == {"workflow:write"}


@pytest.mark.parametrize("credential", ["", "qk_unknown", "x" * 5000, "' OR 1=1 --", "eyJ.a.b", "ü"])
async def test_what_is_no_credential_signs_nobody_in(world: World, credential: str) -> None:
    assert await is_refused(world, credential)


async def test_a_key_counts_until_it_expires_even_when_remembered(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    _, secret = await a_key(world.db, tenant, ana, expires_at=world.clock.at + timedelta(seconds=3))
    await arrive(world, secret)

    world.clock.passes(seconds=3)

    assert await is_refused(world, secret)


async def test_a_revoked_key_dies_at_once_here_and_within_seconds_elsewhere(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    key, secret = await a_key(world.db, tenant, ana)
    elsewhere = subject.Credentials(world.db, world.tokens, clock=world.clock, now=world.clock.seconds)
    await arrive(world, secret)
    await elsewhere.actor(secret, surface="native", address="")

    await change(world.db, tenant, REVOKE, key)
    world.credentials.forget(tenant)

    assert await is_refused(world, secret)
    await elsewhere.actor(secret, surface="native", address="")
    world.clock.passes(seconds=subject.TTL_S)
    with pytest.raises(NotSignedIn):
        await elsewhere.actor(secret, surface="native", address="")


async def test_a_change_of_the_directory_elsewhere_is_noticed_before_the_memory_runs_out(
    world: World, tenant: UUID, olu: UUID
) -> None:
    ana, other = await a_user(world.db, tenant), await a_user(world.db, olu)
    key, secret = await a_key(world.db, tenant, ana)
    _, others = await a_key(world.db, olu, other)
    await world.credentials.notice()
    await arrive(world, secret)
    await arrive(world, others)
    await world.credentials.notice()
    await arrive(world, secret)

    async with world.db.tx([tenant]) as tx:
        await revoke_credentials(tx, tenant, [key], world.clock())
    await world.credentials.notice()

    assert await is_refused(world, secret)
    assert not await is_refused(world, others)


async def test_what_was_read_before_a_change_is_not_remembered_past_it(
    world: World, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await a_user(world.db, tenant)
    key, secret = await a_key(world.db, tenant, ana)
    has_read, may_go = asyncio.Event(), asyncio.Event()
    read = store.accounts

    async def slowly(*args: Any) -> Any:
        found = await read(*args)
        has_read.set()
        await may_go.wait()
        return found

    monkeypatch.setattr(store, "accounts", slowly)
    first = asyncio.create_task(arrive(world, secret))
    await has_read.wait()
    await change(world.db, tenant, REVOKE, key)
    world.credentials.forget(tenant)
    may_go.set()
    await first

    assert await is_refused(world, secret)


async def test_a_remembered_credential_asks_the_database_once(
    world: World, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await a_user(world.db, tenant)
    _, secret = await a_key(world.db, tenant, ana)
    asked: list[UUID] = []
    read = store.accounts

    async def counted(*args: Any) -> Any:
        asked.append(tenant)
        return await read(*args)

    monkeypatch.setattr(store, "accounts", counted)
    for _ in range(5):
        await arrive(world, secret)

    assert len(asked) == 1


async def test_what_is_remembered_is_bounded(world: World, tenant: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_REMEMBERED", 3)
    ana = await a_user(world.db, tenant)
    for _ in range(5):
        await arrive(world, (await a_key(world.db, tenant, ana))[1])

    assert len(world.credentials._known) == 3


@pytest.mark.parametrize("status", ["suspended", "inactive"])
async def test_the_key_of_someone_not_active_signs_nobody_in(world: World, tenant: UUID, status: str) -> None:
    ana = await a_user(world.db, tenant, status=status)
    _, secret = await a_key(world.db, tenant, ana)

    assert await is_refused(world, secret)


async def test_the_key_of_someone_deleted_signs_nobody_in(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    _, secret = await a_key(world.db, tenant, ana)
    await change(world.db, tenant, "UPDATE principal SET deleted_at = now() WHERE tenant_id = $1 AND id = $2", ana)

    assert await is_refused(world, secret)


async def test_a_service_whose_owner_is_suspended_is_signed_out_too(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    service = await a_service(world.db, tenant, owner=ana)
    _, secret = await a_key(world.db, tenant, service)
    await arrive(world, secret)

    await change(world.db, tenant, SUSPEND, ana)
    world.credentials.forget(tenant)

    assert await is_refused(world, secret)


async def test_a_deleted_role_gives_nothing(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant, roles=[("admins", ["admin"])])
    _, secret = await a_key(world.db, tenant, ana)
    await change(world.db, tenant, "UPDATE role SET deleted_at = now() WHERE tenant_id = $1")

    assert (await arrive(world, secret)).permissions == frozenset()


async def test_a_client_secret_is_no_key(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    await a_client(world.db, tenant, ana, "ana", "a-client-secret-of-ana-1")

    assert await is_refused(world, "a-client-secret-of-ana-1")


async def test_the_claims_of_a_token_give_no_authority(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant, roles=[("reader", ["workflow:read"])])
    claims = {"sub": str(ana), "tenant_id": str(tenant), "roles": ["admin"], "permissions": ["admin"]}

    actor = await arrive(world, world.tokens.access(claims).token)

    assert actor.permissions == {"workflow:read"}


async def test_a_token_that_names_another_tenant_finds_nobody_there(world: World, tenant: UUID, olu: UUID) -> None:
    ana = await a_user(world.db, tenant)
    claims = {"sub": str(ana), "tenant_id": str(olu)}

    assert await is_refused(world, world.tokens.access(claims).token)


async def test_a_token_dies_with_the_session_the_password_or_the_client_behind_it(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    client = await a_client(world.db, tenant, ana, "ci", "a-client-secret-of-ci-1")
    first = await world.signin.login(tenant, "ana@acme.example", PASSWORD, address="")
    assert isinstance(first, SignedIn)
    second = await world.signin.login(tenant, "ana@acme.example", PASSWORD, address="")
    assert isinstance(second, SignedIn)
    third = await world.signin.client("ci", "a-client-secret-of-ci-1", "", address="")
    by_session = await arrive(world, first.access.token)
    assert by_session.how.kind == "session"
    assert by_session.how.credential is not None
    assert (await arrive(world, third.access.token)).how.credential == client

    await world.signin.logout(by_session, by_session.how.credential)
    assert await is_refused(world, first.access.token)
    await change(world.db, tenant, REVOKE, client)
    world.credentials.forget(tenant)
    assert await is_refused(world, third.access.token)
    assert not await is_refused(world, second.access.token)

    await change(world.db, tenant, "UPDATE principal SET password_stamp = gen_random_uuid() WHERE tenant_id = $1")
    world.credentials.forget(tenant)
    assert await is_refused(world, second.access.token)


async def test_use_of_a_key_is_noted(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    key, secret = await a_key(world.db, tenant, ana)
    await arrive(world, secret)

    async with world.db.tx([tenant]) as tx:
        row = await tx.one("SELECT last_used_at FROM credential WHERE tenant_id = $1 AND id = $2", tenant, key)
    assert row is not None
    assert row["last_used_at"] == world.clock.at


async def test_keys_and_hashes_stay_out_of_logs_and_reprs(
    world: World, tenant: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ana = await a_user(world.db, tenant)
    _, secret = await a_key(world.db, tenant, ana)
    actor = await arrive(world, secret)
    async with world.db.tx([tenant]) as tx:
        account = await store.account(tx, tenant, ana, world.clock())
    assert account is not None
    assert account.password_hash is not None

    said = caplog.text + repr(actor) + repr(account)

    assert secret not in said
    assert secret_hash(secret).hex() not in said
    assert account.password_hash not in said


async def test_a_key_of_one_tenant_shows_nothing_of_another(
    db: Database, tenant: UUID, olu: UUID, world: World
) -> None:
    ana, other = await a_user(db, tenant), await a_user(db, olu, roles=[("admins", ["admin"])])
    _, secret = await a_key(db, tenant, ana)

    actor = await arrive(world, secret)

    assert (actor.tenant, actor.principal, actor.permissions) == (tenant, ana, frozenset[str]())
    assert actor.principal != other
