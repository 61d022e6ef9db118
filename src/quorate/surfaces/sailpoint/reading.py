"""Reading what SailPoint's clients send. Source: SailPoint contract §2, §4, §5."""

from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from quorate.app.actor import Actor
from quorate.app.listing import Sort
from quorate.domain.conditions import Condition, Field
from quorate.domain.permissions import WORKFLOW_WRITE
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.signin import by_bearer
from quorate.surfaces.sailpoint import filters
from quorate.surfaces.sailpoint.grammar import BadFilter
from quorate.surfaces.sailpoint.services import SURFACE, Call

MOST_AT_ONCE: Final = 50  # ids in a bulk call
PAGE: Final = 250
OLDEST_FIRST: Final = (Sort(Field.CREATED_AT),)
_OMIT: Final = "X-Compat-Omit"

Bool = Literal["true", "false"]
Note = Annotated[str, Meta(max_length=4000)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Value = Annotated[str, Meta(max_length=4000)]
Attributes = Annotated[dict[Name, Value], Meta(max_length=100)]


class Approve(Struct, frozen=True, rename="camel"):
    comment: Note | None = None
    additional_attributes: Attributes | None = None
    override_approver_id: str | None = field(name="overrideApproverID", default=None)


class Reject(Struct, frozen=True):
    comment: Note | None = None
    override_approver_id: str | None = field(name="overrideApproverID", default=None)


class Remark(Struct, frozen=True):
    comment: Annotated[str, Meta(min_length=1, max_length=4000)]


class Annotation(Struct, frozen=True, rename="camel"):
    additional_attributes: Attributes = {}
    remove_attribute_keys: Annotated[list[Name], Meta(max_length=100)] = []
    comment: Note | None = None


class Reassign(Struct, frozen=True, rename="camel"):
    reassign_to: str
    reassign_from: str | None = None
    comment: Note | None = None


class Cancel(Struct, frozen=True):
    comment: Note | None = None


class Bulk(Struct, frozen=True, rename="camel"):
    approval_ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_AT_ONCE)]
    comment: Note | None = None


class BulkApprove(Bulk, frozen=True, rename="camel"):
    additional_attributes: Attributes | None = None


class BulkReassign(Bulk, frozen=True, kw_only=True, rename="camel"):
    reassign_from: str
    reassign_to: str


class ListFilter(Struct, frozen=True, rename="camel"):
    """The parameters of the list, as they stand in the query."""

    mine: Bool | None = None
    requester_id: str | None = None
    requestee_id: str | None = None
    approver_id: str | None = None
    limit: Annotated[int, Meta(ge=0, le=PAGE)] = PAGE
    offset: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    count: Bool = "false"
    count_only: Bool = field(name="count-only", default="false")
    include_comments: Bool = field(name="include-comments", default="false")
    include_approvers: Bool = field(name="include-approvers", default="false")
    include_reassignment_history: Bool = field(name="include-reassignment-history", default="false")
    include_batch_info: Bool = field(name="include-batch-info", default="false")
    filters: str | None = None
    sorters: str | None = None

    @property
    def names_nobody(self) -> bool:
        return not (self.mine or self.requester_id or self.requestee_id or self.approver_id)

    def order(self) -> tuple[Sort, ...]:
        """Read the sorters. Raises `BadInput`."""
        try:
            return filters.order(self.sorters) if self.sorters else OLDEST_FIRST
        except BadFilter as bad:
            raise BadInput.at("sorters", str(bad)) from None

    def condition(self, *, first_shape: bool) -> Condition | None:
        """Read the filter. Raises `BadInput`."""
        try:
            return filters.condition(self.filters, first_shape=first_shape) if self.filters else None
        except BadFilter as bad:
            raise BadInput.at("filters", str(bad)) from None


async def sign_in(http: Call) -> Actor:
    """Sign in by a bearer token or key, and count the call. Raises: as `by_bearer`; TooOften."""
    actor = await by_bearer(http, SURFACE)
    http.services.limit.take(str(actor.how.credential or actor.principal))
    return actor


def is_admin(http: Call) -> bool:
    """Say whether the caller is what the vendor calls an administrator. Source: design §6."""
    return http.actor.may(WORKFLOW_WRITE)


def as_id(text: str) -> UUID | None:
    """Read an id as we spell them; anything else names nobody and nothing."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def said(comment: str | None) -> str | None:
    """Give a comment that says something. Source: SailPoint contract §9, row 8."""
    return comment if comment and comment.strip() else None


def omitted(http: Call) -> frozenset[str]:
    """Name the fields that the caller's SDK cannot read. Source: SailPoint contract §2, our own header."""
    return frozenset(name.strip() for value in http.headers.getlist(_OMIT) for name in value.split(",") if name.strip())
