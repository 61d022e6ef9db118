"""Policies: made, changed, removed and asked. Who may is asked in the transaction that acts.

A text is checked before its transaction, off the event loop: checking needs the tenant's words and no rows.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from quorate.app import authority
from quorate.app.actor import Actor
from quorate.app.cedar.asking import Asked, Asking
from quorate.app.cedar.check import Checked, check
from quorate.app.cedar.ready import Ready, Shelf
from quorate.app.cedar.schema import Vocabulary, vocabulary
from quorate.app.cedar.text import parse
from quorate.app.operations.own import POLICY_WRITE, attempt
from quorate.app.operations.rules import demand_approved
from quorate.app.tell import tell
from quorate.domain import policy as rules
from quorate.domain import refusals as no
from quorate.domain.permissions import WORKFLOW_READ
from quorate.domain.policy import BadPolicy, Mode, NoSuchPolicy, Outcome, Policy, Problem, Rule
from quorate.store import policies as store
from quorate.store.database import Database
from quorate.store.events import Entry
from quorate.store.policies import NameTaken
from quorate.store.tx import Tx

__all__ = ["POLICY_WRITE", "Asked", "Change", "Draft", "Policies", "Ready"]

MAX_POLICIES: Final = 500
MAX_CHARACTERS: Final = 512 * 1024  # Of all Cedar texts of a tenant.
TRIES: Final = 5


class Draft(Struct, frozen=True, kw_only=True):
    """What a new policy shall be. Durations and the timeout in seconds."""

    name: str
    description: str | None = None
    enabled: bool = True
    priority: int = 0
    max_duration_seconds: int | None = None
    default_duration_seconds: int | None = None
    mode: Mode = Mode.REQUIRE
    approval_timeout_seconds: int | None = None
    notification_channel: str | None = None
    cedar: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """What a policy shall become; what is UNSET stays as it is."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    max_duration_seconds: int | UnsetType | None = UNSET
    default_duration_seconds: int | UnsetType | None = UNSET
    mode: Mode | UnsetType = UNSET
    approval_timeout_seconds: int | UnsetType | None = UNSET
    notification_channel: str | UnsetType | None = UNSET
    cedar: str | UnsetType = UNSET

    def said(self) -> dict[str, Any]:
        """Give what was said, by field."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class Policies:
    """The use cases, and the compiled policies of all tenants that have lately been asked."""

    def __init__(
        self,
        db: Database,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        shelf: Shelf | None = None,
    ) -> None:
        self._db, self._clock, self._new_id = db, clock, new_id
        self._shelf = Shelf() if shelf is None else shelf
        self._asking = Asking(self._shelf, clock)

    async def ready(self, tx: Tx) -> dict[UUID, Ready]:
        """Give the policies of the transaction's tenants, as they stand in it; `Ready.ask` then answers at once."""
        return await self._shelf.ready(tx)

    async def decide(self, tenant: UUID, asked: Asked) -> Outcome:
        """Answer one question in a transaction of its own. Nobody is asked whether they may ask."""
        async with self._db.tx({tenant}) as tx:
            return await self._asking.answer(tx, tenant, asked)

    async def dry_run(self, actor: Actor, asked: Asked) -> Outcome:
        """Answer what the policies would say. About oneself anybody may ask, about others who may write policies.

        Raises: AccountInactive, NotPermitted.
        """
        async with self._db.tx({actor.tenant}) as tx:
            await self._asking.demand(tx, actor, asked, POLICY_WRITE)
            return await self._asking.answer(tx, actor.tenant, asked)

    async def check(self, actor: Actor, cedar: str) -> Checked:
        """Read a text and hold it against the tenant's schema, without keeping it. Raises: NotPermitted."""
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, POLICY_WRITE, self._clock())
            known = await _vocabulary(tx, actor.tenant)
        return await asyncio.to_thread(check, cedar, known)

    async def read(self, actor: Actor, id: UUID) -> Policy:
        """Raises: NotPermitted, NoSuchPolicy."""
        async with self._db.tx({actor.tenant}) as tx:
            await _may_read(tx, actor, self._clock())
            return _found(await store.read(tx, actor.tenant, id), id)

    async def page(self, actor: Actor, limit: int, offset: int) -> tuple[list[Policy], int]:
        """Read a page of policies, the highest priority first, and their number in all. Raises: NotPermitted."""
        async with self._db.tx({actor.tenant}) as tx:
            await _may_read(tx, actor, self._clock())
            return await store.page(tx, actor.tenant, limit, offset)

    async def create(self, actor: Actor, draft: Draft) -> Policy:
        """Make a policy. Raises: NotPermitted, BadPolicy, DuplicateName."""
        at = self._clock()
        said = {name: getattr(draft, name) for name in draft.__struct_fields__}
        new = Policy(id=self._new_id(), created_at=at, updated_at=at, **said)
        await self._fit(actor, new, check_text=True)
        async with authority.transaction(self._db, actor) as tx:
            await authority.demand(tx, actor, POLICY_WRITE, at)
            await _leave_room(tx, actor.tenant, new)
            if not await store.add(tx, actor.tenant, new):
                raise no.DuplicateName(new.name)
            await demand_approved(tx, actor, attempt("POST", "policies"))
            await self._happened(tx, actor, new.id, at, "policy.created", _shown(new))
        return new

    async def update(
        self, actor: Actor, id: UUID, change: Change, admits: Callable[[Policy], bool] = lambda _: True
    ) -> Policy:
        """Change what was said, all of it or nothing; saying what is so already changes nothing, `updated_at` included.

        `admits`: whether the caller means the policy as it now is.

        Raises: NotPermitted, NoSuchPolicy, PreconditionFailed, BadPolicy, DuplicateName.
        """
        said = change.said()
        now = await self._for_change(actor, id)
        after = replace(now, **said)
        await self._fit(actor, after, check_text=after.cedar != now.cedar or (after.enabled and not now.enabled))
        at = self._clock()
        try:
            async with authority.transaction(self._db, actor) as tx:
                await authority.demand(tx, actor, POLICY_WRITE, at)
                held = _found(await store.lock(tx, actor.tenant, id), id)
                if not admits(held):
                    raise no.PreconditionFailed
                after = replace(held, **said)
                if after == held:
                    return held
                if found := rules.problems(after):
                    raise BadPolicy(tuple(found))
                await _leave_room(tx, actor.tenant, after)
                after = replace(after, version=held.version + 1, updated_at=max(at, held.updated_at))
                await store.save(tx, actor.tenant, after)
                before = _shown(held)
                body = {key: value for key, value in _shown(after).items() if before.get(key, UNSET) != value}
                await self._happened(tx, actor, id, after.updated_at, "policy.updated", body)
                await demand_approved(tx, actor, attempt("PUT", "policies", id))
                return after
        except NameTaken as taken:
            raise no.DuplicateName(str(taken)) from None

    async def add_rule(self, actor: Actor, id: UUID, text: str) -> tuple[Policy, Rule]:
        """Put one more rule behind those a policy has.

        Raises: NotPermitted, NoSuchPolicy, BadPolicy; PreconditionFailed: others changed it all the while.
        """
        if len(parse(text).rules) > 1:
            raise BadPolicy((Problem("cedar", "must be one rule"),))
        for _ in range(TRIES):
            now = await self._for_change(actor, id)
            longer = f"{now.cedar.rstrip()}\n\n{text.strip()}".lstrip()
            try:
                after = await self.update(actor, id, Change(cedar=longer), partial(_is_still, now))
            except no.PreconditionFailed:
                continue
            return after, rules_of(after)[-1]
        raise no.PreconditionFailed

    async def delete(self, actor: Actor, id: UUID, admits: Callable[[Policy], bool] = lambda _: True) -> None:
        """Remove a policy; its history stays. Raises: NotPermitted, NoSuchPolicy, PreconditionFailed."""
        at = self._clock()
        async with authority.transaction(self._db, actor) as tx:
            await authority.demand(tx, actor, POLICY_WRITE, at)
            held = _found(await store.lock(tx, actor.tenant, id), id)
            if not admits(held):
                raise no.PreconditionFailed
            await demand_approved(tx, actor, attempt("DELETE", "policies", id))
            await store.remove(tx, actor.tenant, id)
            await self._happened(tx, actor, id, max(at, held.updated_at), "policy.deleted", {"name": held.name})

    async def _for_change(self, actor: Actor, id: UUID) -> Policy:
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, POLICY_WRITE, self._clock())
            return _found(await store.read(tx, actor.tenant, id), id)

    async def _fit(self, actor: Actor, policy: Policy, *, check_text: bool) -> None:
        """Raises: NotPermitted; BadPolicy: it cannot be kept so."""
        checked = await self.check(actor, policy.cedar) if check_text else Checked()
        found = (*rules.problems(policy), *checked.problems)
        if found:
            raise BadPolicy(found)

    async def _happened(self, tx: Tx, actor: Actor, id: UUID, at: datetime, what: str, body: dict[str, Any]) -> None:
        entry = Entry(
            subject_kind="policy",
            subject=id,
            command=self._new_id(),
            at=at,
            type=what,
            actor=actor.principal,
            credential=actor.how.credential,
            surface=actor.how.surface,
            address=actor.how.address,
            body=body,
        )
        await tell(tx, actor.tenant, [entry], self._new_id)


