"""What a role or a service may be allowed to do, by name."""

from collections.abc import Iterable, Mapping
from typing import Final

ACT_FOR: Final = "act:for"  # Of a program: to pass on what its users decide.
ADMIN: Final = "admin"  # All of them, the ones still to be invented included.
AUDIT_READ: Final = "audit:read"
DIRECTORY_READ: Final = "directory:read"
DIRECTORY_WRITE: Final = "directory:write"
GRANT_REVOKE: Final = "grant:revoke"
KEY_WRITE: Final = "key:write"
REQUEST_APPROVE: Final = "request:approve"
REQUEST_FOR_OTHERS: Final = "request:for-others"
WEBHOOK_WRITE: Final = "webhook:write"
WORKFLOW_READ: Final = "workflow:read"
WORKFLOW_WRITE: Final = "workflow:write"

KNOWN: Final[frozenset[str]] = frozenset(
    {
        ACT_FOR,
        ADMIN,
        AUDIT_READ,
        DIRECTORY_READ,
        DIRECTORY_WRITE,
        GRANT_REVOKE,
        KEY_WRITE,
        REQUEST_APPROVE,
        REQUEST_FOR_OTHERS,
        WEBHOOK_WRITE,
        WORKFLOW_READ,
        WORKFLOW_WRITE,
        "policy:write",
    }
)


USUAL: Final[Mapping[str, tuple[str, ...]]] = {"admin": (REQUEST_APPROVE,), "approver": (REQUEST_APPROVE,)}
"""What a new role of this name carries where nothing is said. Source: JITSudo contract (d) 2."""


def allows(held: Iterable[str], wanted: str) -> bool:
    """Say whether these permissions include the wanted one; `admin` includes every one."""
    held = held if isinstance(held, frozenset | set) else frozenset(held)
    return wanted in held or ADMIN in held
