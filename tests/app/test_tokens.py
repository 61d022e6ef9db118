import asyncio
import base64
import hmac
import os
from typing import Any
from uuid import UUID, uuid4

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from quorate.app.actor import NotSignedIn
from quorate.app.seal import BadSecretKey, Sealer
from quorate.app.tokens import ACCESS, Tokens
from quorate.store import signing
from tests.app.directory import ISSUER, SEALER, World

TENANT, ANA = uuid4(), uuid4()
CLAIMS = {"sub": str(ANA), "tenant_id": str(TENANT), "roles": ["admin"], "permissions": ["admin"]}


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a token, unverified."""
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def b64(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def signed_by_hmac(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A token whose "secret" is a public key, for verifiers that let the token choose the algorithm."""
    text = f"{b64(header)}.{b64(claims)}"
    signature = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_a_token_says_whose_it_is_and_what_stands_behind_it(world: World) -> None:
    session = uuid4()
    issued = world.tokens.access(CLAIMS, session=session)

    claims = await world.tokens.verify(issued.token)

    assert (claims.tenant, claims.subject, claims.session, claims.credential) == (TENANT, ANA, session, None)
    header, written = parts(issued.token)
    assert header["alg"] == "RS256"
    assert {"sub", "iss", "aud", "exp", "iat", "jti", "tenant_id", "roles", "permissions"} <= set(written)
    assert written["exp"] - written["iat"] == issued.expires_in_s == 3600
    assert issued.token not in repr(issued)


async def test_a_token_counts_until_it_expires_and_no_second_longer(world: World) -> None:
    token = world.tokens.access(CLAIMS).token
    world.clock.passes(seconds=3598)
    await world.tokens.verify(token)
    world.clock.passes(seconds=2)

    with pytest.raises(NotSignedIn):
        await world.tokens.verify(token)


async def test_an_id_token_opens_nothing(world: World) -> None:
    with pytest.raises(NotSignedIn):
        await world.tokens.verify(world.tokens.identity(CLAIMS).token)


async def test_a_token_of_another_issuer_is_refused(world: World) -> None:
    other = Tokens(world.db, SEALER, issuer="https://other.test", life=world.tokens._life, clock=world.clock)
    await other.start()

    with pytest.raises(NotSignedIn):
        await world.tokens.verify(other.access(CLAIMS).token)


async def test_nothing_but_our_signature_makes_a_token(world: World) -> None:
    good = world.tokens.access(CLAIMS).token
    header, claims = parts(good)
    body, signature = good.split(".")[1:]
    foreign = generate_private_key(65537, 2048)
    public = jwt.PyJWK(world.tokens.jwks()["keys"][0]).key
    shared = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for token in (
        f"{b64(header | {'alg': 'none'})}.{body}.",
        f"{b64(header | {'alg': 'none'})}.{body}.{signature}",
        f"{b64(header)}.{b64(claims | {'sub': str(uuid4())})}.{signature}",
        f"{b64(header)}.{body}.",
        f"{b64(header)}.{body}.{signature[:-4]}AAAA",
        jwt.encode(claims, foreign, "RS256", {"kid": header["kid"]}),
        jwt.encode(claims, foreign, "RS256", {"kid": "unknown"}),
        jwt.encode(claims, foreign, "RS256"),
        jwt.encode(claims, foreign, "RS512", {"kid": header["kid"]}),
        signed_by_hmac(header | {"alg": "HS256"}, claims, shared),
        signed_by_hmac(header, claims, shared),
        f"{b64(header | {'kid': ['a']})}.{body}.{signature}",
        "eyJ..",
        "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
        "a.b.c",
        "",
    ):
        with pytest.raises(NotSignedIn):
            await world.tokens.verify(token)
    assert (await world.tokens.verify(good)).subject == ANA


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "urn:other"},
        {"aud": [ACCESS, "urn:other"]},
        {"iss": "https://other.test"},
        {"sub": "ana"},
        {"tenant_id": "acme"},
        {"exp": "soon"},
        {"exp": 10**30},
        {"sid": 7},
        {"aud": None},
        {"iss": None},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"sub": None},
        {"tenant_id": None},
    ],
)
async def test_a_token_we_signed_with_a_claim_wrong_or_missing_is_refused(wrong: dict[str, Any], world: World) -> None:
    header, claims = parts(world.tokens.access(CLAIMS).token)
    assert world.tokens._signing is not None
    changed = {name: value for name, value in (claims | wrong).items() if value is not None}
    token = jwt.api_jws.encode(
        msgspec.json.encode(changed), world.tokens._signing[1], "RS256", {"kid": header["kid"], "typ": "JWT"}
    )

    with pytest.raises(NotSignedIn):
        await world.tokens.verify(token)


