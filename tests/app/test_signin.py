import logging
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from argon2 import PasswordHasher

from quorate.app.limits import TooOften
from quorate.app.signin import (
    AccountNotVerified,
    AccountSuspended,
    InvalidClient,
    InvalidCredentials,
    InvalidScope,
    SignedIn,
    TenantNotFound,
)
from quorate.store.database import Database
from tests.app.directory import CHEAP, PASSWORD, World, a_client, a_service, a_user, change

SECRET = "a-client-secret-of-some-length"


async def login(
    world: World, tenant: UUID | None, password: str = PASSWORD, name: str = "ana@acme.example"
) -> SignedIn:
    got = await world.signin.login(tenant, name, password, address="203.0.113.9")
    assert isinstance(got, SignedIn)
    return got


@pytest.fixture
async def limited(db: Database) -> AsyncIterator[World]:
    made = World(db, per_login=2, per_address=3)
    await made.tokens.start()
    yield made
    made.passwords.close()


async def test_the_right_password_opens_a_session(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant, roles=[("manager", ["workflow:read"])])

    got = await login(world, tenant, name="ANA@acme.example")

    assert (got.account.id, got.account.roles) == (ana, ("manager",))
    assert got.account.permissions == {"workflow:read"}
    actor = await world.credentials.actor(got.access.token, surface="native", address="")
    assert (actor.principal, actor.how.kind) == (ana, "session")


async def test_a_wrong_password_and_an_unknown_login_are_refused_alike(world: World, tenant: UUID, olu: UUID) -> None:
    await a_user(world.db, tenant)
    await a_user(world.db, olu, "olu@else.example")

    for name, password in (
        ("ana@acme.example", "wrong"),
        ("nobody@acme.example", PASSWORD),
        ("olu@else.example", PASSWORD),
    ):
        with pytest.raises(InvalidCredentials):
            await login(world, tenant, password, name)


@pytest.mark.parametrize(("status", "refusal"), [("suspended", AccountSuspended), ("inactive", AccountNotVerified)])
async def test_that_an_account_is_not_active_is_said_only_after_the_right_password(
    world: World, tenant: UUID, status: str, refusal: type[Exception]
) -> None:
    await a_user(world.db, tenant, status=status)

    with pytest.raises(InvalidCredentials):
        await login(world, tenant, "wrong")
    with pytest.raises(refusal):
        await login(world, tenant)


async def test_a_tenant_that_does_not_exist_or_cannot_be_inferred_is_not_found(
    world: World, tenant: UUID, olu: UUID
) -> None:
    await a_user(world.db, tenant)

    for named in (uuid4(), None):
        with pytest.raises(TenantNotFound):
            await login(world, named)


async def test_a_hash_of_older_parameters_is_replaced_at_the_next_sign_in(world: World, tenant: UUID) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    ana = await a_user(world.db, tenant, password_hash=old)

    await login(world, tenant)

    async with world.db.tx([tenant]) as tx:
        row = await tx.one("SELECT password_hash FROM principal WHERE tenant_id = $1 AND id = $2", tenant, ana)
    assert row is not None
    assert not CHEAP.check_needs_rehash(row["password_hash"])
    await login(world, tenant)


async def test_too_many_attempts_on_one_login_are_refused_before_anything_is_looked_up(
    limited: World, tenant: UUID
) -> None:
    for _ in range(2):
        with pytest.raises(InvalidCredentials):
            await login(limited, tenant, "wrong")

    with pytest.raises(TooOften):
        await login(limited, tenant)
    with pytest.raises(TooOften):
        await login(limited, uuid4())


async def test_too_many_attempts_from_one_address_are_refused_whatever_the_login(limited: World, tenant: UUID) -> None:
    for number in range(3):
        with pytest.raises(InvalidCredentials):
            await login(limited, tenant, "wrong", f"{number}@acme.example")

    with pytest.raises(TooOften) as refused:
        await login(limited, tenant, "wrong", "another@acme.example")
    assert refused.value.retry_after_s == 20


