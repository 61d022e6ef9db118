"""API keys and other secrets of which only a SHA-256 is kept.

A minted key is `qk_<id>_<secret>`; any given one works too if it is long enough not to be guessed. A
plain SHA-256 is right for these and wrong for passwords: a random secret cannot be found by trying.
"""

import hashlib
import secrets
from uuid import UUID

SHORTEST_GIVEN = 20  # characters
LONGEST_GIVEN = 512


class BadSecret(ValueError):
    """A given secret is too short or too long, or has characters a header cannot carry."""


def mint(credential: UUID) -> str:
    """Make a new API key for this credential."""
    return f"qk_{credential.hex}_{secrets.token_urlsafe(32)}"


def mint_session(tenant: UUID, session: UUID) -> str:
    """Make the token of a session that is its own credential."""
    return f"qs_{tenant.hex}_{session.hex}_{secrets.token_urlsafe(32)}"


def session_named(token: str) -> tuple[UUID, UUID] | None:
    """Read which session of which tenant a token of `mint_session` claims to be; None if it is none."""
    mark, _, rest = token.partition("_")
    named = rest.split("_", 2)
    if mark != "qs" or len(named) != 3:
        return None
    try:
        return UUID(named[0]), UUID(named[1])
    except ValueError:
        return None


def mint_secret() -> str:
    """Make a secret for a client or a session: 256 bits."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> bytes:
    """Hash a secret the way it is kept and looked up."""
    return hashlib.sha256(secret.encode()).digest()


def demand_usable(secret: str) -> str:
    """Give back a secret somebody chose. Raises `BadSecret`, without the secret in its text."""
    if not SHORTEST_GIVEN <= len(secret) <= LONGEST_GIVEN:
        raise BadSecret(f"a secret has {SHORTEST_GIVEN} to {LONGEST_GIVEN} characters")
    if not all("!" <= character <= "~" for character in secret):
        raise BadSecret("a secret has visible ASCII characters only")
    return secret
