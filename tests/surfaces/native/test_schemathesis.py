"""Schemathesis plays a caller who has read nothing but the OpenAPI document, and one who means harm.

All of its checks that a schema can decide; `schemathesis.toml` says which are left out and why, and how to run the
long form.
"""

from pathlib import Path

from quorate.store.database import Database
from tests.surfaces.http.stranger import play
from tests.surfaces.native.everything import ROUTES, filled
from tests.surfaces.native.story import Story

CONFIG = Path(__file__).with_name("schemathesis.toml")


async def test_the_document_alone_is_enough_to_call_the_api_rightly(
    story: Story, unfenced: Database, tmp_path: Path
) -> None:
    await filled(story, unfenced)
    key = f"Authorization: Bearer {story.keys['ada']}"
    status, said = await play(story.origin, "/openapi.json", CONFIG, tmp_path, key)

    assert status == 0, said
    assert f"Tested: {len(ROUTES)}" in said, said
