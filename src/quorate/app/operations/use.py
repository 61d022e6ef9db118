"""What people do with operations: ask for one, see what became of it, fetch what it answered."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app import tenants
from quorate.app.actor import Actor
from quorate.app.asking import AskOperation
from quorate.app.commands import Door
from quorate.app.operations.asking import may_ask
from quorate.app.operations.executing import purpose_of_result
from quorate.app.operations.own import Attempt
from quorate.app.operations.rules import demand_approved
from quorate.app.orders import Done, Idempotency, Order
from quorate.app.record import Origin
from quorate.app.requests import OPERATIONS
from quorate.app.seal import Sealer
from quorate.app.search import Search
from quorate.domain import refusals as no
from quorate.domain.operations import Execution, Reply, State
from quorate.domain.requests import Request
from quorate.store import executions as store
from quorate.store.database import Database
from quorate.store.tx import Tx

__all__ = ["AskOperation", "Execution", "Operations", "Result"]

WAIT_S: Final = 10.0
FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.25


class Result(Struct, frozen=True):
    """What an operation answered. `body`: its JSON if it succeeded, else a sentence.

    `status` is that of the answer; 502 where none came, 504 where nobody can say what became of it.
    """

    execution: Execution
    status: int
    body: Any


class Operations:
    """The use cases. Deciding is done as for any other request."""

    def __init__(
        self,
        db: Database,
        door: Door,
        search: Search,
        seal: Sealer,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._db, self._door, self._search, self._seal = db, door, search, seal
        self._clock, self._new_id = clock, new_id

    async def ask(self, actor: Actor, asking: AskOperation, idempotency: Idempotency | None = None) -> Done:
        """File a request for an operation. Raises: as `asking.submission`; AccountInactive, KeyReused."""
        how = actor.how
        return await self._door.take(
            Order(
                id=self._new_id(),
                tenant=actor.tenant,
                actor=actor.principal,
                what=asking,
                origin=Origin(how.credential, how.surface, how.address),
                idempotency=idempotency,
            )
        )

    async def demand_none_governs(self, actor: Actor, method: str, path: str) -> None:
        """Refuse a call that waits for approval here. Which ones do anybody may learn: anybody may ask for them.

        Raises: ApprovalRequired.
        """
        async with self._db.tx([actor.tenant]) as tx:
            await demand_approved(tx, actor, Attempt(method, path))

    async def read(self, actor: Actor, id: UUID | str) -> tuple[Request, Execution | None]:
        """Read an operation, and what became of it. Raises: as `Search.request`."""
        held = await self._search.request(actor, id, kinds=OPERATIONS)
        return held.request, await self.execution(actor.tenant, held.request.id)

    async def executions(self, tenant: UUID, requests: Collection[UUID]) -> dict[UUID, Execution]:
        """Read what became of requests; whether the caller may see them is settled before.

        What is not approved, or is no operation, is absent.
        """
        async with self._db.tx([tenant]) as tx:
            return await store.of_requests(tx, tenant, requests)

    async def execution(self, tenant: UUID, request: UUID) -> Execution | None:
        """Read what became of one request."""
        return (await self.executions(tenant, [request])).get(request)

    async def wait(self, tenant: UUID, request: UUID, seconds: float = WAIT_S) -> Execution | None:
        """Wait until an approved operation has been carried out, but not longer than this; None: it is none."""
        end, pause = asyncio.get_running_loop().time() + seconds, FIRST_LOOK_S
        while (found := await self.execution(tenant, request)) is not None and not found.state.is_final:
            if asyncio.get_running_loop().time() >= end:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_S)
        return found

    async def result(self, actor: Actor, id: UUID | str) -> Result:
        """Fetch what an operation answered. That it was fetched is remembered.

        Raises:
            NotPermitted, NoSuchRequest: as `Search.request`.
            NotTheRequester: the caller may see the operation, but did not ask for it.
            NoLongerTheirs: they could not ask for it now, and the tenant wants that looked at again.
            NoResult: it is not approved, or still being carried out.
        """
        held = await self._search.request(actor, id, kinds=OPERATIONS)
        request = held.request
        if request.filing.requester != actor.principal:
            raise no.NotTheRequester(request.id)
        at = self._clock()
        async with self._db.tx([actor.tenant]) as tx:
            await _demand_access(tx, actor, request, at)
            viewed = await store.view(tx, actor.tenant, request.id, at)
        if viewed is None:
            raise no.NoResult(request.id, request.shown_at(at).value)
        return self._result(request, *viewed)

    def _result(self, request: Request, execution: Execution, sealed: bytes | None) -> Result:
        assert request.filing.operation is not None, "only operations are carried out"
        how = request.filing.operation.execute
        body: Any = how.body if isinstance(how, Reply) else None
        if sealed is not None:
            purpose = purpose_of_result(execution.id)
            body = msgspec.json.decode(self._seal.open(sealed, tenant=request.tenant, purpose=purpose))
        status = execution.status
        if status is None:
            status = _UNKNOWN if execution.state is State.UNKNOWN else _NO_ANSWER
        if not 200 <= status < 300:
            body = execution.failure or (body if isinstance(body, str) else "")
        return Result(execution, status, body)


async def _demand_access(tx: Tx, actor: Actor, request: Request, at: datetime) -> None:
    """Have the requester's own access looked at again, where the tenant wants it.

    Raises: NoLongerTheirs; AccountInactive.

    Source: Fortanix contract §4, `check_access_for_sensitive_operation_results`.
    """
    asked = request.filing.operation
    assert asked is not None, "it was found among operations"
    if not (await tenants.rules(tx))[actor.tenant].rechecks_results:
        return
    if not await may_ask(tx, actor, AskOperation(asked.method, asked.path), at):
        raise no.NoLongerTheirs(request.id)


_NO_ANSWER: Final = 502
_UNKNOWN: Final = 504
