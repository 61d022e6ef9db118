"""Who calls, as every use case is told it. However they proved it, the answer has one shape."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from quorate.app.operations.mandate import Mandate
from quorate.domain.permissions import allows
from quorate.domain.refusals import NotPermitted, Refusal

CredentialKind = Literal["key", "token", "session", "client", "operation"]


@dataclass(frozen=True, slots=True)
class How:
    """How a caller proved who they are, kept with everything they do.

    `credential` is the id of the stored credential (of a key, or of the secret a token was given for);
    None for a password, and for an approved operation. `agent`: what the caller's program says it is, read only where
    it is told (`app.gate`).
    """

    credential: UUID | None
    kind: CredentialKind
    surface: str
    address: str
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in user or service. Permissions are those of the directory, a few seconds old at most.

    They are for the look before work begins; what changes a request is authorised again inside its
    transaction. `mandate`: an approved operation is being carried out in the actor's name.
    """

    tenant: UUID
    principal: UUID
    permissions: frozenset[str]
    how: How
    is_service: bool = False
    mandate: Mandate | None = None

    def may(self, permission: str) -> bool:
        return allows(self.permissions, permission)

    def demand(self, permission: str) -> None:
        """Raise `NotPermitted` unless the actor holds the permission."""
        if not self.may(permission):
            raise NotPermitted(permission)


@dataclass(eq=False)
class NotSignedIn(Refusal):
    """No credential, or none that counts. `why`, told to whoever holds it: unknown (or its owner may not act), expired
    or revoked."""

    code = "not_signed_in"
    why: str = "unknown"


@dataclass(eq=False)
class OtherTenant(Refusal):
    """The credential is good, but the call names another tenant."""

    code = "other_tenant"
