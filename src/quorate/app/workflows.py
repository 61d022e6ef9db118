"""Definitions: made, changed, set going, stopped and deleted. Each is one transaction that writes its own history.

A running request keeps the route it was filed with, so nothing here touches one.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from quorate.app import authority
from quorate.app.actor import Actor
from quorate.app.definitions import show_leaves, show_step
from quorate.app.operations.own import Attempt, attempt
from quorate.app.operations.rules import demand_approved
from quorate.app.tell import tell
from quorate.domain import refusals as no
from quorate.domain.permissions import WORKFLOW_READ, WORKFLOW_WRITE
from quorate.domain.workflows import Leaf, Status, Step, Workflow
from quorate.store import events
from quorate.store import workflows as store
from quorate.store.database import Database
from quorate.store.tx import Tx
from quorate.store.workflows import Definition, NameTaken

__all__ = ["Change", "Definition", "Draft", "Workflows"]


class Draft(Struct, frozen=True, kw_only=True):
    """What a new workflow shall be. The steps have been read and found whole."""

    name: str
    description: str | None
    steps: tuple[Step, ...]
    resource_types: tuple[str, ...] | None = None
    auto_approve: str = "none"
    fallback: tuple[Leaf, ...] = ()


class Change(Struct, frozen=True, kw_only=True):
    """What a workflow shall become; what is UNSET stays as it is."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    steps: tuple[Step, ...] | UnsetType = UNSET
    resource_types: tuple[str, ...] | UnsetType | None = UNSET
    auto_approve: str | UnsetType = UNSET
    fallback: tuple[Leaf, ...] | UnsetType = UNSET

    def said(self) -> dict[str, Any]:
        """Give what was said, by field."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class Workflows:
    """The use cases. Every one of them asks the directory, in its own transaction, whether the actor may."""

    def __init__(self, db: Database, *, clock: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._db, self._clock, self._new_id = db, clock, new_id

    async def read(self, actor: Actor, id: UUID) -> Definition:
        """Raises: NotPermitted, NoSuchWorkflow."""
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, WORKFLOW_READ, self._clock())
            return _found(await store.read(tx, actor.tenant, id), id)

    async def page(self, actor: Actor, limit: int, offset: int) -> tuple[list[Definition], int]:
        """Read a page of workflows, newest first, and their number in all. Raises: NotPermitted."""
        async with self._db.tx({actor.tenant}) as tx:
            await authority.demand(tx, actor, WORKFLOW_READ, self._clock())
            return await store.page(tx, actor.tenant, limit, offset)

    async def create(self, actor: Actor, draft: Draft) -> Definition:
        """Make a draft. Raises: NotPermitted, DuplicateName."""
        at = self._clock()
        made = Workflow(
            id=self._new_id(),
            name=draft.name,
            description=draft.description,
            status=Status.DRAFT,
            steps=_in_order(draft.steps),
            resource_types=draft.resource_types,
            auto_approve=draft.auto_approve,
            fallback=draft.fallback,
        )
        new = Definition(made, at, at)
        async with authority.transaction(self._db, actor) as tx:
            await authority.demand(tx, actor, WORKFLOW_WRITE, at)
            if not await store.add(tx, actor.tenant, new):
                raise no.DuplicateName(draft.name)
            await demand_approved(tx, actor, attempt("POST", "workflows"))
            await self._happened(tx, actor, new.id, at, "workflow.created", _shown(made))
        return new

    async def update(
        self, actor: Actor, id: UUID, change: Change, admits: Callable[[Definition], bool] = lambda _: True
    ) -> Definition:
        """Change what was said, all of it or nothing; saying what is so already changes nothing, `updated_at` included.

        `admits`: whether the caller means the workflow as it now is.

        Raises: NotPermitted, NoSuchWorkflow, PreconditionFailed;
            StepsFrozen: steps were said and it is no longer a draft;
            DuplicateName.
        """

        async def work(tx: Tx, now: Definition, at: datetime) -> Definition:
            if not admits(now):
                raise no.PreconditionFailed
            said = change.said()
            if "steps" in said:
                if now.workflow.status is not Status.DRAFT:
                    raise no.StepsFrozen(id, now.workflow.status.value)
                said["steps"] = _in_order(said["steps"])
            changed = replace(now.workflow, **said)
            if changed == now.workflow:
                return now
            after = _after(now, changed, at)
            await store.save(tx, actor.tenant, after)
            before = _shown(now.workflow)
            body = {key: value for key, value in _shown(changed).items() if before.get(key, UNSET) != value}
            await self._happened(tx, actor, id, after.updated_at, "workflow.updated", body)
            return after

        try:
            return await self._change(actor, attempt("PUT", "workflows", id), id, work)
        except NameTaken as taken:
            raise no.DuplicateName(str(taken)) from None

    async def activate(self, actor: Actor, id: UUID) -> Definition:
        """Let requests walk through it. Raises: NotPermitted, NoSuchWorkflow; WorkflowState: it is active."""

        async def work(tx: Tx, now: Definition, at: datetime) -> Definition:
            if now.workflow.status is Status.ACTIVE:
                raise no.WorkflowState(id, now.workflow.status.value, "activate")
            after = _after(now, replace(now.workflow, status=Status.ACTIVE), at)
            after = replace(after, activated_at=after.updated_at)
            await store.save(tx, actor.tenant, after)
            await self._happened(tx, actor, id, after.updated_at, "workflow.activated", {"name": now.workflow.name})
            return after

        return await self._change(actor, attempt("POST", "workflows", id, "activate"), id, work)

    async def deactivate(self, actor: Actor, id: UUID) -> Definition:
        """Take no more requests; those that run run on. Raises: NotPermitted, NoSuchWorkflow, WorkflowState."""

        async def work(tx: Tx, now: Definition, at: datetime) -> Definition:
            if now.workflow.status is not Status.ACTIVE:
                raise no.WorkflowState(id, now.workflow.status.value, "deactivate")
            after = _after(now, replace(now.workflow, status=Status.INACTIVE), at)
            await store.save(tx, actor.tenant, after)
            await self._happened(tx, actor, id, after.updated_at, "workflow.deactivated", {"name": now.workflow.name})
            return after

        return await self._change(actor, attempt("POST", "workflows", id, "deactivate"), id, work)

    async def delete(self, actor: Actor, id: UUID) -> None:
        """Delete it; its name may be used again, and requests keep their history.

        Raises: NotPermitted, NoSuchWorkflow; WorkflowState: it is active; WorkflowInUse: requests walk through it.
        """

        async def work(tx: Tx, now: Definition, at: datetime) -> Definition:
            if now.workflow.status is Status.ACTIVE:
                raise no.WorkflowState(id, now.workflow.status.value, "delete")
            if await store.has_open_requests(tx, actor.tenant, id, at):
                raise no.WorkflowInUse(id)
            at = max(at, now.updated_at)
            await store.mark_deleted(tx, actor.tenant, id, at)
            await self._happened(tx, actor, id, at, "workflow.deleted", {"name": now.workflow.name})
            return now

        await self._change(actor, attempt("DELETE", "workflows", id), id, work)

    async def _change(
        self,
        actor: Actor,
        trying: Attempt,
        id: UUID,
        work: Callable[[Tx, Definition, datetime], Awaitable[Definition]],
    ) -> Definition:
        """Hold the workflow, so that of two who change it at once the second sees what the first made of it.

        Whether it needs approval is asked at the end, when nothing else speaks against it.
        """
        at = self._clock()
        async with authority.transaction(self._db, actor) as tx:
            await authority.demand(tx, actor, WORKFLOW_WRITE, at)
            changed = await work(tx, _found(await store.lock(tx, actor.tenant, id), id), at)
            await demand_approved(tx, actor, trying)
            return changed

    async def _happened(self, tx: Tx, actor: Actor, id: UUID, at: datetime, what: str, body: dict[str, Any]) -> None:
        entry = events.Entry(
            subject_kind="workflow",
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


def _found(found: Definition | None, id: UUID) -> Definition:
    if found is None:
        raise no.NoSuchWorkflow(id)
    return found


def _after(now: Definition, changed: Workflow, at: datetime) -> Definition:
    return replace(now, workflow=replace(changed, version=now.workflow.version + 1), updated_at=max(at, now.updated_at))


def _in_order(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """They run and are shown in ascending order, however they were sent. Source: native contract (d) 18."""
    return tuple(sorted(steps, key=lambda step: step.order))


def _shown(made: Workflow) -> dict[str, Any]:
    """What history keeps of a definition."""
    return {
        "name": made.name,
        "description": made.description,
        "steps": [show_step(step) for step in made.steps],
        "resourceTypes": None if made.resource_types is None else list(made.resource_types),
        "autoApprove": made.auto_approve,
        "fallbackApprovers": show_leaves(made.fallback),
    }
