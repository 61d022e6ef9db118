"""The keys that sign tokens. They belong to the installation and not to a tenant, so they are read across."""

from datetime import datetime

from msgspec import Struct

from quorate.store.database import Database


class StoredKey(Struct, frozen=True):
    """One signing key; `public` is its JWK as JSON text, `sealed` its private part."""

    id: str
    public: bytes
    sealed: bytes
    created_at: datetime


async def keys(db: Database) -> list[StoredKey]:
    """Read all keys, the newest first."""
    rows = await db.across("SELECT id, public, sealed, created_at FROM signing_key ORDER BY created_at DESC, id")
    return [StoredKey(*row.values()) for row in rows]


async def add(db: Database, key: StoredKey) -> None:
    """Keep a new key."""
    await db.across(
        "INSERT INTO signing_key (id, algorithm, public, sealed, created_at) VALUES ($1, 'RS256', $2, $3, $4)",
        key.id,
        key.public,
        key.sealed,
        key.created_at,
    )


async def seal_again(db: Database, key_id: str, sealed: bytes) -> None:
    """Keep a key's private part as sealed under a newer secret key."""
    await db.across("UPDATE signing_key SET sealed = $2 WHERE id = $1", key_id, sealed)
