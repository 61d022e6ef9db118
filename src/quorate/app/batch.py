"""One batch of the door: lock, decide, record; the orders of one transaction, each with an answer of its own."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import to_builtins
from msgspec.structs import replace

from quorate.app import filing, grants, planning, tenants
from quorate.app.cedar.ready import Shelf
from quorate.app.defaults import settled_for
from quorate.app.filing import AskAccess, Asking, Planned
from quorate.app.judging import may_approve
from quorate.app.lanes import Wait
from quorate.app.look import look
from quorate.app.orders import Answer, Done, Order
from quorate.app.record import NOWHERE, Caused, Change, execute, give, owe, write_down
from quorate.app.tenants import Rules
from quorate.domain import commands as do
from quorate.domain import lifecycle, routing
from quorate.domain import refusals as no
from quorate.domain.breakglass import review_of, reviewed
from quorate.domain.events import Decided, Event, Outcome, Overridden
from quorate.domain.history import apply_all, replay
from quorate.domain.people import People
from quorate.domain.permissions import REQUEST_APPROVE
from quorate.domain.refusals import Refusal
from quorate.store import credentials, history, replays
from quorate.store import requests as store
from quorate.store.database import CommitUnknown, Database, Retryable
from quorate.store.record import record
from quorate.store.replays import Kept, ReplayKey
from quorate.store.requests import Changes, Held, Key
from quorate.store.tx import Tx

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(hours=24)
PUT_OFF = timedelta(minutes=10)
_DECISIONS = (do.Decide, do.Override, do.TakeSeat)
_NOBODYS: Final[Mapping[str, do.Recheck | do.Remind]] = {"recheck": do.Recheck(), "reminder": do.Remind(None)}
_NEVER_KEPT = (no.AccountInactive, no.NotPermitted, no.OwnRequest, no.EvidenceMissing)

Clock = Callable[[], datetime]
Ids = Callable[[], UUID]


async def run(
    db: Database, orders: Sequence[Order], clock: Clock, new_id: Ids, shelf: Shelf | None = None
) -> list[Answer]:
    """Carry out orders in one transaction; answer each, in order. `shelf` keeps the tenants' policies compiled.

    Raises: Retryable, CommitUnknown, and whatever a mistake of ours raises. Then nobody has been answered.
    """
    at = clock()
    shelf = Shelf() if shelf is None else shelf  # An empty one is none the less the one to keep things in.
    async with db.tx({order.tenant for order in orders}) as tx:
        answers = await _answered_before(tx, orders, at)
        live = [order for order in orders if order.id not in answers]
        if live:
            answers |= await _Working(at, new_id, shelf).carry_out(tx, live)
        await _keep(tx, orders, answers, at)
    return [answers[order.id] for order in orders]


async def lapse_due(db: Database, tenant: UUID, kind: str, clock: Clock, new_id: Ids, most: int) -> int:
    """Do what time (`request`), changed people (`recheck`), a changed `target` or a `reminder` bring requests.

    Says to how many.

    What others hold is passed over: whoever holds it brings it up to date, or the next round finds it. One that
    fails for a reason of its own is put off and logged, and keeps no other waiting.
    """
    at = clock()
    async with db.tx([tenant]) as tx:
        due = await store.due(tx, kind, at, most)
    try:
        return await _bring_up(db, tenant, kind, due, at, new_id)
    except (Retryable, CommitUnknown):
        raise
    except Exception:
        if len(due) == 1:
            return await _put_off(db, tenant, kind, due[0], at)
    done = 0
    for id in due:
        try:
            done += await _bring_up(db, tenant, kind, [id], at, new_id)
        except (Retryable, CommitUnknown):
            raise
        except Exception:
            done += await _put_off(db, tenant, kind, id, at)
    return done


async def _bring_up(db: Database, tenant: UUID, kind: str, ids: Sequence[UUID], at: datetime, new_id: Ids) -> int:
    if not ids:
        return 0
    async with db.tx([tenant]) as tx:
        held = await store.lock_free(tx, ids)
        if held:
            working = _Working(at, new_id, Shelf())
            await working.bring_up(tx, held, _NOBODYS.get(kind))
            done = [(key.tenant, kind, key.id) for key in held] if kind in ("recheck", "target") else []
            await working.record(tx, done)
    return len(held)


async def _put_off(db: Database, tenant: UUID, kind: str, id: UUID, at: datetime) -> int:
    log.exception("a request could not be brought up to date", extra={"tenant": str(tenant), "request": str(id)})
    async with db.tx([tenant]) as tx:
        await store.put_off(tx, kind, id, at + PUT_OFF)
    return 0


async def done_before(tx: Tx, tenant: UUID, request: UUID, upto: int, command: UUID | None) -> Done:
    """Rebuild the answer to a command that was carried out before, from the history it wrote."""
    past = await history.of_request(tx, tenant, request, upto)
    now = (await store.load(tx, [request]))[Key(tenant, request)]
    then = replay(tenant, request, [one.event for one in past])
    return Done(Held(then, now.tasks), tuple(one.event for one in past if one.command == command), replayed=True)


class _Working:
    """The requests of a batch as they change."""

    def __init__(self, at: datetime, new_id: Ids, shelf: Shelf) -> None:
        self._at, self._new_id, self._shelf = at, new_id, shelf
        self._held: dict[Key, Held] = {}
        self._changes: dict[Key, Change] = {}
        self._people: dict[UUID, People] = {}
        self._rules: dict[UUID, Rules] = {}
        self._shown: list[store.FactorShown] = []

    async def carry_out(self, tx: Tx, orders: Sequence[Order]) -> dict[UUID, Answer]:
        self._held = await store.lock(
            tx,
            {Key(order.tenant, order.request) for order in orders if order.request and not order.is_asking},
            {Key(order.tenant, order.task) for order in orders if order.task},
            {(order.tenant, key) for order in orders if (key := _duplicate_key(order))},
        )
        by_task = {Key(key.tenant, task): key for key, held in self._held.items() for task in held.tasks}
        keyed = [(order, _key_of(order, by_task)) for order in orders]
        plans = await _plans(tx, orders, self._shelf, self._at)
        self._rules = await tenants.rules(tx)
        plans = {
            order.id: settled_for(plans[order.id], order.what, order.actor, self._rules[order.tenant])
            for order in orders
            if order.id in plans and isinstance(order.what, Asking) and order.actor is not None
        }
        if shown := {(order.tenant, id) for order in orders if (id := _factor_of(order))}:
            await credentials.hold(tx, shown)
        self._people = await look(tx, self._rules, self._held, keyed, plans, self._at)
        await self._ask_policies(tx, keyed)
        self._lapse()

        answers: dict[UUID, Answer] = {}
        touched = {about for order, about in keyed if about and not order.is_asking}
        for order, about in keyed:
            try:
                answers[order.id] = (
                    self._ask(order, plans[order.id], touched) if order.is_asking else self._handle(order, about)
                )
            except Refusal as refusal:
                answers[order.id] = refusal
        made = await self.record(tx)
        for order in orders:
            answer = answers[order.id]
            if order.is_asking and isinstance(answer, Done) and Key(order.tenant, answer.request.id) not in made:
                answers[order.id] = no.DuplicateRequest(None)
        return answers

    async def bring_up(self, tx: Tx, held: dict[Key, Held], command: do.Recheck | do.Remind | None) -> None:
        """Do what time has done to held requests, and then a command that is nobody's."""
        self._held = held
        orders = [(Order(self._new_id(), key.tenant, None, command, key.id), key) for key in held]
        self._rules = await tenants.rules(tx)
        self._people = await look(tx, self._rules, held, orders, {}, self._at)
        self._lapse()
        for order, key in orders:
            if command is not None:
                self._handle(order, key)

    async def record(self, tx: Tx, timers_done: Iterable[tuple[UUID, str, UUID]] = ()) -> set[Key]:
        changes = Changes(timers_gone=list(timers_done), shown=self._shown)
        for key, change in sorted(self._changes.items()):
            write_down(changes, change)
            give(changes, change, self._new_id)
            execute(changes, change, self._new_id)
            owe(changes, change, self._rules[key.tenant].subscriptions, self._new_id, self._at)
        made = await record(tx, changes)
        await self._undo_unjustified(tx)
        return made

    async def _undo_unjustified(self, tx: Tx) -> None:
        """Revoke the access whose review was rejected in this batch."""
        for key, change in self._changes.items():
            request = change.after.request
            about = reviewed(request.filing)
            if about is not None and change.before is not None and request.status is Outcome.REJECTED:
                await grants.revoke_of_request(
                    tx, key.tenant, about, self._at, request.closed_by, "the review found it unjustified", self._new_id
                )

    async def _ask_policies(self, tx: Tx, keyed: Sequence[tuple[Order, Key | None]]) -> None:
        """Find those whom only a policy lets decide, of requests that no workflow governs."""
        asked = []
        for order, key in keyed:
            if not isinstance(order.what, do.Decide) or key is None or key not in self._held:
                continue
            request, person = self._held[key].request, self._people[key.tenant].person(order.actor)
            if request.is_open and not person.may(REQUEST_APPROVE) and routing.goes_the_built_in_way(request):
                asked.append((request, person))
        if asked:
            permitted = await may_approve(tx, self._shelf, asked, self._at)
            self._people = {tenant: replace(one, permitted=permitted) for tenant, one in self._people.items()}

    def _lapse(self) -> None:
        for key, held in self._held.items():
            people, at = self._people[key.tenant], self._at if held.lost_at is None else min(held.lost_at, self._at)
            events = lifecycle.lapse(held.request, people, at=at)
            if held.lost_at is not None:
                now = apply_all(held.request, events)
                events += lifecycle.handle(now, do.LoseTarget(), people, at=max(at, now.updated_at))
            if events:
                self._happen(key, Caused(self._new_id(), None, NOWHERE, tuple(events)))

    def _handle(self, order: Order, key: Key | None) -> Done:
        if key is None or key not in self._held:
            raise no.NoSuchRequest(order.request or order.task or "")
        request, command = self._now(key).request, order.what
        if command is None:
            return Done(self._now(key), ())
        assert not isinstance(command, Asking)
        if order.kinds is not None and request.filing.kind not in order.kinds:
            raise no.NoSuchRequest(request.id)
        if order.task is not None and isinstance(command, do.Decide | do.Reassign):
            command = replace(command, step=self._held[key].tasks.index(order.task))
        if isinstance(command, do.Decide | do.Override | do.Comment) and self._is_service(order):
            command = replace(command, credential=order.origin.credential)
        at = max(self._at, request.updated_at)
        events = lifecycle.handle(request, command, self._people[key.tenant], at=at)
        self._note_factor(order, events, at)
        self._happen(key, Caused(order.id, order.actor, order.origin, tuple(events)))
        rules, people = self._rules[order.tenant], self._people[order.tenant]
        return Done(self._now(key), tuple(events), rules=rules, people=people)

    def _note_factor(self, order: Order, events: Sequence[Event], at: datetime) -> None:
        """Let the second factor of a decision count from now on, for what comes later in the batch too."""
        for event in events:
            if isinstance(event, Decided | Overridden) and event.factor is not None:
                assert isinstance(order.what, _DECISIONS)
                assert order.what.proof is not None
                count = order.what.proof.sign_count
                people = self._people[order.tenant]
                self._people[order.tenant] = people.having_shown(order.what.actor, event.factor, count)
                self._shown.append(store.FactorShown(order.tenant, event.factor, count, at))

    def _ask(self, order: Order, planned: Planned, touched: set[Key]) -> Done | Wait:
        assert isinstance(order.what, Asking)
        assert order.actor is not None
        duplicate = None
        if (wanted := _duplicate_key(order)) is not None:
            for key, held in [*self._held.items()]:
                if key.tenant == order.tenant and held.request.filing.duplicate_key == wanted and held.request.is_open:
                    if key in touched or not self._now(key).request.is_open:
                        return Wait()
                    duplicate = key.id
            if any(key.tenant == order.tenant and _is_new(one, wanted) for key, one in self._changes.items()):
                return Wait()
        people, id = self._people[order.tenant], order.request or self._new_id()
        if isinstance(order.what, AskAccess) and order.what.breaks_glass:
            glass = self._rules[order.tenant].glass
            command = filing.break_glass(order.actor, order.what, planned, people, glass)
            done = self._submit(order, id, order.id, command)
            review, route = review_of(id, done.request.filing)
            self._submit(order, self._new_id(), self._new_id(), do.Submit(order.actor, review, route))
            return done
        rules = self._rules[order.tenant]
        command = filing.submission(order.actor, order.what, planned, people, duplicate, rules, self._at, order.origin)
        return self._submit(order, id, order.id, command)

    def _submit(self, order: Order, id: UUID, cause: UUID, command: do.Submit) -> Done:
        key = Key(order.tenant, id)
        if order.origin.surface:
            command = replace(command, filing=replace(command.filing, surface=order.origin.surface))
        if order.number is not None and not command.filing.is_review:
            command = replace(command, filing=replace(command.filing, number=order.number))
        if self._is_service(order):
            command = replace(command, filing=replace(command.filing, filed_with=order.origin.credential))
        request, events = lifecycle.submit(key.tenant, id, command, self._people[key.tenant], at=self._at)
        caused = Caused(cause, order.actor, order.origin, tuple(events))
        tasks = tuple(self._new_id() for _ in request.walk)
        self._changes[key] = Change(None, Held(request, tasks), [caused])
        return Done(self._changes[key].after, tuple(events))

    def _is_service(self, order: Order) -> bool:
        return self._people[order.tenant].person(order.actor).is_service

    def _now(self, key: Key) -> Held:
        return self._changes[key].after if key in self._changes else self._held[key]

    def _happen(self, key: Key, caused: Caused) -> None:
        """Let events happen to a held request; every step they open is given a task."""
        if not caused.events:
            return
        now = self._now(key)
        request = apply_all(now.request, caused.events)
        tasks = now.tasks + tuple(self._new_id() for _ in request.walk[len(now.tasks) :])
        change = self._changes.setdefault(key, Change(self._held[key], now, []))
        change.after = Held(request, tasks)
        change.caused.append(caused)


