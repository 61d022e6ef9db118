"""What a list of requests may be narrowed down to: who has to do with them, and what they say."""

import enum
from collections.abc import Iterator
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

DEFAULT_PRIORITY = "MEDIUM"


class Party(enum.StrEnum):
    """What somebody can have to do with a request.

    An approver can decide its open step now, or has used or given away a say in it (through a service or a delegate
    too), or was named, as user or service, in a step that is over.
    """

    REQUESTER = "requester"
    BENEFICIARY = "beneficiary"
    CAN_DECIDE = "can_decide"
    APPROVER = "approver"
    INVOLVED = "involved"  # Any of these.


class Of(Struct, frozen=True):
    """Requests that this person has to do with. `person` None: whoever asks."""

    party: Party
    person: UUID | None = None


class Field(enum.StrEnum):
    """What there is to compare. `STATUS` is the one shown now; of `DECIDED_AT` there are as many as decisions.

    `TARGET_WITHIN`: what the resource it stands under goes by; `TARGET_PATH`: that and what it goes by itself, with a
    slash between. `ACCESS`: what became of the access that was given: active, expired or revoked. `WAIVED` is there
    where nobody had to approve.
    """

    ID = "id"
    KIND = "kind"
    STATUS = "status"
    TITLE = "title"
    DESCRIPTION = "description"
    PRIORITY = "priority"
    REQUESTER = "requester"
    BENEFICIARY = "beneficiary"
    TARGET_TYPE = "target_type"
    TARGET_ID = "target_id"
    TARGET_NAME = "target_name"
    TARGET_OWN_TYPE = "target_own_type"
    TARGET_WITHIN = "target_within"
    TARGET_WITHIN_NAME = "target_within_name"
    TARGET_PATH = "target_path"
    REQUESTER_LOGIN = "requester_login"
    JUSTIFICATION = "justification"
    TRACKING = "tracking"
    ACCESS = "access"
    WAIVED = "waived"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    DUE_AT = "due_at"
    CLOSED_AT = "closed_at"
    DECIDED_AT = "decided_at"

    @property
    def is_moment(self) -> bool:
        return self.value.endswith("_at")


class Detail(Struct, frozen=True):
    """A text among the caller's own details of a request: `references`, `id` is the id of each of the references."""

    path: tuple[str, ...]


class Compare(enum.StrEnum):
    """How: texts without regard to case, moments to the millisecond. What is not there compares with nothing.

    `CONTAINS` and `STARTS` take a moment as it is written: `2026-03-02T12:00:00.000Z`.
    """

    EQUAL = "="
    DIFFERS = "<>"  # From all of the values.
    CONTAINS = "contains"
    STARTS = "starts"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    PRESENT = "present"


class Says(Struct, frozen=True):
    """A comparison that holds for any value of the field, with any of `values` (none for `PRESENT`)."""

    field: Field | Detail
    compare: Compare
    values: tuple[str | datetime, ...] = ()


class Every(Struct, frozen=True):
    """All of these hold; of none, always."""

    members: "tuple[Condition, ...]" = ()


class Some(Struct, frozen=True):
    """One of these holds; of none, never."""

    members: "tuple[Condition, ...]" = ()


class Not(Struct, frozen=True):
    member: "Condition"


Condition: TypeAlias = Says | Of | Every | Some | Not

ALWAYS, NEVER = Every(), Some()


def parties(condition: Condition) -> Iterator[Of]:
    """Name the people a condition asks about."""
    match condition:
        case Of():
            yield condition
        case Every(members) | Some(members):
            for member in members:
                yield from parties(member)
        case Not(member):
            yield from parties(member)
        case Says():
            pass
