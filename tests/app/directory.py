"""People and credentials for the tests of signing in, written straight into the tables."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from argon2 import PasswordHasher

from quorate.app.credentials import Credentials
from quorate.app.keys import mint, secret_hash
from quorate.app.limits import Attempts
from quorate.app.seal import Sealer
from quorate.app.second_step import SecondStep
from quorate.app.signin import SignIn
from quorate.app.tokens import Tokens
from quorate.app.verify import Passwords
from quorate.store.database import Database

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SEALER = Sealer([bytes(32)])  # One for all tests: they share a database, and so its signing keys.
ISSUER = "https://quorate.test"
PASSWORD = "correct horse battery staple"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def passes(self, **span: float) -> None:
        self.at += timedelta(**span)


class World:
    """Everything signing in needs, around one clock."""

    def __init__(self, db: Database, *, per_login: int = 0, per_address: int = 0) -> None:
        self.db = db
        self.clock = Clock()
        self.passwords = Passwords(CHEAP)
        self.tokens = Tokens(db, SEALER, issuer=ISSUER, life=timedelta(hours=1), clock=self.clock)
        self.credentials = Credentials(db, self.tokens, clock=self.clock, now=self.clock.seconds)
        attempts = Attempts(per_login, per_address, self.clock.seconds)
        self.second = SecondStep(db, attempts, SEALER, clock=self.clock, new_id=uuid4)
        self.signin = SignIn(
            db,
            self.tokens,
            self.passwords,
            attempts,
            clock=self.clock,
            new_id=uuid4,
            region="test",
            refresh_life=timedelta(days=7),
            forget=self.credentials.forget,
            second=self.second,
        )


async def a_user(
    db: Database,
    tenant: UUID,
    login: str = "ana@acme.example",
    *,
    roles: Sequence[tuple[str, Sequence[str]]] = (),
    status: str = "active",
    password_hash: str | None = None,
) -> UUID:
    """Make a user, with roles made for them: names and permissions."""
    user, at = uuid4(), datetime.now(UTC)
    async with db.tx([tenant]) as tx:
        await tx.run(
            """
            INSERT INTO principal (tenant_id, id, kind, login, name, email, status, password_hash, password_stamp,
                                   created_at, updated_at)
            VALUES ($1, $2, 'user', $3, 'Ana Smith', $3, $4, $5, $6, $7, $7)
            """,
            tenant,
            user,
            login,
            status,
            password_hash or CHEAP.hash(PASSWORD),
            uuid4(),
            at,
        )
        for name, permissions in roles:
            role = uuid4()
            await tx.run(
                """
                INSERT INTO role (tenant_id, id, name, permissions, created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $5)
                """,
                tenant,
                role,
                name,
                list(permissions),
                at,
            )
            await tx.run(
                "INSERT INTO role_member (tenant_id, role_id, principal_id) VALUES ($1, $2, $3)", tenant, role, user
            )
    return user


async def a_service(db: Database, tenant: UUID, *, owner: UUID | None = None, permissions: Sequence[str] = ()) -> UUID:
    """Make a service with permissions of its own."""
    service, at = uuid4(), datetime.now(UTC)
    async with db.tx([tenant]) as tx:
        await tx.run(
            """
            INSERT INTO principal (tenant_id, id, kind, name, owner_id, permissions, created_at, updated_at)
            VALUES ($1, $2, 'service', $3, $4, $5, $6, $6)
            """,
            tenant,
            service,
            f"ci-{service}",
            owner,
            list(permissions),
            at,
        )
    return service


async def a_key(
    db: Database, tenant: UUID, holder: UUID, *, secret: str | None = None, expires_at: datetime | None = None
) -> tuple[UUID, str]:
    """Give somebody an API key; answers its id and the key itself."""
    key = uuid4()
    secret = secret or mint(key)
    await _credential(db, tenant, key, holder, "key", None, secret, expires_at)
    return key, secret


async def a_client(db: Database, tenant: UUID, holder: UUID, client_id: str, secret: str) -> UUID:
    """Give somebody client credentials."""
    client = uuid4()
    await _credential(db, tenant, client, holder, "client", client_id, secret, None)
    return client


async def change(db: Database, tenant: UUID, sql: str, *args: object) -> None:
    """Run one statement in a transaction of the tenant, its id as $1."""
    async with db.tx([tenant]) as tx:
        await tx.run(sql, tenant, *args)


async def _credential(
    db: Database,
    tenant: UUID,
    key: UUID,
    holder: UUID,
    kind: str,
    client_id: str | None,
    secret: str,
    expires_at: datetime | None,
) -> None:
    async with db.tx([tenant]) as tx:
        await tx.run(
            """
            INSERT INTO credential (tenant_id, id, principal_id, kind, client_id, secret_hash, expires_at, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, now())
            """,
            tenant,
            key,
            holder,
            kind,
            client_id,
            secret_hash(secret),
            expires_at,
        )
