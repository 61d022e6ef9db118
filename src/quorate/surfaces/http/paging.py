"""Pages of a list, by number. Pages by cursor are sealed: see `app.cursors`."""

from typing import Annotated

import msgspec

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
