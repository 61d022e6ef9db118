"""What must accompany an approval, and what was shown. The checking itself (argon2, WebAuthn) is the app's."""

from uuid import UUID

from msgspec import Struct


class Demand(Struct, frozen=True, omit_defaults=True):
    """What a node wants of everyone who approves under it."""

    password: bool = False
    second_factor: bool = False

    def __or__(self, other: "Demand") -> "Demand":
        return Demand(self.password or other.password, self.second_factor or other.second_factor)

    def __bool__(self) -> bool:
        return self.password or self.second_factor


NONE = Demand()


class Signed(Struct, frozen=True):
    """What a security key signed for a decision: the SHA-256 of these two, one after the other. Neither is a secret.

    `random` is 32 bytes; `snapshot` is the SHA-256 of the request as its approver saw it. Source: design §7.
    """

    random: bytes
    snapshot: bytes


class Proof(Struct, frozen=True, omit_defaults=True):
    """Evidence that was verified before the door, in a form that shows whether it is still current.

    `password_stamp` is the stamp of the password that was checked: it changes with the password.
    `credential` is the second factor, and `sign_count` what its counter showed: of a security key the number of its
    signatures (0 for ever, if it does not count), of a one-time code the period it is of.
    """

    password_stamp: UUID | None = None
    credential: UUID | None = None
    sign_count: int = 0
    signed: Signed | None = None
