"""What is handed to the door, and what comes back."""

from collections.abc import Collection
from uuid import UUID

from msgspec import Struct

from quorate.app.filing import Asking
from quorate.app.lanes import Wait
from quorate.app.record import NOWHERE, Origin
from quorate.app.tenants import Rules
from quorate.domain import commands as do
from quorate.domain.events import Event, RequestKind
from quorate.domain.people import People
from quorate.domain.refusals import Refusal
from quorate.domain.requests import Request
from quorate.store.replays import ReplayKey
from quorate.store.requests import Held


class Idempotency(Struct, frozen=True):
    """A caller's key for a call, and a hash of what the call says."""

    key: str
    fingerprint: bytes


class Order(Struct, frozen=True):
    """One command on its way. `id` is minted on arrival and is never used twice.

    What it is about is named by `request` or by `task`; a task of a decision stands for its step. An asking makes a
    new request, whose id `request` may give. `what` None: only look what time has done. `kinds`: a request of
    another kind is as good as none. `number`: what the request that an asking makes is counted as.
    """

    id: UUID
    tenant: UUID
    actor: UUID | None
    what: do.Command | Asking | None
    request: UUID | None = None
    task: UUID | None = None
    origin: Origin = NOWHERE
    idempotency: Idempotency | None = None
    kinds: Collection[RequestKind] | None = None
    number: int | None = None

    @property
    def replay_key(self) -> ReplayKey | None:
        if self.idempotency is None or self.actor is None:
            return None
        return ReplayKey(self.tenant, self.actor, self.idempotency.key)

    @property
    def is_asking(self) -> bool:
        return isinstance(self.what, Asking)


class Done(Struct, frozen=True):
    """The answer to an order: the request as it then was, with its tasks, and what the order brought about.

    `replayed`: it was carried out before, under the same idempotency key. `rules` and `people` are those of the tenant
    that were read on the way, unless the answer comes from history.
    """

    held: Held
    events: tuple[Event, ...]
    replayed: bool = False
    rules: Rules | None = None
    people: People = People()

    @property
    def request(self) -> Request:
        return self.held.request


Answer = Done | Refusal | Wait
