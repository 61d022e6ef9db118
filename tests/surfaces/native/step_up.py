"""Security keys for the people of the story."""

import base64
import json
from typing import Any
from uuid import uuid4

from quorate.app.verify import totp
from quorate.app.verify.jwk import base64url
from quorate.store.database import Database
from tests.app.directory import PASSWORD, change
from tests.authenticator import SETTINGS, Authenticator
from tests.surfaces.native.story import Story


async def takes_keys(story: Story, owner: Database, **settings: Any) -> None:
    """Let the story's tenant take security keys."""
    said = json.dumps({"webauthn": SETTINGS | settings}).encode()
    await change(owner, story.tenant, "UPDATE tenant SET settings = $2 WHERE id = $1", said)


async def a_passkey(story: Story, who: str) -> Authenticator:
    """Give somebody a security key."""
    key = Authenticator()
    await change(
        story.db,
        story.tenant,
        """INSERT INTO credential (tenant_id, id, principal_id, kind, public, created_at)
           VALUES ($1, $2, $3, 'passkey', $4, now())""",
        uuid4(),
        story.ids[who],
        json.dumps(key.public).encode(),
    )
    return key


async def factors(story: Story) -> None:
    """Call every route of Ana's own second factors so that it works; in the end a security key is left."""
    mine, headers = {"password": PASSWORD}, {"X-Tenant-ID": str(story.tenant)}
    begun = await story.post("ana", "/users/me/totp/begin", mine)
    secret = base64.b32decode(begun["secret"])
    await story.call("ana", "POST", "/users/me/totp", {"code": "x"})
    begun = await story.post("ana", "/users/me/totp/begin", mine)
    secret = base64.b32decode(begun["secret"])
    code = totp.code(secret, totp.period_of(story.clock()))
    await story.post("ana", "/users/me/totp", {"code": code}, 201)
    [recovery, *_] = (await story.post("ana", "/users/me/recovery-codes", mine, 201))["recoveryCodes"]
    login = {"email": "ana@acme.example", **mine}
    token = (await story.call(None, "POST", "/auth/login", login, headers=headers)).json()["mfaToken"]
    await story.post(None, "/auth/mfa", {"mfaToken": token, "recoveryCode": recovery})
    await story.post("ana", "/users/me/totp/remove", mine)
    await story.call("ada", "DELETE", f"/users/{story.ids['ana']}/factors")
    key = Authenticator()
    for name in ("one", "two"):
        key = Authenticator()
        options = await story.post("ana", "/users/me/passkeys/begin", mine)
        made = key.make(base64url(options["challenge"]))
        last = await story.post("ana", "/users/me/passkeys", {"name": name, "credential": made}, 201)
    await story.get("ana", "/users/me/factors")
    await story.post("ana", f"/users/me/passkeys/{last['id']}/remove", mine)
