"""Keys of issuers, and the way to them. Signing in with them over HTTP: tests/surfaces/jitsudo/test_oidc.py."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from quorate.app.oidc.issuers import Issuers, ProviderAway
from quorate.app.oidc.keys import MOST_KEYS, fitting, read_keys
from quorate.app.outgoing import Outgoing
from tests.app.directory import Clock
from tests.receiver import receiving

STRONG = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)
EDWARDS = ed25519.Ed25519PrivateKey.generate()

USELESS: dict[str, Any] = {
    "nothing": {},
    "no object": "key",
    "a shared secret": {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode(), "alg": "HS256"},
    "a weak one": RSAAlgorithm.to_jwk(
        rsa.generate_private_key(65537, 1024).public_key(),  # noqa: S505  # That is the point.
        as_dict=True,
    ),
    "one to encrypt with": STRONG | {"use": "enc"},
    "one for another algorithm": STRONG | {"alg": "RS512"},
    "one for a shared secret, it says": STRONG | {"alg": "HS256"},
    "a name that is no text": STRONG | {"kid": 7},
    "a broken one": STRONG | {"n": "!"},
    "another curve": ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True),
    "another Edwards curve": OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True),
    "a private one": OKPAlgorithm.to_jwk(EDWARDS, as_dict=True),
}


@pytest.mark.parametrize("which", USELESS)
def test_a_key_that_signs_nothing_for_us_is_passed_over(which: str) -> None:
    good = STRONG | {"kid": "good"}

    assert [key.id for key in read_keys([USELESS[which], good])] == ["good"]


def test_which_algorithm_a_key_is_for_follows_from_the_key() -> None:
    curve = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    edwards = OKPAlgorithm.to_jwk(EDWARDS.public_key(), as_dict=True)

    assert [key.algorithm for key in read_keys([STRONG, curve, edwards])] == ["RS256", "ES256", "EdDSA"]


def test_a_token_that_names_no_key_means_the_only_one_there_is_for_its_algorithm() -> None:
    one = read_keys([STRONG | {"kid": "a"}])
    two = read_keys([STRONG | {"kid": "a"}, STRONG | {"kid": "b"}])

    assert fitting(one, None, "RS256") is one[0]
    assert fitting(two, None, "RS256") is None
    assert fitting(two, "b", "RS256") is two[1]
    for algorithm in ("none", "HS256", "ES256"):
        assert fitting(one, "a", algorithm) is None


def test_no_more_keys_are_read_than_anybody_needs() -> None:
    assert len(read_keys([STRONG] * (MOST_KEYS + 5))) == MOST_KEYS


async def test_an_issuer_whose_name_leads_to_a_private_address_is_not_called() -> None:
    async with receiving() as receiver:

        async def resolve(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        outgoing = Outgoing(allow_private=False, resolve=resolve)
        issuers = Issuers(outgoing, clock=Clock(), allow_private=False)
        for issuer in (f"https://login.test:{receiver.port}", f"http://login.test:{receiver.port}", receiver.url("")):
            with pytest.raises(ProviderAway):
                await issuers.endpoints(issuer)
        await outgoing.close()

        assert receiver.got == []