async def test_a_refresh_token_is_exchanged_once_for_the_next(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    first = await login(world, tenant)

    second = await world.signin.refresh(first.refresh_token, address="")
    third = await world.signin.refresh(second.refresh_token, address="")

    assert third.account.id == ana
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3


async def test_a_refresh_token_shown_twice_ends_the_session(world: World, tenant: UUID) -> None:
    await a_user(world.db, tenant)
    first = await login(world, tenant)
    second = await world.signin.refresh(first.refresh_token, address="")

    with pytest.raises(InvalidCredentials):
        await world.signin.refresh(first.refresh_token, address="")

    with pytest.raises(InvalidCredentials):
        await world.signin.refresh(second.refresh_token, address="")


async def test_a_guess_at_a_refresh_token_ends_nothing(world: World, tenant: UUID) -> None:
    await a_user(world.db, tenant)
    first = await login(world, tenant)
    guess = first.refresh_token.rsplit("_", 1)[0] + "_guess"

    for wrong in (guess, "", "qr__", "qr_a_b_c", f"qr_{uuid4().hex}_{uuid4().hex}_x", first.refresh_token + "ü"):
        with pytest.raises(InvalidCredentials):
            await world.signin.refresh(wrong, address="")

    await world.signin.refresh(first.refresh_token, address="")


async def test_a_refresh_token_dies_with_time_the_account_or_the_password(world: World, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    stale, changed, suspended = [await login(world, tenant) for _ in range(3)]
    world.clock.passes(days=6)
    changed, suspended = [await world.signin.refresh(one.refresh_token, address="") for one in (changed, suspended)]
    world.clock.passes(days=1)
    with pytest.raises(InvalidCredentials):
        await world.signin.refresh(stale.refresh_token, address="")

    await change(world.db, tenant, "UPDATE principal SET password_stamp = gen_random_uuid() WHERE tenant_id = $1")
    with pytest.raises(InvalidCredentials):
        await world.signin.refresh(changed.refresh_token, address="")

    await change(world.db, tenant, "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2", ana)
    with pytest.raises(InvalidCredentials):
        await world.signin.refresh(suspended.refresh_token, address="")


async def test_who_asks_to_be_remembered_is_remembered_longer(world: World, tenant: UUID) -> None:
    await a_user(world.db, tenant)
    got = await world.signin.login(tenant, "ana@acme.example", PASSWORD, address="", remember=True)
    assert isinstance(got, SignedIn)

    world.clock.passes(days=27)

    await world.signin.refresh(got.refresh_token, address="")


async def test_client_credentials_give_a_token_that_acts_as_their_holder(world: World, tenant: UUID) -> None:
    service = await a_service(world.db, tenant, permissions=["workflow:write"])
    client = await a_client(world.db, tenant, service, "ci", SECRET)

    got = await world.signin.client("ci", SECRET, "sp:scopes:all workflow:write", address="")

    actor = await world.credentials.actor(got.access.token, surface="native", address="")
    assert (actor.principal, actor.how.kind, actor.how.credential) == (service, "client", client)
    assert actor.permissions == {"workflow:write"}
    assert (got.tenant, got.slug, list(got.scope)) == (tenant, f"t-{tenant}", ["workflow:write"])


async def test_a_client_needs_both_its_id_and_its_secret(world: World, tenant: UUID, olu: UUID) -> None:
    ours, theirs = f"{SECRET}-{tenant}", f"{SECRET}-{olu}"
    await a_client(world.db, tenant, await a_service(world.db, tenant), "ci", ours)
    await a_client(world.db, olu, await a_service(world.db, olu), "other", theirs)

    for client_id, secret in (("ci", "wrong"), ("CI", ours), ("", ours), ("ci", theirs), ("other", ours), ("ü", ours)):
        with pytest.raises(InvalidClient):
            await world.signin.client(client_id, secret, "", address="")


async def test_two_clients_may_share_a_secret_and_are_told_apart_by_their_id(
    world: World, tenant: UUID, olu: UUID
) -> None:
    shared = f"{SECRET}-{tenant}-shared"
    await a_client(world.db, tenant, await a_service(world.db, tenant), "a", shared)
    await a_client(world.db, olu, await a_service(world.db, olu), "b", shared)

    assert (await world.signin.client("a", shared, "", address="")).tenant == tenant
    assert (await world.signin.client("b", shared, "", address="")).tenant == olu


async def test_a_revoked_client_or_a_suspended_holder_gets_no_token(world: World, tenant: UUID) -> None:
    secret = f"{SECRET}-{tenant}-revoked"
    service = await a_service(world.db, tenant)
    await a_client(world.db, tenant, service, "ci", secret)
    await change(
        world.db, tenant, "UPDATE principal SET status = 'suspended' WHERE tenant_id = $1 AND id = $2", service
    )
    with pytest.raises(InvalidClient):
        await world.signin.client("ci", secret, "", address="")

    await change(world.db, tenant, "UPDATE principal SET status = 'active' WHERE tenant_id = $1 AND id = $2", service)
    await world.signin.client("ci", secret, "", address="")
    await change(world.db, tenant, "UPDATE credential SET revoked_at = now() WHERE tenant_id = $1")
    with pytest.raises(InvalidClient):
        await world.signin.client("ci", secret, "", address="")


async def test_a_client_that_asks_for_what_it_may_not_is_refused(world: World, tenant: UUID) -> None:
    secret = f"{SECRET}-{tenant}-scope"
    await a_client(world.db, tenant, await a_service(world.db, tenant), "ci", secret)

    with pytest.raises(InvalidScope):
        await world.signin.client("ci", secret, "workflow:write", address="")


async def test_a_user_is_no_service_to_another_tenants_session(world: World, tenant: UUID, olu: UUID) -> None:
    await a_user(world.db, tenant)
    mark, _, session, secret = (await login(world, tenant)).refresh_token.split("_", 3)

    with pytest.raises(InvalidCredentials):
        await world.signin.refresh(f"{mark}_{olu.hex}_{session}_{secret}", address="")


async def test_passwords_and_tokens_stay_out_of_logs_and_reprs(
    world: World, tenant: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await a_user(world.db, tenant)
    got = await login(world, tenant)
    await world.signin.refresh(got.refresh_token, address="")
    with pytest.raises(InvalidCredentials) as twice:
        await world.signin.refresh(got.refresh_token, address="")
    with pytest.raises(InvalidCredentials) as wrong:
        await login(world, tenant, "a wrong pass phrase")

    said = caplog.text + repr(got) + repr(twice.value) + str(wrong.value)

    assert "refresh token used twice" in said
    for secret in (PASSWORD, "a wrong pass phrase", got.access.token, got.identity.token, got.refresh_token):
        assert secret not in said
