"""What somebody asks for, as it was written, and under which terms."""

from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from quorate.domain.events import Duration

PLAIN: Final = ("role", "group", "resource")


class Terms(Struct, frozen=True):
    """What holds for an asking because of where it is made.

    Args:
        built_in_step: where no workflow governs the target, one holder of `request:approve` decides.
        needs_permit: what no policy permits is refused, and not left to the workflow.
        must_end: where nobody says how long, it lasts as long as the tenant usually gives.
        any_resource: the resource need not be registered.
    """

    built_in_step: bool = False
    needs_permit: bool = False
    must_end: bool = False
    any_resource: bool = False


class AskAccess(Struct, frozen=True):
    """Ask for a role, a group or a resource. `beneficiary` None: for oneself.

    `type` is `role`, `group`, `resource` or a resource's own type. `target` is an id, as it was given; of a resource's
    own type it may be the external id.
    """

    type: str
    target: str
    justification: str | None
    duration: Duration | None = None
    beneficiary: UUID | None = None
    workflow: UUID | None = None
    details: dict[str, Any] = {}
    refuses_duplicates: bool = True
    breaks_glass: bool = False
    action: str | None = None
    metadata: dict[str, Any] = {}
    terms: Terms = Terms()


class Start(Struct, frozen=True):
    """Start a workflow by hand, about anything. `subject` may name a user we know as `userId`."""

    workflow: UUID | str
    subject: dict[str, Any]
    metadata: dict[str, Any] = {}
    details: dict[str, Any] = {}


class AskOperation(Struct, frozen=True):
    """Ask that a call be made. The path is kept as it was given; a leading slash and a query say nothing."""

    method: str
    path: str
    body: Any = None
    description: str | None = None
    details: dict[str, Any] = {}


Asking = AskAccess | Start | AskOperation


def duplicate_key(asking: Asking, actor: UUID) -> str | None:
    """Name what there may be only one open request for. Source: native contract (d) 31."""
    if not isinstance(asking, AskAccess) or asking.breaks_glass or not asking.refuses_duplicates:
        return None
    return f"{asking.beneficiary or actor}:{kind_of(asking)}:{asking.target.lower()}"


def accounts(asking: Asking) -> list[UUID]:
    """Name the accounts that an asking mentions beside whoever asks."""
    if isinstance(asking, AskAccess):
        return [asking.beneficiary] if asking.beneficiary else []
    if isinstance(asking, AskOperation):
        return []
    subject = as_id(asking.subject.get("userId"))
    return [subject] if subject else []


def kind_of(asking: Asking) -> str:
    """Say whether it is about a role, a group or a resource."""
    return asking.type if isinstance(asking, AskAccess) and asking.type in PLAIN else "resource"


def as_id(value: object) -> UUID | None:
    """Read an id in the one spelling we give out; anything else names nothing."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or len(value) != 36:
        return None
    try:
        return UUID(value)
    except ValueError:
        return None
