"""The vendor's words for our things. Source: SailPoint contract §4, §6, §7, §9; design §6."""

from collections.abc import Mapping
from typing import Final

from quorate.domain.events import Filing, Outcome, RequestKind
from quorate.domain.workflows import Count, Kind, Unit

STATUS: Final[Mapping[Outcome, str]] = {
    Outcome.PENDING: "PENDING",
    Outcome.APPROVED: "APPROVED",
    Outcome.REJECTED: "REJECTED",
    Outcome.EXPIRED: "EXPIRED",
    Outcome.CANCELLED: "CANCELLED",
}
# The first shape knows three words. Source: SailPoint contract §7.
STATUS_FIRST: Final[Mapping[Outcome, str]] = {
    **STATUS,
    Outcome.EXPIRED: "REJECTED",
    Outcome.CANCELLED: "REJECTED",
}
PASSED: Final = "PASSED"  # In the first shape it is APPROVED. Source: as above.

ACCESS_TYPE: Final = "ACCESS_REQUEST_APPROVAL"
GENERIC_TYPE: Final = "GENERIC_APPROVAL"
REFERENCE_TYPE: Final = "AccessRequestId"
REQUEST_TYPE: Final = "GRANT_ACCESS"
IDENTITY: Final = "IDENTITY"
MANAGER_OF_ASKER: Final = "MANAGER_OF_REQUESTER"
TARGET_OWNER: Final = "REQUESTED_TARGET_OWNER"

# The vendor has no approver that is a role or whoever holds a permission; a governance group is the nearest.
IDENTITY_TYPE: Final[Mapping[Kind, str]] = {
    Kind.USER: IDENTITY,
    Kind.SERVICE: IDENTITY,
    Kind.GROUP: "GOVERNANCE_GROUP",
    Kind.ROLE: "GOVERNANCE_GROUP",
    Kind.HOLDER: "GOVERNANCE_GROUP",
    Kind.MANAGER: "MANAGER_OF",
    Kind.OWNER: TARGET_OWNER,
}

_COUNTED: Final = {1: "SINGLE", 2: "DOUBLE", 3: "TRIPLE"}
_PARTS: Final = {25: "QUARTER", 50: "HALF", 100: "ALL"}


def type_of(filing: Filing) -> str:
    """Give an approval's type: the one it was filed with, else that of its kind."""
    usual = ACCESS_TYPE if filing.kind is RequestKind.ACCESS else GENERIC_TYPE
    given = filing.details.get("type")
    return given if isinstance(given, str) else usual


def criterion(count: Count, needed: int) -> str:
    """Give the first shape's word for what a step needs; for what it has no word for, the nearest that asks more."""
    if count.unit is Unit.PERCENT:
        return next(word for part, word in _PARTS.items() if count.value <= part)
    return _COUNTED.get(count.value) or _COUNTED.get(needed) or "ALL"


def calculation(count: Count) -> tuple[str, int]:
    """Give the current shape's words for what a node needs."""
    return ("PERCENT" if count.unit is Unit.PERCENT else "COUNT"), count.value
