"""What the file may say: every section and every key. Source: design §8."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from quorate.app.declare.fields import (
    YEAR_S,
    Field,
    anything,
    base64url,
    cedar,
    each,
    escalations,
    flag,
    free_table,
    headers,
    leaves,
    moment,
    name,
    one_leaf,
    permission,
    public_key,
    reminders,
    secret,
    slug,
    span,
    steps,
    table,
    text,
    uuid,
    web_address,
    whole,
    word,
)
from quorate.app.values import Reader
from quorate.domain.workflows import MAX_TIMEOUT_S


class Section(Struct, frozen=True):
    """A list in a tenant: the kind of thing in it, its keys, and the ones without which there is no such thing."""

    kind: str
    fields: Mapping[str, Field]
    required: tuple[str, ...]


def _secret_hash(reader: Reader, value: object, path: str) -> bytes:
    found = value.removeprefix("sha256:") if isinstance(value, str) else ""
    try:
        digest = bytes.fromhex(found) if len(found) == 64 else b""
    except ValueError:
        digest = b""
    if not digest:
        reader.wrong(path, "must be the SHA-256 of the whole secret as 64 hexadecimal digits")
    return digest


def _execute(reader: Reader, value: object, path: str) -> Any:
    if value == "internal":
        return value
    if isinstance(value, Mapping) and "reply" in value:
        reply = table({"status": whole(200, 599), "body": anything}, "status")
        return table({"reply": reply})(reader, value, path)
    if isinstance(value, Mapping):
        call = {
            "url": web_address,
            "headers": headers,
            "retry": word("never", "always"),
            "timeoutSeconds": whole(1, 30),
        }
        return table(call, "url")(reader, value, path)
    reader.wrong(path, "must be internal, an object with url, or an object with reply")
    return value


_APPROVAL = table(
    {
        "workflow": name,
        "validFor": span(minutes=43_200, hours=720, days=365),  # Source: Britive contract §5, row 12.
        "timeToApprove": span(minutes=43_200, hours=720, days=30),
        "justification": word("required", "optional"),
    }
)
_SECRETS: Mapping[str, Field] = {"secret": secret, "secretHash": _secret_hash, "secretFile": name, "secretEnv": name}
_KEYS = each(table({"name": name, "id": uuid, "expiresAt": moment, **_SECRETS}, "name"))
_CLIENTS = each(table({"id": name, "name": name, "expiresAt": moment, **_SECRETS}))
_PASSKEYS = each(
    table({"name": name, "id": base64url, "publicKey": public_key, "signCount": whole(0, 2**32 - 1)}, "id", "publicKey")
)

SETTINGS: Final[Mapping[str, Field]] = {
    "selfApproval": flag,
    "fallbackApprovers": leaves,
    "operationExpirySeconds": whole(1, 10 * YEAR_S),
    "retainExpiredRequests": flag,
    "recheckAccessForResults": flag,
    "breakGlass": table({"enabled": flag, "groups": each(name), "maxSeconds": whole(1, YEAR_S), "types": each(name)}),
    "webauthn": table(
        {
            "rpId": name,
            "origins": each(web_address),
            "signIn": flag,
            "verifyUser": flag,
            "u2f": flag,
            "appId": web_address,
        },
        "rpId",
        "origins",
    ),
    "publicUrl": web_address,
    "jitsudo": table(
        {
            "defaultDurationSeconds": whole(1, YEAR_S),
            "strictIds": flag,
            "resourceTypes": each(name),
            "locale": name,
            "ssoStartUrl": web_address,
            "ssoRegion": name,
        }
    ),
}
TENANT: Final[Mapping[str, Field]] = {
    "slug": slug,
    "name": name,
    "id": uuid,
    "settings": table(SETTINGS),
    "identityProvider": table(
        {
            "issuer": web_address,
            "clientId": name,
            "clientSecret": secret,
            "clientSecretFile": name,
            "clientSecretEnv": name,
            "scopes": each(name),
            "tenantClaim": name,
        },
        "issuer",
        "clientId",
    ),
}

_MANY: Mapping[str, Field] = {"roles": each(name), "groups": each(name), "keys": _KEYS, "clients": _CLIENTS}
_ASKED: Mapping[str, Field] = {"owner": name, "approval": _APPROVAL}
_STATUS = word("active", "suspended", "inactive")

SECTIONS: Final[Mapping[str, Section]] = {
    "roles": Section(
        "role",
        {"name": name, "id": uuid, "description": text, "permissions": each(permission), **_ASKED},
        ("name",),
    ),
    "groups": Section(
        "group", {"name": name, "id": uuid, "description": text, "externalId": name, **_ASKED}, ("name",)
    ),
    "users": Section(
        "user",
        {
            "login": name,
            "id": uuid,
            "name": name,
            "email": name,
            "status": _STATUS,
            "manager": name,
            "password": secret,
            "passwordHash": secret,
            "passwordFile": name,
            "passwordEnv": name,
            "passkeys": _PASSKEYS,
            **_MANY,
        },
        ("login",),
    ),
    "services": Section(
        "service",
        {"name": name, "id": uuid, "owner": name, "status": _STATUS, "permissions": each(permission), **_MANY},
        ("name",),
    ),
    "resources": Section(
        "resource",
        {
            "name": name,
            "id": uuid,
            "type": name,
            "description": text,
            "externalId": name,
            "parent": name,
            "attributes": free_table,
            **_ASKED,
        },
        ("name", "type"),
    ),
    "workflows": Section(
        "workflow",
        {
            "name": name,
            "id": uuid,
            "description": text,
            "status": word("draft", "active", "inactive"),
            "resourceTypes": each(name),
            "autoApprove": word("none", "policy"),
            "fallbackApprovers": leaves,
            "steps": steps,
        },
        ("name",),
    ),
    "policies": Section(
        "policy",
        {
            "name": name,
            "id": uuid,
            "enabled": flag,
            "priority": whole(-(2**31), 2**31 - 1),
            "maxDurationSeconds": whole(1, 10 * YEAR_S),
            "defaultDurationSeconds": whole(1, 10 * YEAR_S),
            "approvalMode": word("require", "auto"),
            "approvalTimeoutSeconds": whole(1, YEAR_S),
            "notificationChannel": name,
            "description": text,
            "cedar": cedar,
        },
        ("name",),
    ),
    "operations": Section(
        "operation",
        {
            "method": word("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            "path": name,
            "id": uuid,
            "workflow": name,
            "resource": name,
            "execute": _execute,
        },
        ("method", "path"),
    ),
    "defaults": Section(
        "default",
        {
            "type": name,
            "target": table({"role": name, "group": name, "resource": name, "id": uuid}),
            "requiresComment": word("approval", "rejection", "all", "none"),
            "timeoutSeconds": whole(1, MAX_TIMEOUT_S),
            "onTimeout": word("expire", "escalate", "approve"),
            "escalateTo": one_leaf,
            "fallbackApprovers": leaves,
            "chain": leaves,
            "waived": flag,
            "askingApproves": word("never", "direct", "indirect"),
            "reminders": reminders,
            "escalations": escalations,
        },
        (),
    ),
    "delegations": Section(
        "delegation",
        {"from": name, "to": name, "startsAt": moment, "endsAt": moment, "id": uuid},
        ("from", "to", "startsAt", "endsAt"),
    ),
    "requests": Section(
        "request",
        {
            "id": uuid,
            "kind": word("access", "generic"),
            "requester": name,
            "requestee": name,
            "workflow": name,
            "resourceType": word("role", "group", "resource"),
            "resource": name,
            "justification": text,
            "duration": span(minutes=5_256_000, hours=87_600, days=3_650),
            "title": name,
            "description": text,
            "type": name,
            "priority": word("HIGH", "MEDIUM", "LOW"),
            "references": each(table({"id": name, "type": name, "name": name}, "id", "type"), unique=False),
            "batch": table({"id": name, "size": whole(1, 1_000_000)}, "id"),
            "attributes": free_table,
            "subject": free_table,
            "metadata": free_table,
        },
        ("requester",),
    ),
}
