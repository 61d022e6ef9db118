"""The only file that knows everybody: it builds the use cases, connects them, and puts the surfaces on one origin."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeAlias
from uuid import UUID

from quorate.app.audit import Audit
from quorate.app.cases import UseCases
from quorate.app.catalogue import Groups, Resources, Roles
from quorate.app.cedar.policies import Policies
from quorate.app.challenges import Challenges
from quorate.app.commands import Door
from quorate.app.credentials import Credentials
from quorate.app.cursors import Cursors
from quorate.app.defaults import ApprovalDefaults
from quorate.app.delegations import Delegations
from quorate.app.directory import Desk
from quorate.app.evidence import Verifier
from quorate.app.factors import Factors
from quorate.app.founding import Founding
from quorate.app.grants import Grants
from quorate.app.keyring import Keyring
from quorate.app.limits import Attempts
from quorate.app.listing import Listing
from quorate.app.me import me
from quorate.app.offers import Offers
from quorate.app.oidc.flow import ProviderSignIn
from quorate.app.oidc.issuers import Issuers
from quorate.app.oidc.proofs import Proofs
from quorate.app.oidc.providers import Providers
from quorate.app.operations.executing import Executing, Perform
from quorate.app.operations.use import Operations
from quorate.app.outgoing import Outgoing
from quorate.app.panel import Panels
from quorate.app.passing import PASSING
from quorate.app.people import Users
from quorate.app.requests import Requests
from quorate.app.seal import Sealer, sealer
from quorate.app.search import Search
from quorate.app.second_step import SecondStep
from quorate.app.services import Services as Programs
from quorate.app.sessions import Sessions
from quorate.app.signin import SignIn
from quorate.app.tenants import Tenants
from quorate.app.tokens import Tokens
from quorate.app.verify import Passwords
from quorate.app.webhooks import Webhooks
from quorate.app.workflows import Workflows
from quorate.settings import Settings
from quorate.store.database import Database
from quorate.store.ids import new_id
from quorate.surfaces.britive import routes as britive
from quorate.surfaces.documents import api as documents
from quorate.surfaces.fortanix import routes as fortanix
from quorate.surfaces.http import oauth
from quorate.surfaces.http.origin import Check, Origin
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.surface import Surface
from quorate.surfaces.jitsudo import routes as jitsudo
from quorate.surfaces.native import api as native
from quorate.surfaces.native.performing import performer
from quorate.surfaces.sailpoint import routes as sailpoint
from quorate.workers import provisioner
from quorate.workers.provisioner import Provisioner

log = logging.getLogger(__name__)

NOTICE_EVERY_S = 1.0
SKEW_EVERY_S = 10.0
MOST_SKEW_S = 1.0

Loop: TypeAlias = Callable[[], Awaitable[None]]
"""Work that goes on beside the server until it is cancelled."""

SURFACES: Final[Mapping[str, Callable[[UseCases], Surface[Any]]]] = {
    "native": native.surface,
    "jitsudo": jitsudo.surface,
    "britive": britive.surface,
    "sailpoint": sailpoint.surface,
    "fortanix": fortanix.surface,
}
"""Every face there is, by the name it goes by in the settings and at `/openapi/<name>.json`."""


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(
    settings: Settings,
    dsn: str,
    *,
    clock: Callable[[], datetime] = now,
    new_id: Callable[[], UUID] = new_id,
    seal: Sealer | None = None,
    passwords: Passwords | None = None,
    loops: Sequence[Loop] = (),
) -> AsyncIterator[Origin]:
    """Connect to a migrated database and lend the origin that answers all calls.

    `seal` and `passwords` stand in for what the settings say. `loops` run beside our own until the end.

    Raises:
        Unreachable: the database does not answer.
        BadSecretKey: there is no usable secret key, or another one sealed what the database holds.
    """
    db = Database(dsn, size=settings.pool_size)
    secrets = passwords or Passwords()
    try:
        await db.open()
        seal = seal or sealer(settings.secret_key, settings.data)
        tokens = Tokens(
            db,
            seal,
            issuer=_ours(settings),
            life=timedelta(seconds=settings.token_seconds),
            clock=clock,
        )
        await tokens.start()
        door = Door(db, clock, new_id, lanes=settings.lanes)
        built = _Built(settings, db, door, tokens, seal, secrets, clock, new_id)
        try:
            async with _beside([built.notice, built.watch_clock, built.provision, *loops]):
                yield built.origin()
        finally:
            await built.close()
            await door.close()
    finally:
        if passwords is None:
            secrets.close()
        await db.close()


def _ours(settings: Settings) -> str:
    """Name the issuer of our own tokens."""
    return settings.public_url or f"http://{settings.host}:{settings.port}"


class _Built:
    """The use cases of one process, connected."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        door: Door,
        tokens: Tokens,
        seal: Sealer,
        passwords: Passwords,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._settings, self._db, self._tokens, self._clock = settings, db, tokens, clock
        self._skew_s: float | None = None
        self._outgoing = Outgoing(allow_private=settings.allow_private_targets)
        issuers = Issuers(self._outgoing, clock=clock, allow_private=settings.allow_private_targets)
        proofs = Proofs(db, issuers, clock=clock)
        self._credentials = Credentials(db, tokens, clock=clock, foreign=proofs.bearer)
        attempts = Attempts(settings.signin_per_login, settings.signin_per_address, time.monotonic)
        second = SecondStep(db, attempts, seal, clock=clock, new_id=new_id)
        self._signin = SignIn(
            db,
            tokens,
            passwords,
            attempts,
            clock=clock,
            new_id=new_id,
            region=settings.region,
            refresh_life=timedelta(seconds=settings.refresh_seconds),
            forget=self._credentials.forget,
            second=second,
        )
        self._executing = Executing(
            db,
            seal,
            self._outgoing,
            lambda *call: self._own(*call),
            clock=clock,
            new_id=new_id,
            forget=self._credentials.forget,
        )
        search = Search(db, clock)
        self._operations = Operations(db, door, search, seal, clock=clock, new_id=new_id)
        desk = Desk(db, clock=clock, new_id=new_id, forget=self._credentials.forget)
        verifier = Verifier(db, passwords, attempts, seal, clock=clock, new_id=new_id)
        self._cases = UseCases(
            credentials=self._credentials,
            signin=self._signin,
            sessions=Sessions(
                db,
                passwords,
                attempts,
                clock=clock,
                new_id=new_id,
                life=timedelta(seconds=settings.token_seconds),
                forget=self._credentials.forget_account,
                second=second,
            ),
            providers=Providers(desk, seal, ours=_ours(settings), allow_private=settings.allow_private_targets),
            provider_signin=ProviderSignIn(
                db, proofs, issuers, self._signin, seal, attempts, clock=clock, new_id=new_id
            ),
            workflows=Workflows(db, clock=clock, new_id=new_id),
            requests=Requests(
                db,
                door,
                verifier,
                clock=clock,
                new_id=new_id,
                forget=self._credentials.forget_account,
                approved=self._executing.approved.set,
            ),
            challenges=Challenges(db, door, attempts, clock=clock, new_id=new_id),
            factors=Factors(desk, verifier, seal),
            search=search,
            operations=self._operations,
            listing=Listing(db, clock),
            panels=Panels(db, clock),
            grants=Grants(db, clock=clock, new_id=new_id, forget=self._credentials.forget_account),
            policies=Policies(db, clock=clock, new_id=new_id, shelf=door.shelf),
            webhooks=Webhooks(db, seal, clock=clock, new_id=new_id, allow_private=settings.allow_private_targets),
            users=Users(desk, passwords),
            programs=Programs(desk),
            roles=Roles(desk),
            groups=Groups(desk),
            resources=Resources(desk),
            offers=Offers(db),
            keys=Keyring(desk),
            delegations=Delegations(desk),
            defaults=ApprovalDefaults(desk),
            audit=Audit(desk),
            me=lambda actor: me(db, actor, clock),
            tenants=Tenants(db),
            founding=Founding(db, clock=clock, new_id=new_id, operators=settings.operator_tenant),
            cursors=Cursors(seal),
            clock=clock,
        )

    @cached_property
    def _own(self) -> Perform:
        """What is our own is done as the native API would do it, whatever surfaces are answered."""
        return performer(native.surface(self._cases))

    def origin(self) -> Origin:
        chosen = [build(self._cases) for name, build in SURFACES.items() if name in self._settings.surfaces]
        surfaces: list[Surface[Any]] = [
            *chosen,
            oauth.surface(oauth.Services(self._signin, self._tokens, self._settings.region)),
            *([documents.surface(chosen)] if chosen else []),
        ]
        return Origin(surfaces, Peers(self._settings.public_url, self._settings.trusted_proxies), self._checks())

    async def notice(self) -> None:
        """Once a second, forget what was remembered of tenants whose directory has changed."""
        while True:
            await asyncio.sleep(NOTICE_EVERY_S)
            await _patiently(self._credentials.notice)

    async def provision(self) -> None:
        """Carry out what was approved."""
        await provisioner.run(Provisioner(self._executing))

    async def close(self) -> None:
        """Close the connections to others."""
        await self._outgoing.close()

    async def watch_clock(self) -> None:
        """Hold our clock against PostgreSQL's: deadlines and events of all processes must agree."""
        while True:
            await _patiently(self._look_at_clock)
            await asyncio.sleep(SKEW_EVERY_S)

    async def _look_at_clock(self) -> None:
        self._skew_s = await self._db.clock_skew(self._clock)

    def _checks(self) -> dict[str, Check]:
        async def database() -> str | None:
            return None if await self._db.healthy() else "the database does not answer"

        async def migrations() -> str | None:
            pending = await self._db.migrations_pending()
            return f"not applied: {', '.join(pending)}" if pending else None

        async def clock() -> str | None:
            if self._skew_s is None:
                await self._look_at_clock()
            skew_s = self._skew_s or 0.0
            return None if abs(skew_s) <= MOST_SKEW_S else f"{skew_s:+.1f} s off PostgreSQL's clock"

        return {"database": database, "migrations": migrations, "clock": clock}


@asynccontextmanager
async def _beside(loops: Sequence[Loop]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_looping(loop)) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _looping(loop: Loop) -> None:
    """Keep a loop going whatever happens in it: it is a mistake of ours, but no reason to stop noticing."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("a background loop failed and is started again")
        await asyncio.sleep(NOTICE_EVERY_S)


async def _patiently(work: Loop) -> None:
    """Do it, or leave it for the next time when the database is away."""
    try:
        await work()
    except PASSING as error:
        log.warning("put off: %s", error)
