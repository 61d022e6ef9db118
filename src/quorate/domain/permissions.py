"""What a role or a service may be allowed to do, by name."""

from collections.abc import Iterable
from typing import Final

ADMIN: Final = "admin"  # All of them, the ones still to be invented included.
REQUEST_APPROVE: Final = "request:approve"
REQUEST_FOR_OTHERS: Final = "request:for-others"
WORKFLOW_READ: Final = "workflow:read"
WORKFLOW_WRITE: Final = "workflow:write"

KNOWN: Final[frozenset[str]] = frozenset(
    {
        ADMIN,
        REQUEST_APPROVE,
        REQUEST_FOR_OTHERS,
        WORKFLOW_READ,
        WORKFLOW_WRITE,
        "act:for",
        "audit:read",
        "directory:read",
        "directory:write",
        "grant:revoke",
        "key:write",
        "policy:write",
        "webhook:write",
    }
)


def allows(held: Iterable[str], wanted: str) -> bool:
    """Say whether these permissions include the wanted one; `admin` includes every one."""
    held = held if isinstance(held, frozenset | set) else frozenset(held)
    return wanted in held or ADMIN in held