def _factor_of(order: Order) -> UUID | None:
    """Name the second factor that an order shows."""
    proof = order.what.proof if isinstance(order.what, _DECISIONS) else None
    return proof.credential if proof is not None else None


def _is_new(change: Change, duplicate_key: str) -> bool:
    return change.before is None and change.after.request.filing.duplicate_key == duplicate_key


async def _plans(tx: Tx, orders: Sequence[Order], shelf: Shelf, at: datetime) -> dict[UUID, Planned]:
    askings = [
        (order.id, order.tenant, order.actor, order.what)
        for order in orders
        if isinstance(order.what, Asking) and order.actor is not None
    ]
    if not askings:
        return {}
    planned = await planning.plan(tx, [(tenant, actor, asking) for _, tenant, actor, asking in askings], shelf, at)
    return {order: plan for (order, *_), plan in zip(askings, planned, strict=True)}


def _duplicate_key(order: Order) -> str | None:
    if not isinstance(order.what, Asking) or order.actor is None:
        return None
    return filing.duplicate_key(order.what, order.actor)


def _key_of(order: Order, by_task: dict[Key, Key]) -> Key | None:
    if order.task is not None:
        return by_task.get(Key(order.tenant, order.task))
    return Key(order.tenant, order.request) if order.request else None


async def _answered_before(tx: Tx, orders: Sequence[Order], at: datetime) -> dict[UUID, Answer]:
    """Answer what was answered before, and put off a second use of an idempotency key within the batch."""
    answers: dict[UUID, Answer] = {}
    first: dict[ReplayKey, Order] = {}
    for order in orders:
        if (key := order.replay_key) is not None and first.setdefault(key, order) is not order:
            answers[order.id] = Wait()
    found = await replays.find(tx, first, at - KEPT_FOR) if first else {}
    for key, (fingerprint, kept) in found.items():
        order = first[key]
        assert order.idempotency is not None
        same = fingerprint == order.idempotency.fingerprint
        answers[order.id] = await _kept_answer(tx, order.tenant, kept) if same else no.KeyReused()
    return answers


