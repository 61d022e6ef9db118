"""One-time codes by the book, public keys both ways, and sessions that wait for a second factor."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

from quorate.app.actor import NotSignedIn
from quorate.app.second_step import SecondFactor
from quorate.app.sessions import Opened, Sessions
from quorate.app.signin import InvalidCredentials
from quorate.app.verify import jwk, totp
from quorate.domain.refusals import LockedOut
from quorate.store import factors
from quorate.store.factors import StoredTotp
from tests.app.directory import PASSWORD, SEALER, World, a_user
from tests.app.test_sessions import a_login, actor, made, opened

SECRET = b"12345678901234567890"


@pytest.fixture
async def sessions(world: World) -> Sessions:
    return made(world)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)

    assert totp.code(SECRET, totp.period_of(at)) == code
    assert totp.period_shown(SECRET, f"{code[:3]} {code[3:]}", at, 0) == seconds // 30


def test_a_code_of_the_period_before_or_after_counts_and_none_further_away_or_used() -> None:
    at = datetime.fromtimestamp(3000, UTC)

    counts = [totp.period_shown(SECRET, totp.code(SECRET, period), at, 99) for period in range(97, 104)]

    assert counts == [None, None, None, 100, 101, None, None]
    for odd in ("", "1", "1234567", "äöü", "٣٤٥٦٧٨"):
        assert totp.period_shown(SECRET, odd, at, 0) is None


def test_public_keys_go_to_cose_and_back() -> None:
    one = ec.generate_private_key(ec.SECP521R1()).public_key().public_numbers()
    other = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    point = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()

    def text(number: int, length: int) -> str:
        return jwk.as_base64url(number.to_bytes(length, "big"))

    for key in (
        {"kty": "EC", "crv": "P-521", "x": text(one.x, 66), "y": text(one.y, 66)},
        {"kty": "RSA", "n": text(other.n, 256), "e": "AQAB"},
        {"kty": "OKP", "crv": "Ed25519", "x": jwk.as_base64url(point)},
    ):
        cose = jwk.to_cose(key)
        assert jwk.from_cose(cose) == key
        assert decoded_public_key_to_cryptography(decode_credential_public_key(cose)) is not None
    odd = {"kty": "EC", "crv": "P-1", "x": "", "y": ""}
    for bad in ({}, {"kty": "oct", "k": "AAAA"}, {"kty": "EC", "crv": "P-256"}, odd):
        with pytest.raises(jwk.BadKey):
            jwk.to_cose(bad)
        with pytest.raises(jwk.BadKey):
            jwk.p256(bad)
    for rubbish in (b"", b"\xff", b"\xa0", b"\xa1\x01\x02"):
        with pytest.raises(jwk.BadKey):
            jwk.from_cose(rubbish)


async def with_an_app(world: World, tenant: UUID) -> str:
    """Make a user with an app; answers the login."""
    login = a_login()
    user = await a_user(world.db, tenant, login)
    sealed = SEALER.seal(SECRET, tenant=tenant, purpose=f"totp of {user}")
    async with world.db.tx([tenant]) as tx:
        await factors.put_totp(tx, tenant, user, StoredTotp(uuid4(), sealed, 0, world.clock(), None))
    return login


def code(world: World, later: int = 0) -> SecondFactor:
    return SecondFactor(totp=totp.code(SECRET, totp.period_of(world.clock()) + later))


async def waiting(sessions: Sessions, login: str) -> Opened:
    got = await opened(sessions, login)
    assert got.awaits_factor
    return got


async def test_a_session_that_waits_for_a_second_factor_opens_nothing_until_it_is_shown(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    got = await waiting(sessions, await with_an_app(world, tenant))
    with pytest.raises(NotSignedIn):
        await actor(world, got)

    await sessions.show_factor(got.token, code(world), address="")

    assert (await actor(world, got)).principal == got.account
    with pytest.raises(InvalidCredentials):
        await sessions.show_factor(got.token, code(world, later=1), address="")


async def test_a_wrong_or_late_second_factor_ends_the_session_that_waits(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    login = await with_an_app(world, tenant)
    wrong, late, forged = [await waiting(sessions, login) for _ in range(3)]

    for got, shown in ((wrong, SecondFactor(totp="x")), (wrong, code(world)), (forged, SecondFactor())):
        with pytest.raises(InvalidCredentials):
            await sessions.show_factor(got.token, shown, address="")
    world.clock.passes(minutes=5)
    for token in (late.token, forged.token[:-1] + "!", "qs_x", "nonsense"):
        with pytest.raises(InvalidCredentials):
            await sessions.show_factor(token, code(world), address="")
    for got in (wrong, late, forged):
        with pytest.raises(NotSignedIn):
            await actor(world, got)


async def test_two_who_show_one_code_at_once_get_one_session(world: World, sessions: Sessions, tenant: UUID) -> None:
    login = await with_an_app(world, tenant)
    first, second = await waiting(sessions, login), await waiting(sessions, login)

    await sessions.show_factor(first.token, code(world), address="")
    with pytest.raises(InvalidCredentials):
        await sessions.show_factor(second.token, code(world), address="")


async def test_after_five_wrong_passwords_no_password_opens_a_session_for_five_minutes(
    world: World, sessions: Sessions, tenant: UUID
) -> None:
    login = a_login()
    await a_user(world.db, tenant, login)
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            await opened(sessions, login, "wrong")

    with pytest.raises(LockedOut):
        await opened(sessions, login, PASSWORD)
    world.clock.passes(minutes=5)
    assert (await opened(sessions, login, PASSWORD)).awaits_factor is False
