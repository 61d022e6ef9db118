"""Where a page of a list ended, sealed: only the one it was given to can use it, and only for the same question."""

import base64
import binascii
from typing import Any, Final

import msgspec

from quorate.app.actor import Actor
from quorate.app.seal import BadSecretKey, Sealer

LONGEST: Final = 2048  # characters


class BadCursor(ValueError):
    """It is none of ours, was changed, is somebody else's, or belongs to another question."""


class Cursors:
    """Gives and takes cursors. `of` names a list and what it was asked for, whatever decides which rows it has."""

    def __init__(self, seal: Sealer) -> None:
        self._seal = seal

    def give(self, actor: Actor, of: str, *place: Any) -> str:
        """Seal the place of the last row that was shown, for instance `(created_at, id)`."""
        sealed = self._seal.seal(_pack(place), tenant=actor.tenant, purpose=_purpose(actor, of))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def take(self, actor: Actor, of: str, cursor: str, *kinds: type[Any]) -> tuple[Any, ...]:
        """Open a cursor of values of these kinds, say `datetime, UUID`. Raises: BadCursor."""
        try:
            if len(cursor) > LONGEST:
                raise BadCursor
            sealed = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
            packed = self._seal.open(sealed, tenant=actor.tenant, purpose=_purpose(actor, of))
            return msgspec.msgpack.decode(packed, type=tuple[kinds])  # type: ignore[valid-type]  # Made at run time.
        except (UnicodeEncodeError, binascii.Error, BadSecretKey, msgspec.MsgspecError) as bad:
            raise BadCursor from bad


def _purpose(actor: Actor, of: str) -> str:
    return f"cursor {actor.principal} {of}"


_pack: Final = msgspec.msgpack.Encoder().encode
