from uuid import uuid4

import pytest

from quorate.app.keys import BadSecret, demand_usable, mint, secret_hash


def test_a_minted_key_names_its_credential_and_is_never_the_same_twice() -> None:
    credential = uuid4()

    assert mint(credential).startswith(f"qk_{credential.hex}_")
    assert mint(credential) != mint(credential)
    assert demand_usable(mint(credential))


def test_any_given_secret_of_twenty_characters_works() -> None:
    assert demand_usable("a-test-key-1234567890")
    assert len(secret_hash("a-test-key-1234567890")) == 32


@pytest.mark.parametrize(
    "secret", ["short-secret-here", "x" * 513, "spaces are not for headers", "größer-als-zwanzig-zeichen"]
)
def test_a_secret_that_could_be_guessed_or_not_be_sent_is_refused_unrepeated(secret: str) -> None:
    with pytest.raises(BadSecret) as refused:
        demand_usable(secret)

    assert secret not in str(refused.value)
