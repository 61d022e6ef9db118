import base64
import os
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from quorate.app.seal import BadSecretKey, Sealer, sealer

KEY, NEXT = os.urandom(32), os.urandom(32)


def test_what_was_sealed_opens_for_the_same_tenant_and_purpose_only() -> None:
    tenant, seal = uuid4(), Sealer([KEY])
    sealed = seal.seal(b"whsec_1", tenant=tenant, purpose="webhook")

    assert b"whsec_1" not in sealed
    assert seal.open(sealed, tenant=tenant, purpose="webhook") == b"whsec_1"
    for other in ({"tenant": uuid4(), "purpose": "webhook"}, {"tenant": tenant, "purpose": "connector"}):
        with pytest.raises(BadSecretKey):
            seal.open(sealed, **other)  # type: ignore[arg-type]  # Each is one of the two arguments changed.


def test_a_changed_secret_does_not_open() -> None:
    seal = Sealer([KEY])
    sealed = bytearray(seal.seal(b"secret", tenant=None, purpose="p"))
    sealed[-1] ^= 1

    with pytest.raises(BadSecretKey):
        seal.open(bytes(sealed), tenant=None, purpose="p")


def test_keys_rotate() -> None:
    old, both, new = Sealer([KEY]), Sealer([NEXT, KEY]), Sealer([NEXT])
    sealed = old.seal(b"secret", tenant=None, purpose="p")

    assert both.open(sealed, tenant=None, purpose="p") == b"secret"
    assert not both.is_current(sealed)
    assert both.is_current(both.seal(b"secret", tenant=None, purpose="p"))
    with pytest.raises(BadSecretKey):
        new.open(sealed, tenant=None, purpose="p")


def test_a_key_file_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = sealer(None, tmp_path).seal(b"secret", tenant=None, purpose="p")

    assert sealer(None, tmp_path).open(first, tenant=None, purpose="p") == b"secret"
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", [base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode(), KEY.hex()])
def test_a_key_is_given_as_base64_or_hex(text: str, tmp_path: Path) -> None:
    sealed = Sealer([KEY]).seal(b"secret", tenant=None, purpose="p")

    assert sealer(text, tmp_path).open(sealed, tenant=None, purpose="p") == b"secret"
    assert not (tmp_path / "secret.key").exists()


def test_a_bad_key_is_refused_without_being_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadSecretKey) as refused:
        sealer("hunter2", tmp_path)

    assert "hunter2" not in str(refused.value)
    assert "QUORATE_SECRET_KEY" in str(refused.value)