def rules_of(policy: Policy) -> tuple[Rule, ...]:
    """The rules of a policy; none of one whose text cannot be read."""
    return parse(policy.cedar).rules


async def _may_read(tx: Tx, actor: Actor, at: datetime) -> None:
    """Who writes policies or reads workflows may read them."""
    try:
        await authority.demand(tx, actor, POLICY_WRITE, at)
    except no.NotPermitted:
        await authority.demand(tx, actor, WORKFLOW_READ, at)


async def _vocabulary(tx: Tx, tenant: UUID) -> Vocabulary:
    """Read a tenant's own words. Of one that does not exist there are none."""
    stamp = (await store.stamps(tx)).get(tenant)
    return vocabulary(stamp.settings if stamp else b"{}", await store.operation_names(tx, tenant))


async def _leave_room(tx: Tx, tenant: UUID, policy: Policy) -> None:
    policies, characters = await store.size(tx, tenant, policy.id)
    if policies >= MAX_POLICIES:
        raise BadPolicy((Problem("name", f"there are {MAX_POLICIES} policies already"),))
    if characters + len(policy.cedar) > MAX_CHARACTERS:
        raise BadPolicy((Problem("cedar", f"all policies together have at most {MAX_CHARACTERS} characters"),))


def _found(found: Policy | None, id: UUID) -> Policy:
    if found is None:
        raise NoSuchPolicy(id)
    return found


def _is_still(seen: Policy, held: Policy) -> bool:
    return held.version == seen.version


def _shown(policy: Policy) -> dict[str, Any]:
    """What history keeps of a policy."""
    return {"name": policy.name, "enabled": policy.enabled, "priority": policy.priority, **store.body(policy)}
