"""Sessions that are their own credential."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quorate.app.actor import Actor, NotSignedIn
from quorate.app.limits import Attempts, TooOften
from quorate.app.sessions import NoSession, Opened, Sessions
from quorate.app.signin import (
    AccountNotVerified,
    AccountSuspended,
    InvalidCredentials,
    TenantNotFound,
)
from quorate.domain.refusals import LockedOut
from quorate.store import signin as store
from tests.app.directory import CHEAP, PASSWORD, World, a_client, a_key, a_service, a_user, change

SECRET = "a-client-secret-of-some-length"


@pytest.fixture
async def sessions(world: World) -> Sessions:
    return made(world)


def made(world: World, per_login: int = 0) -> Sessions:
    return Sessions(
        world.db,
        world.passwords,
        Attempts(per_login, 0, world.clock.seconds),
        clock=world.clock,
        new_id=uuid4,
        life=timedelta(hours=1),
        forget=world.credentials.forget_account,
        second=world.second,
    )


def a_login() -> str:
    """A login that no other test uses: the database is shared, and logins are looked up across tenants."""
    return f"ana-{uuid4().hex}@acme.example"


async def opened(sessions: Sessions, login: str, password: str = PASSWORD, tenant: UUID | None = None) -> Opened:
    return await sessions.by_password(tenant, login, password, address="")


async def actor(world: World, got: Opened) -> Actor:
    return await world.credentials.actor(got.token, surface="", address="")


async def test_a_login_and_a_password_find_their_tenant(
    world: World, sessions: Sessions, tenant: UUID, olu: UUID
) -> None:
    login = a_login()
    ana = await a_user(world.db, tenant, login, roles=[("manager", ["workflow:read"])])
    await a_user(world.db, olu, login, password_hash=CHEAP.hash("another"))

    got = await opened(sessions, login.upper())

    assert (got.account, got.tenant, got.expires_in_s) == (ana, tenant, 3600)
    caller = await actor(world, got)
    assert (caller.principal, caller.tenant, caller.permissions) == (ana, tenant, frozenset({"workflow:read"}))
    assert caller.how.kind == "session"
    assert got.token not in repr(got)


async def test_a_login_and_password_of_several_tenants_need_the_tenant_named(
    world: World, sessions: Sessions, tenant: UUID, olu: UUID
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    other = await a_user(world.db, olu, login)

    with pytest.raises(TenantNotFound):
        await opened(sessions, login)
    assert (await opened(sessions, login, tenant=olu)).account == other


async def test_a_wrong_password_an_unknown_login_and_another_tenant_are_refused_alike(
    world: World, sessions: Sessions, tenant: UUID, olu: UUID
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)

    for name, password, named in ((login, "wrong", None), (a_login(), PASSWORD, None), (login, PASSWORD, olu)):
        with pytest.raises(InvalidCredentials):
            await opened(sessions, name, password, named)


@pytest.mark.parametrize(("status", "refusal"), [("suspended", AccountSuspended), ("inactive", AccountNotVerified)])
async def test_that_an_account_is_not_active_is_said_only_after_the_right_password(
    world: World, sessions: Sessions, tenant: UUID, status: str, refusal: type[Exception]
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login, status=status)

    with pytest.raises(InvalidCredentials):
        await opened(sessions, login, "wrong")
    with pytest.raises(refusal):
        await opened(sessions, login)


async def test_after_five_wrong_passwords_that_is_said_of_any_login_whether_or_not_there_is_one(
    world: World, sessions: Sessions, tenant: UUID, olu: UUID
) -> None:
    login, nobodys = a_login(), a_login()
    ana = await a_user(world.db, tenant, login)

    for tried in (login, nobodys):
        for named in (None, tenant, olu):
            for _ in range(5):
                with pytest.raises(InvalidCredentials):
                    await opened(sessions, tried, "wrong", named)
            with pytest.raises(LockedOut) as locked:
                await opened(sessions, tried.upper(), PASSWORD, named)
            assert locked.value.retry_after_s == 300
    world.clock.passes(minutes=5)

    assert (await opened(sessions, login)).account == ana
    with pytest.raises(InvalidCredentials):
        await opened(sessions, nobodys)


async def test_a_right_password_begins_the_count_anew(world: World, sessions: Sessions, tenant: UUID) -> None:
    login = a_login()
    ana = await a_user(world.db, tenant, login)

    for _ in range(2):
        for _ in range(4):
            with pytest.raises(InvalidCredentials):
                await opened(sessions, login, "wrong")
        assert (await opened(sessions, login)).account == ana


async def test_attempts_are_counted_before_anything_is_looked_up(world: World, tenant: UUID) -> None:
    sessions, login = made(world, per_login=1), a_login()
    with pytest.raises(InvalidCredentials):
        await opened(sessions, login, "wrong")

    with pytest.raises(TooOften):
        await opened(sessions, login)


async def test_a_program_opens_a_session_with_any_of_its_keys_and_clients(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    bot = await a_service(world.db, tenant, permissions=["workflow:write"])
    _, key = await a_key(world.db, tenant, bot)
    await a_client(world.db, tenant, bot, "bot", SECRET)

    for secret in (key, SECRET):
        caller = await actor(world, await sessions.by_secret(bot, secret, address=""))
        assert (caller.principal, caller.is_service, caller.permissions) == (bot, True, frozenset({"workflow:write"}))


async def test_a_secret_opens_nothing_under_anothers_id(
    world: World, sessions: Sessions, tenant: UUID, olu: UUID
) -> None:
    bot, theirs = await a_service(world.db, tenant), await a_service(world.db, olu)
    _, key = await a_key(world.db, tenant, bot)

    for service in (theirs, uuid4()):
        with pytest.raises(InvalidCredentials):
            await sessions.by_secret(service, key, address="")
        with pytest.raises(NotSignedIn):
            await world.credentials.program(service, key, surface="", address="")


async def test_a_users_key_opens_no_session_of_a_program(world: World, sessions: Sessions, tenant: UUID) -> None:
    ana = await a_user(world.db, tenant)
    _, key = await a_key(world.db, tenant, ana)

    with pytest.raises(InvalidCredentials):
        await sessions.by_secret(ana, key, address="")
    with pytest.raises(NotSignedIn):
        await world.credentials.program(ana, key, surface="", address="")


async def test_a_program_may_be_named_instead(world: World, sessions: Sessions, tenant: UUID, olu: UUID) -> None:
    bot = await a_service(world.db, tenant)
    _, key = await a_key(world.db, tenant, bot)

    assert (await sessions.by_name(tenant, f"ci-{bot}", key, address="")).account == bot
    for named, name in ((tenant, "ci"), (olu, f"ci-{bot}")):
        with pytest.raises(InvalidCredentials):
            await sessions.by_name(named, name, key, address="")


async def test_a_session_dies_with_the_key_that_opened_it(world: World, sessions: Sessions, tenant: UUID) -> None:
    bot = await a_service(world.db, tenant)
    key_id, key = await a_key(world.db, tenant, bot)
    got = await sessions.by_secret(bot, key, address="")

    await change(world.db, tenant, "UPDATE credential SET revoked_at = now() WHERE tenant_id = $1 AND id = $2", key_id)

    with pytest.raises(NotSignedIn):
        await actor(world, got)


async def test_a_session_dies_with_the_password_that_opened_it(world: World, sessions: Sessions, tenant: UUID) -> None:
    login = a_login()
    ana = await a_user(world.db, tenant, login)
    got = await opened(sessions, login)

    await change(
        world.db,
        tenant,
        "UPDATE principal SET password_stamp = gen_random_uuid() WHERE tenant_id = $1 AND id = $2",
        ana,
    )

    with pytest.raises(NotSignedIn):
        await actor(world, got)


async def test_a_session_lasts_its_life_from_when_it_was_last_prolonged(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    got = await opened(sessions, login)

    world.clock.passes(minutes=50)
    await sessions.prolong(await actor(world, got))
    world.clock.passes(minutes=59)
    await actor(world, got)
    world.clock.passes(minutes=1)

    with pytest.raises(NotSignedIn):
        await actor(world, got)


async def test_a_session_prolonged_elsewhere_counts_here(world: World, sessions: Sessions, tenant: UUID) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    got = await opened(sessions, login)
    caller = await actor(world, got)
    async with world.db.tx({tenant}) as tx:
        assert caller.how.credential is not None
        await store.prolong_session(tx, tenant, caller.how.credential, world.clock() + timedelta(hours=2))

    world.clock.passes(minutes=61)

    await actor(world, got)


async def test_ending_one_session_leaves_the_others(world: World, sessions: Sessions, tenant: UUID) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    one, other = await opened(sessions, login), await opened(sessions, login)

    await sessions.end(await actor(world, one))

    with pytest.raises(NotSignedIn):
        await actor(world, one)
    await actor(world, other)


async def test_a_program_may_open_another_session_and_a_person_may_not(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    bot = await a_service(world.db, tenant)
    _, key = await a_key(world.db, tenant, bot)
    by_key = await world.credentials.program(bot, key, surface="", address="")

    first = await sessions.again(by_key)
    second = await sessions.again(await actor(world, first))

    assert first.token != second.token
    assert (await actor(world, second)).principal == bot
    with pytest.raises(NoSession):
        await sessions.again(await actor(world, await opened(sessions, login)))


async def test_only_a_call_made_in_a_session_can_prolong_or_end_it(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    bot = await a_service(world.db, tenant)
    _, key = await a_key(world.db, tenant, bot)
    caller = await world.credentials.program(bot, key, surface="", address="")

    for act in (sessions.prolong, sessions.end):
        with pytest.raises(NoSession):
            await act(caller)


async def test_a_token_with_one_letter_changed_opens_nothing_and_neither_does_the_session_elsewhere(
    world: World, sessions: Sessions, tenant: UUID, olu: UUID
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    got = await opened(sessions, login)

    last = "a" if got.token[-1] != "a" else "b"
    for token in (got.token[:-1] + last, got.token.replace(tenant.hex, olu.hex), "qs_x_y_z", "qs_"):
        with pytest.raises(NotSignedIn):
            await world.credentials.actor(token, surface="", address="")
    with pytest.raises(InvalidCredentials):
        await world.signin.refresh("qr_" + got.token.removeprefix("qs_"), address="")


async def test_a_session_that_awaits_a_second_factor_opens_nothing(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    got = await opened(sessions, login)
    await change(world.db, tenant, "UPDATE session SET awaits_factor = true WHERE tenant_id = $1")

    with pytest.raises(NotSignedIn):
        await actor(world, got)