async def _kept_answer(tx: Tx, tenant: UUID, kept: Kept) -> Answer:
    if kept.code is not None:
        refusal = no.remembered(kept.code, kept.facts)
        refusal.replayed = True
        return refusal
    assert kept.request is not None
    return await done_before(tx, tenant, kept.request, kept.version, kept.command)


async def _keep(tx: Tx, orders: Sequence[Order], answers: dict[UUID, Answer], at: datetime) -> None:
    """Keep the answers to calls that carried a key. Never a refusal that depends on who may.

    Raises: Retryable: another server has just answered the same key; the retry finds its answer.
    """
    new: list[tuple[ReplayKey, bytes, Kept]] = []
    for order in orders:
        key, answer = order.replay_key, answers[order.id]
        if key is None or order.idempotency is None:
            continue
        match answer:
            case Done(replayed=False):
                kept = Kept(answer.request.id, answer.request.version, order.id)
            case Refusal() if not isinstance(answer, (*_NEVER_KEPT, no.KeyReused)) and not answer.replayed:
                kept = Kept(code=answer.code, facts=to_builtins(answer.facts()))
            case _:
                continue
        new.append((key, order.idempotency.fingerprint, kept))
    if new and not await replays.keep(tx, new, at, at - KEPT_FOR):
        raise Retryable("the idempotency key was used elsewhere at the same moment")
