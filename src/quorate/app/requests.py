"""What people do with requests: ask, start, decide, override, cancel, give a say away, comment.

Everything that changes a request goes through the door, which asks the rules. What stands here is what must be
known before: whether the thing meant is of the kind meant, and evidence, verified outside any transaction.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.app.actor import Actor
from quorate.app.batch import KEPT_FOR
from quorate.app.commands import Door
from quorate.app.evidence import NO_EVIDENCE, Evidence, Verifier
from quorate.app.filing import AskAccess, Asking, Start
from quorate.app.look import people_of
from quorate.app.orders import Done, Idempotency, Order
from quorate.app.record import Origin
from quorate.domain import commands as do
from quorate.domain import lifecycle
from quorate.domain import refusals as no
from quorate.domain.events import Cause, Choice, Closed, Outcome, Overridden, RequestKind
from quorate.domain.permissions import REQUEST_FOR_OTHERS, WORKFLOW_READ, WORKFLOW_WRITE
from quorate.domain.refusals import Refusal
from quorate.domain.requests import Request, StepState
from quorate.store import overrides, replays, tasks
from quorate.store import requests as store
from quorate.store.database import Database
from quorate.store.history import Past
from quorate.store.ids import new_command_id
from quorate.store.replays import ReplayKey
from quorate.store.requests import Key
from quorate.store.tx import Tx

__all__ = ["ACCESS", "EVERY_KIND", "NO_EVIDENCE", "OPERATIONS", "Evidence", "OpenStep", "Past", "Requests"]

EVERY_KIND: Final = frozenset(RequestKind)
ACCESS: Final = frozenset({RequestKind.ACCESS})
OPERATIONS: Final = frozenset({RequestKind.OPERATION})


class OpenStep(Struct, frozen=True):
    """The step of a request that is open: what is decided where requests and not tasks have ids."""

    of: UUID


class Requests:
    """The use cases. Each answers what the door answers, or raises what it raises: a `Refusal`, or `Unavailable`.

    `forget` is told whose access may have grown, since permissions are remembered for seconds; `approved` that there
    is an operation to carry out.
    """

    def __init__(
        self,
        db: Database,
        door: Door,
        verifier: Verifier,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        forget: Callable[[UUID, UUID], None],
        approved: Callable[[], None] = lambda: None,
    ) -> None:
        self._db, self._door, self._verifier = db, door, verifier
        self._clock, self._new_id, self._forget, self._approved = clock, new_id, forget, approved

    async def ask(
        self, actor: Actor, asking: AskAccess, beneficiary: str | None = None, idempotency: Idempotency | None = None
    ) -> Done:
        """File a request for access. `beneficiary` is an id as it was written; None: for oneself.

        Raises: as `filing.submission`; KeyReused; DeniedByPolicy: it was kept, as rejected.
        """
        if beneficiary is not None:
            asking = replace(asking, beneficiary=_account(actor, beneficiary))
        done = await self._take(actor, asking, idempotency=idempotency)
        ended = next((event for event in done.events if isinstance(event, Closed)), None)
        if ended is not None and ended.cause is Cause.POLICY and ended.status is Outcome.REJECTED:
            raise no.DeniedByPolicy(done.request.id, ended.notices, ended.note or "")
        return done

    async def start(self, actor: Actor, asking: Start, idempotency: Idempotency | None = None) -> Done:
        """Start a workflow by hand. Raises: as `filing.submission`; KeyReused."""
        return await self._take(actor, asking, idempotency=idempotency)

    async def decide(
        self,
        actor: Actor,
        about: UUID | OpenStep,
        choice: Choice,
        note: str | None,
        evidence: Evidence = NO_EVIDENCE,
        idempotency: Idempotency | None = None,
        *,
        may_refuse_own: bool = False,
        attached: Any = None,
        kinds: Collection[RequestKind] = EVERY_KIND,
        acting_for: UUID | None = None,
    ) -> Done:
        """Decide in a step: the one whose task this is, or a request's open one.

        `may_refuse_own` and `attached`: see `do.Decide`. `acting_for`: whose decision a program passes on.

        A request of none of the `kinds` is as good as none.

        Raises: as `lifecycle.decide`; NoSuchRequest, KeyReused; as `Verifier.verify`, if evidence came.
        """
        proof = None
        if choice is Choice.APPROVE and evidence != NO_EVIDENCE and (step := await self._decidable(actor, about)):
            proof = await self._verifier.verify(actor, evidence, *step)
        command = do.Decide(
            acting_for or actor.principal,
            choice,
            note,
            proof=proof,
            may_refuse_own=may_refuse_own,
            attached=attached,
            through=actor.principal if acting_for else None,
        )
        if isinstance(about, OpenStep):
            return await self._take(actor, command, request=about.of, idempotency=idempotency, kinds=kinds)
        return await self._take(actor, command, task=about, idempotency=idempotency, kinds=kinds)

    async def take_seat(
        self, actor: Actor, request: UUID, choice: Choice, note: str | None, *, attached: Any = None
    ) -> Done:
        """Take a say in the open step as an administrator and decide with it. Raises: as `lifecycle.take_seat`."""
        command = do.TakeSeat(actor.principal, choice, note, attached=attached)
        return await self._take(actor, command, request=request)

    async def override(
        self,
        actor: Actor,
        request: UUID,
        choice: Choice,
        note: str | None,
        evidence: Evidence = NO_EVIDENCE,
        idempotency: Idempotency | None = None,
    ) -> Done:
        """Settle the open step of an access request as an administrator.

        Raises: as `lifecycle.override`; NoSuchRequest, KeyReused; as `Verifier.verify`, if evidence came.
        """
        found = await self._of_kind(actor, request, ACCESS, WORKFLOW_WRITE)
        proof, is_new = None, not await self._was_answered(actor, idempotency)
        if choice is Choice.APPROVE and evidence != NO_EVIDENCE and is_new and await self._may_override(actor, found):
            proof = await self._verifier.verify(actor, evidence, request, found.current.index)
        command = do.Override(actor.principal, choice, note, proof)
        return await self._take(actor, command, request=request, idempotency=idempotency)

    async def cancel(
        self,
        actor: Actor,
        request: UUID,
        note: str | None,
        *,
        kinds: Collection[RequestKind] = EVERY_KIND,
        idempotency: Idempotency | None = None,
        hides: bool = True,
    ) -> Done:
        """Withdraw a request of one of these kinds.

        `hides`: whoever may not withdraw others' requests does not learn which there are.

        Raises: NotPermitted: neither theirs nor `workflow:write`; NoSuchRequest, AlreadyClosed, KeyReused.
        """
        if hides:
            await self._of_kind(actor, request, kinds, WORKFLOW_WRITE)
        command = do.Cancel(actor.principal, note)
        return await self._take(actor, command, request=request, idempotency=idempotency, kinds=kinds)

    async def discard(self, actor: Actor, request: UUID) -> Done:
        """Put a request of one's own out of sight. Raises: as `lifecycle.discard`; NoSuchRequest."""
        return await self._take(actor, do.Discard(actor.principal), request=request)

    async def reassign(
        self,
        actor: Actor,
        about: UUID | OpenStep,
        to: UUID,
        giver: UUID | None,
        note: str | None,
        idempotency: Idempotency | None = None,
    ) -> Done:
        """Give a say to somebody else: in the step whose task this is, or a request's open one.

        Raises: as `lifecycle.reassign`; KeyReused.
        """
        command = do.Reassign(actor.principal, to, giver, note)
        if isinstance(about, OpenStep):
            return await self._take(actor, command, request=about.of, idempotency=idempotency)
        return await self._take(actor, command, task=about, idempotency=idempotency)

    async def annotate(
        self, actor: Actor, request: UUID, put: dict[str, str], remove: tuple[str, ...], text: str | None
    ) -> Done:
        """Put texts beside what was asked, and take others away. Raises: as `lifecycle.annotate`."""
        command = do.Annotate(actor.principal, self._new_id(), put, remove, text)
        return await self._take(actor, command, request=request)

    async def comment(
        self,
        actor: Actor,
        request: UUID,
        text: str,
        *,
        kinds: Collection[RequestKind],
        idempotency: Idempotency | None = None,
        details: dict[str, Any] | None = None,
        hides: bool = True,
    ) -> Done:
        """Say something to all who may read the request. `details` are the caller's own; `hides`: as for `cancel`.

        Raises: NotPermitted, NoSuchRequest, KeyReused.
        """
        if hides:
            await self._of_kind(actor, request, kinds, WORKFLOW_READ)
        command = do.Comment(actor.principal, self._new_id(), text, details or {})
        return await self._take(actor, command, request=request, idempotency=idempotency, kinds=kinds)

    async def overrides(self, tenant: UUID, requests: Iterable[Request]) -> dict[UUID, Overridden]:
        """Find how administrators passed a step of requests that are still open: their last word in each.

        The end of a request carries its note itself; only in between must history be asked.
        """
        asked = [one.id for one in requests if one.is_open and any(state.settled_by for state in one.walk)]
        if not asked:
            return {}
        async with self._db.tx({tenant}) as tx:
            return await overrides.latest(tx, tenant, asked)

    async def _take(
        self,
        actor: Actor,
        what: do.Command | Asking,
        *,
        request: UUID | None = None,
        task: UUID | None = None,
        idempotency: Idempotency | None = None,
        kinds: Collection[RequestKind] | None = None,
    ) -> Done:
        how = actor.how
        done = await self._door.take(
            Order(
                id=new_command_id(),
                tenant=actor.tenant,
                actor=actor.principal,
                what=what,
                request=request,
                task=task,
                origin=Origin(how.credential, how.surface, how.address),
                idempotency=idempotency,
                kinds=kinds,
            )
        )
        if done.request.status is Outcome.APPROVED and done.request.beneficiary is not None:
            self._forget(actor.tenant, done.request.beneficiary)  # They may have a role more.
            if done.request.filing.kind is RequestKind.OPERATION:
                self._approved()
        return done

    async def _of_kind(self, actor: Actor, id: UUID, kinds: Collection[RequestKind], permission: str) -> Request:
        """Find a request of one of these kinds; its kind never changes, so this may be asked before the door.

        Raises:
            NoSuchRequest: there is none.
            NotPermitted: there is none, and the caller could not learn so. Source: native contract (d) 10.
        """
        async with self._db.tx({actor.tenant}) as tx:
            found = (await store.load(tx, [id])).get(Key(actor.tenant, id))
        if found is None or found.request.filing.kind not in kinds:
            actor.demand(permission)
            raise no.NoSuchRequest(id)
        return found.request

    async def _was_answered(self, actor: Actor, idempotency: Idempotency | None) -> bool:
        """Say whether the door will only repeat what it answered: then what was signed for that is used up, rightly."""
        if idempotency is None:
            return False
        key = ReplayKey(actor.tenant, actor.principal, idempotency.key)
        async with self._db.tx({actor.tenant}) as tx:
            return bool(await replays.find(tx, [key], self._clock() - KEPT_FOR))

    async def _decidable(self, actor: Actor, about: UUID | OpenStep) -> tuple[UUID, int] | None:
        """Look, cheaply, whether a decision could count at all: in which request and step. The door says why not."""
        async with self._db.tx({actor.tenant}) as tx:
            found = await _step(tx, actor.tenant, about)
            if found is None:
                return None
            request, state = found
            people = await people_of(tx, actor.principal, [request], self._clock())
        try:
            command = do.Decide(actor.principal, Choice.APPROVE, step=state.index)
            lifecycle.may_decide(request, command, people)
        except Refusal:
            return None
        return request.id, state.index

    async def _may_override(self, actor: Actor, request: Request) -> bool:
        async with self._db.tx({actor.tenant}) as tx:
            people = await people_of(tx, actor.principal, [request], self._clock())
        try:
            lifecycle.may_override(request, actor.principal, people)
        except Refusal:
            return False
        return True


async def _step(tx: Tx, tenant: UUID, about: UUID | OpenStep) -> tuple[Request, StepState] | None:
    if isinstance(about, OpenStep):
        held = (await store.load(tx, [about.of])).get(Key(tenant, about.of))
        return (held.request, held.request.current) if held is not None and held.request.walk else None
    found = await tasks.read(tx, tenant, about)
    if found is None:
        return None
    request, index = found[0].request, found[1]
    state = request.opened(index)
    return (request, state) if state is not None else None


def _account(actor: Actor, written: str) -> UUID:
    """Read the id of an account. One that is no id names nobody.

    Raises: NotPermitted, where the caller could not ask for anybody anyway; NoSuchUser.
    """
    try:
        return UUID(written)
    except ValueError:
        actor.demand(REQUEST_FOR_OTHERS)
        raise no.NoSuchUser(written) from None
