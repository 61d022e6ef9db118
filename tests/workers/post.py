"""A company with webhooks, a receiver on loopback, and couriers between them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from quorate.app.actor import Actor, How
from quorate.app.outgoing import Outgoing
from quorate.app.sending import Sending
from quorate.app.webhooks import Delivery, Draft, Made, Webhooks
from quorate.store.database import Database
from quorate.store.migrate import migrate
from quorate.workers.courier import Courier, Limits
from tests.app.company import Company
from tests.app.directory import SEALER, Clock
from tests.conftest import new_tenant
from tests.receiver import Receiver
from tests.store.servers import OWNER, Server


class Post:
    """A database of its own, so that nothing is due but what a test made so."""

    def __init__(self, dsn: str, databases: dict[str, Database], outgoing: Outgoing) -> None:
        self.dsn = dsn
        self.server, self.worker, self.owner = (databases[one] for one in ("quorate_server", "quorate_worker", OWNER))
        self.clock = Clock()
        self.outgoing = outgoing
        self.webhooks = Webhooks(self.server, SEALER, clock=self.clock, new_id=uuid4, allow_private=True)
        self.sending = self.sends()

    def sends(self, jitter: float = 1.0) -> Sending:
        return Sending(self.worker, SEALER, clock=self.clock, new_id=uuid4, jitter=lambda: jitter)

    def courier(self, limits: Limits | None = None) -> Courier:
        return Courier(self.sending, self.outgoing, self.clock, limits)

    async def company(self) -> Company:
        company = await Company(self.server, await new_tenant(self.owner), self.clock).settle()
        await company.workflow(company.ana)
        return company

    async def hook(self, company: Company, receiver: Receiver, *events: str, **rest: Any) -> Made:
        draft = Draft(name="ops", url=receiver.url(**rest), events=events or ("access_request.*", "approval.*"))
        return await self.webhooks.create(actor(company), draft)

    async def deliver(self, courier: Courier | None = None) -> int:
        """Send all that is due, and wait until it is settled. Says with how many."""
        courier, sent = courier or self.courier(), 0
        while taken := await courier.turn():
            sent += taken
            await courier.all_back()
        return sent

    async def deliveries(self, company: Company, made: Made, status: str | None = None) -> list[Delivery]:
        """The deliveries of a webhook, oldest first."""
        found, _ = await self.webhooks.deliveries(actor(company), made.webhook.id, 100, 0, status)
        return found[::-1]


def actor(company: Company, who: UUID | None = None) -> Actor:
    """Ada, an administrator, or somebody else of the company."""
    how = How(uuid4(), "key", "native", "192.0.2.1")
    return Actor(company.tenant, who or company.ada, frozenset(), how)


@asynccontextmanager
async def posting(postgres: Server) -> AsyncIterator[Post]:
    database = await postgres.fresh()
    await migrate(postgres.owner(database))
    async with AsyncExitStack() as held:
        databases: dict[str, Database] = {}
        for role in ("quorate_server", "quorate_worker", OWNER):
            databases[role] = Database(postgres.admin(database), role=role, size=4)
            held.push_async_callback(databases[role].close)
        outgoing = Outgoing(allow_private=True)
        held.push_async_callback(outgoing.close)
        yield Post(postgres.admin(database), databases, outgoing)
