"""What callers send, as structs that decode it, and how it becomes values of ours.

Source: Fortanix contract §2 (endpoints, "Approve body"), §5 (what is a 400).
"""

import base64
import binascii
import re
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct, field

from quorate.app.evidence import Evidence, U2f
from quorate.domain.refusals import NoSuchRequest
from quorate.surfaces.http.problems import BadInput

Status: TypeAlias = Literal["PENDING", "APPROVED", "DENIED", "FAILED"]
Text: TypeAlias = Annotated[str, Meta(max_length=10_000)]
Base64: TypeAlias = Annotated[str, Meta(max_length=20_000)]
Login: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1000)]
Secret: TypeAlias = Annotated[str, Meta(max_length=4096)]

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Filter(Struct, frozen=True):
    """Which approval requests a list is of; all that is given must hold (§7, row 4)."""

    requester: UUID | None = None
    reviewer: UUID | None = None
    subject: UUID | None = None
    status: Status | None = None


class NewRequest(Struct, frozen=True):
    """An operation to be approved. The schema demands nothing; without an operation there is nothing to approve."""

    operation: Annotated[str, Meta(min_length=1, max_length=2000)]
    method: Annotated[str, Meta(min_length=1, max_length=10)] = "POST"
    body: Any = None
    description: Text | None = None


class U2fGiven(Struct, frozen=True, rename="camel"):
    """What a U2F key answered; base64."""

    key_handle: Base64
    signature_data: Base64
    client_data: Base64


class Fido2Response(Struct, frozen=True):
    """Binary values are base64url; padding and the standard alphabet are accepted too."""

    client_data: Base64 = field(name="clientDataJSON")
    authenticator_data: Base64 = field(name="authenticatorData")
    signature: Base64
    user_handle: Base64 | None = field(name="userHandle", default=None)


class Extensions(Struct, frozen=True):
    appid: bool | None = None


class Fido2Given(Struct, frozen=True):
    """What a security key answered to a challenge."""

    id: Base64
    type: Literal["public-key"]
    response: Fido2Response
    get_client_extension_results: Extensions = Extensions()

    @property
    def as_browsers_say(self) -> dict[str, Any]:
        """Give it in the form that a browser's `PublicKeyCredential.toJSON()` has. Raises: BadInput."""
        response, at = self.response, "fido2_auth_request.response"
        said = {
            "clientDataJSON": _again(response.client_data, f"{at}.clientDataJSON"),
            "authenticatorData": _again(response.authenticator_data, f"{at}.authenticatorData"),
            "signature": _again(response.signature, f"{at}.signature"),
        }
        if response.user_handle is not None:
            said["userHandle"] = _again(response.user_handle, f"{at}.userHandle")
        id = _again(self.id, "fido2_auth_request.id")
        appid = self.get_client_extension_results.appid
        extensions = {} if appid is None else {"appid": appid}
        return {
            "id": id,
            "rawId": id,
            "type": self.type,
            "response": said,
            "clientExtensionResults": extensions,
        }


class Approval(Struct, frozen=True):
    """What may come with an approval; all of it is optional."""

    password: Secret | None = None
    u2f: U2fGiven | None = None
    fido2_auth_request: Fido2Given | None = None
    body: Any = None

    @property
    def evidence(self) -> Evidence:
        """Give what was shown. Raises: BadInput: two second factors, or something that is no base64."""
        if self.u2f is not None and self.fido2_auth_request is not None:
            raise BadInput.at("fido2_auth_request", "there may be u2f or fido2_auth_request, not both")
        u2f, fido2 = self.u2f, self.fido2_auth_request
        return Evidence(
            password=self.password,
            webauthn=None if fido2 is None else fido2.as_browsers_say,
            u2f=None
            if u2f is None
            else U2f(
                key_handle=binary(u2f.key_handle, "u2f.keyHandle"),
                client_data=binary(u2f.client_data, "u2f.clientData"),
                signature_data=binary(u2f.signature_data, "u2f.signatureData"),
            ),
        )


class Denial(Struct, frozen=True):
    """Why it is denied. An empty reason counts as none (§7, row 7)."""

    reason: Text | None = None


class Wanted(Struct, frozen=True):
    """Which kind of security key the challenge is for."""

    protocol: Literal["fido2", "u2f"] = "fido2"


class SignIn(Struct, frozen=True):
    """Who signs in, where it does not stand in the `Authorization` header."""

    method: Literal["password", "auth-by-app-name"] | None = None
    email: Login | None = None
    acct_id: UUID | None = None
    name: Login | None = None
    password: Secret | None = None
    token_type: Literal["Bearer", "Cookie"] = "Bearer"  # noqa: S105  # A word of the protocol.


class Account(Struct, frozen=True):
    acct_id: UUID


def as_id(text: str) -> UUID:
    """Read an id from a path. One that is none names nothing (§5). Raises: NoSuchRequest."""
    if not _UUID.fullmatch(text):
        raise NoSuchRequest(text)
    return UUID(text)


def basic(header: str) -> tuple[str, str] | None:
    """Read the two parts of a `Basic` credential (RFC 7617); None when it is none."""
    scheme, _, coded = header.partition(" ")
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, secret = text.partition(":")
    return (name, secret) if scheme.lower() == "basic" and colon and "\0" not in text else None


def as_service(name: str) -> UUID | None:
    """Read the id of a program; None when it is a login."""
    return UUID(name) if _UUID.fullmatch(name) else None


def binary(text: str, name: str) -> bytes:
    """Decode base64 or base64url, padded or not. Raises: BadInput."""
    plain = text.rstrip("=").translate(_STANDARD)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput.at(name, "must be base64") from None


def _again(text: str, name: str) -> str:
    """Write base64 of either alphabet as base64url without padding. Raises: BadInput."""
    return base64.urlsafe_b64encode(binary(text, name)).rstrip(b"=").decode()


_STANDARD: Final = str.maketrans("-_", "+/")