async def test_keys_rotate_and_what_the_old_one_signed_counts_until_it_runs_out(world: World) -> None:
    before = world.tokens.access(CLAIMS).token
    old = parts(before)[0]["kid"]
    new = await world.tokens.rotate()

    world.clock.passes(minutes=30)
    assert (await world.tokens.verify(before)).subject == ANA
    assert parts(world.tokens.access(CLAIMS).token)[0]["kid"] == new
    assert {old, new} <= {key["kid"] for key in world.tokens.jwks()["keys"]}
    world.clock.passes(minutes=32)
    await world.tokens.start()
    assert old not in {key["kid"] for key in world.tokens.jwks()["keys"]}


async def test_another_process_verifies_what_a_new_key_signed_after_asking_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[UUID] = []
    read = signing.keys

    async def counted(*args: Any) -> Any:
        asked.append(uuid4())
        return await read(*args)

    elsewhere = Tokens(world.db, SEALER, issuer=ISSUER, life=world.tokens._life, clock=world.clock)
    await elsewhere.start()
    await world.tokens.rotate()
    token = world.tokens.access(CLAIMS).token
    monkeypatch.setattr(signing, "keys", counted)
    world.clock.passes(seconds=2)

    assert (await elsewhere.verify(token)).subject == ANA
    header, claims = parts(token)
    unknown = jwt.encode(claims, generate_private_key(65537, 2048), "RS256", {"kid": "unknown"})
    for _ in range(20):
        with pytest.raises(NotSignedIn):
            await elsewhere.verify(unknown)

    assert header["kid"] != "unknown"
    assert len(asked) == 1


async def test_two_processes_that_start_at_once_on_an_empty_database_agree(world: World) -> None:
    first, second = [
        Tokens(world.db, SEALER, issuer=ISSUER, life=world.tokens._life, clock=world.clock) for _ in range(2)
    ]
    await asyncio.gather(first.rotate(), second.rotate())
    world.clock.passes(minutes=1)

    for signer, verifier in ((first, second), (second, first)):
        await signer.look()
        assert (await verifier.verify(signer.access(CLAIMS).token)).subject == ANA

    assert first._signing is not None
    assert second._signing is not None
    assert first._signing[0] == second._signing[0]


async def test_public_keys_hold_nothing_private(world: World) -> None:
    for key in world.tokens.jwks()["keys"]:
        assert set(key) == {"kty", "n", "e", "kid", "alg", "use"}


async def test_private_keys_are_sealed_in_the_database(world: World) -> None:
    stored = await signing.keys(world.db)

    assert stored
    for key in stored:
        assert b"PRIVATE" not in key.sealed
        assert SEALER.open(key.sealed, tenant=None, purpose="signing key").startswith(b"\x30\x82")


async def test_a_server_with_another_secret_key_does_not_start(world: World) -> None:
    other = Tokens(world.db, Sealer([os.urandom(32)]), issuer=ISSUER, life=world.tokens._life, clock=world.clock)

    with pytest.raises(BadSecretKey):
        await other.start()


async def test_what_an_older_secret_key_sealed_is_sealed_again(world: World) -> None:
    newer = Sealer([b"n" * 32, bytes(32)])
    rotated = Tokens(world.db, newer, issuer=ISSUER, life=world.tokens._life, clock=world.clock)
    try:
        await rotated.start()
        assert newer.is_current((await signing.keys(world.db))[0].sealed)
    finally:
        back = Tokens(
            world.db, Sealer([bytes(32), b"n" * 32]), issuer=ISSUER, life=world.tokens._life, clock=world.clock
        )
        await back.start()
