"""Pages of a list: by number where a contract says so, by an opaque cursor else."""

import base64
import binascii
from typing import Annotated, Any

import msgspec

from quorate.surfaces.http.problems import BadInput

MOST = 100  # rows a page
Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """The query's `page` and `limit`. Inherit it to add filters. A limit above 100 is 100 (native contract b.4)."""

    page: Number = 1
    limit: Number = 25

    def __post_init__(self) -> None:
        if self.limit > MOST:
            msgspec.structs.force_setattr(self, "limit", MOST)

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


def cursor(*key: Any) -> str:
    """Pack where a page ended, for instance `(created_at, id)`, into text that only `after` reads."""
    return base64.urlsafe_b64encode(_pack(key)).rstrip(b"=").decode()


def after(text: str | None, *kinds: type[Any], name: str = "cursor") -> tuple[Any, ...] | None:
    """Unpack a cursor of values of these kinds, say `datetime, UUID`; None for none.

    A cursor grants nothing: it is a place in a list the caller may read anyway, so it is not signed.

    Raises:
        BadInput: it is not one of ours, or one of another list.
    """
    if text is None:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return msgspec.msgpack.decode(base64.b64decode(padded, b"-_", validate=True), type=tuple[kinds])  # type: ignore[valid-type]  # Made at run time.
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise BadInput.at(name, "is not a cursor this list gave out") from None


_pack = msgspec.msgpack.Encoder().encode
