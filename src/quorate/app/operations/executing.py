"""Carries out what was approved: our own operations in the transaction that says so, calls to others around one.

Whoever dies on the way leaves a lease that ends. One of our own was then either done or not, and is done once. A call
was marked as running before it was sent, so it is known that it may have arrived: it is repeated only if its receiver
knows a repeat by its `Idempotency-Key`, the execution's id, and is else left as unknown.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from quorate.app.actor import Actor, How
from quorate.app.batch import Clock, Ids
from quorate.app.operations.calling import Answered, opened_headers, send
from quorate.app.operations.mandate import Mandate
from quorate.app.outgoing import Outgoing
from quorate.app.seal import BadSecretKey, Sealer
from quorate.app.tell import tell
from quorate.domain.messages import execution_fact
from quorate.domain.operations import Call, Execution, Operation, Retry, State
from quorate.domain.requests import Request
from quorate.store import executions as store
from quorate.store import operations, requests, view
from quorate.store.database import Database
from quorate.store.due import tenants_with_due
from quorate.store.events import Entry
from quorate.store.requests import Key
from quorate.store.tx import Tx

log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=2)  # Longer than the slowest call we allow (30 s).
FIRST_REST: Final = timedelta(seconds=5)
GROWTH: Final = 3
MOST_ATTEMPTS: Final = 6
TENANTS: Final = 256  # looked at in a round
_BUSY: Final = 429


Perform = Callable[[Actor, str, str, Any], Awaitable[Answered]]
"""Does one of our own operations as somebody: method, path, body."""


class Job(Struct, frozen=True):
    """An execution in hand, the request it is of, and the headers that its rule gives to a call."""

    execution: Execution
    request: Request
    headers: Mapping[str, str] = {}

    @property
    def operation(self) -> Operation:
        assert self.request.filing.operation is not None, "only operations are carried out"
        return self.request.filing.operation


class _Withdrawn(Exception):
    """The operator no longer lets this call be made. The text is fit to be shown."""


class _Undone(Exception):
    """Something went wrong on our side; nothing of the operation shall stay."""

    def __init__(self, answered: Answered) -> None:
        self.answered = answered


class Executing:
    """Carries out operations, on behalf of whoever asked for them.

    Args:
        db: as the server sees it: our own operations are done on it.
        perform: how our own operations are done.
        forget: told the tenant when one of them was done.
    """

    def __init__(
        self,
        db: Database,
        seal: Sealer,
        outgoing: Outgoing,
        perform: Perform,
        *,
        clock: Clock,
        new_id: Ids,
        forget: Callable[[UUID], None],
    ) -> None:
        self._db, self._seal, self._outgoing, self._perform = db, seal, outgoing, perform
        self._clock, self._new_id, self._forget = clock, new_id, forget
        self.approved = asyncio.Event()  # Set when it is worth looking at once what is due.

    async def tenants(self) -> list[UUID]:
        """Name tenants that have something to be carried out, the most overdue first."""
        return await tenants_with_due(self._db, store.TIMER, self._clock(), TENANTS)

    async def due(self, tenant: UUID, most: int) -> list[UUID]:
        """Name executions of a tenant that are to be looked at."""
        async with self._db.tx([tenant]) as tx:
            return await store.due(tx, tenant, self._clock(), most)

    async def carry_out(self, tenant: UUID, id: UUID) -> bool:
        """Carry out an execution if it is due and nobody else is at it. Says whether there was anything to do."""
        job = await self._claim(tenant, id)
        if job is None:
            return False
        how = job.operation.execute
        await (self._call(job, how) if isinstance(how, Call) else self._do(job))
        return True

    async def _claim(self, tenant: UUID, id: UUID) -> Job | None:
        """Take an execution for a lease. A call is marked as running, in a transaction of its own.

        One whose last carrier vanished, and which may not be repeated, comes to its end here.
        """
        at = self._clock()
        async with self._db.tx([tenant]) as tx:
            now = await store.claim(tx, tenant, id, at)
            if now is None:
                return None
            if now.state.is_final:
                await store.put_off(tx, tenant, id, None)
                return None
            request = (await requests.load(tx, [now.request]))[Key(tenant, now.request)].request
            job = Job(now, request)
            call = job.operation.execute
            if now.state is State.RUNNING and isinstance(call, Call) and call.retry is Retry.NEVER:
                why = "it was being sent when the server stopped, and may have arrived"
                await self._end(tx, job, State.UNKNOWN, at, failure=why)
                return None
            if now.attempts >= MOST_ATTEMPTS:
                state = State.UNKNOWN if now.state is State.RUNNING else State.FAILED
                await self._end(tx, job, state, at, failure=f"it was tried {now.attempts} times to no avail")
                return None
            taken = replace(now, attempts=now.attempts + 1, started_at=now.started_at or at)
            if isinstance(call, Call):
                taken = replace(taken, state=State.RUNNING)
                try:
                    job = replace(job, headers=await self._headers(tx, job, call))
                except _Withdrawn as gone:
                    await self._end(tx, job, State.FAILED, at, failure=str(gone))
                    return None
            await store.save(tx, tenant, taken)
            await store.put_off(tx, tenant, id, at + LEASE)
        return replace(job, execution=taken)

    async def _do(self, job: Job) -> None:
        """Do one of our own operations, and say so, in one transaction: as the requester, if they still may."""
        tenant, operation = job.request.tenant, job.operation
        try:
            async with self._db.tx([tenant]) as tx:
                now = await store.lock(tx, tenant, job.execution.id)
                if now is None or now.state is not State.WAITING:
                    return
                mandate = Mandate(tx, operation.method, operation.path)
                actor = await self._actor(tx, job.request, mandate)
                answered = await self._perform(actor, operation.method, operation.path, operation.body)
                if answered.status >= 500 or answered.status == _BUSY:
                    raise _Undone(answered)
                assert mandate.is_used or answered.status >= 300, "what was approved was let through"
                await self._end(tx, replace(job, execution=now), answered.state, self._clock(), answered)
        except _Undone as undone:
            await self._trouble(job, undone.answered)
        finally:
            self._forget(tenant)

    async def _actor(self, tx: Tx, request: Request, mandate: Mandate) -> Actor:
        """Make the actor of an operation: its requester, with what they may do now."""
        requester = request.filing.requester
        assert requester is not None, "an operation is asked for by somebody"
        seen = (await view.read(tx, [(request.tenant, requester)], [], self._clock()))[request.tenant].persons
        person = seen.get(requester)
        permissions = person.permissions if person and person.active else frozenset[str]()
        how = How(None, "operation", "operation", "")
        return Actor(request.tenant, requester, permissions, how, bool(person and person.is_service), mandate)

    async def _call(self, job: Job, call: Call) -> None:
        """Make a call that is marked as running, and write down what came of it."""
        sent = await send(self._outgoing, job.operation, call, job.headers, str(job.execution.id))
        if sent.may_repeat and job.execution.attempts < MOST_ATTEMPTS:
            await self._again(job, never_sent=not sent.was_sent)
        else:
            await self._finish(job, sent.state, answered=sent.answered, failure=sent.failure)

    async def _headers(self, tx: Tx, job: Job, call: Call) -> Mapping[str, str]:
        """Read the headers that the rule gives to this call. Raises: _Withdrawn: it gives none to it any more."""
        tenant, rule = job.request.tenant, job.operation.rule
        found = next((one for one in (await operations.rules(tx))[tenant] if one.id == rule), None)
        if found is None or not isinstance(found.execute, Call) or found.execute.url != call.url:
            raise _Withdrawn("where this goes has changed since it was asked for; it must be asked for again")
        try:
            return opened_headers(self._seal, tenant, rule, found.sealed)
        except BadSecretKey:
            raise _Withdrawn("the headers of this call were sealed with a key that is not among ours") from None

    async def _again(self, job: Job, *, never_sent: bool = False) -> None:
        """Have it tried again later. What never left waits as if it had not been tried."""
        tenant, id = job.request.tenant, job.execution.id
        async with self._db.tx([tenant]) as tx:
            now = await self._still(tx, job)
            if now is not None:
                if never_sent:
                    await store.save(tx, tenant, replace(now, state=State.WAITING))
                await store.put_off(tx, tenant, id, self._clock() + rest(now.attempts))

    async def _trouble(self, job: Job, answered: Answered) -> None:
        """After a mistake of ours, or while the database is away: again later, but not for ever."""
        if job.execution.attempts < MOST_ATTEMPTS:
            log.warning("an operation is tried again", extra={"execution": str(job.execution.id)})
            await self._again(job)
        else:
            await self._finish(job, State.FAILED, answered=answered)

    async def _finish(
        self, job: Job, state: State, *, answered: Answered | None = None, failure: str | None = None
    ) -> None:
        """Write down how it ended, unless somebody else has it in hand by now."""
        async with self._db.tx([job.request.tenant]) as tx:
            now = await self._still(tx, job)
            if now is not None:
                await self._end(tx, replace(job, execution=now), state, self._clock(), answered, failure)

    async def _still(self, tx: Tx, job: Job) -> Execution | None:
        """Hold the execution if it is as we left it: with a lease that has ended it may be another's."""
        now = await store.lock(tx, job.request.tenant, job.execution.id)
        ours = now is not None and (now.state, now.attempts) == (job.execution.state, job.execution.attempts)
        return now if ours else None

    async def _end(
        self,
        tx: Tx,
        job: Job,
        state: State,
        at: datetime,
        answered: Answered | None = None,
        failure: str | None = None,
    ) -> None:
        """Write the end of an execution that is held, with its event and what that owes."""
        tenant, one = job.request.tenant, job.execution
        at = max(at, one.created_at)
        status = answered.status if answered else None
        failure = failure or (answered.refused if answered else None)
        after = replace(one, state=state, ended_at=at, status=status, failure=failure)
        sealed = None
        if answered is not None and answered.body is not None:
            said = msgspec.json.encode(answered.body)
            sealed = self._seal.seal(said, tenant=tenant, purpose=purpose_of_result(one.id))
        await store.save(tx, tenant, after, sealed)
        await store.put_off(tx, tenant, one.id, None)
        fact = execution_fact(one.id, one.request, state, at, None, httpStatus=status, why=failure)
        entry = Entry(
            subject_kind="execution",
            subject=one.id,
            command=self._new_id(),
            at=at,
            type=fact.name,
            actor=None,
            body=dict(fact.body),
        )
        await tell(tx, tenant, [entry], self._new_id)


def rest(attempts: int) -> timedelta:
    """How long to wait before the next attempt: threefold longer each time."""
    growth: int = GROWTH ** (attempts - 1)
    return FIRST_REST * growth


def purpose_of_result(execution: UUID) -> str:
    return f"result of execution {execution}"
