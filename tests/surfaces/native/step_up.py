"""Security keys for the people of the story."""

import json
from typing import Any
from uuid import uuid4

from quorate.store.database import Database
from tests.app.directory import change
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
