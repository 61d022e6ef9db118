"""From a question in the words of an API to one the policies can answer: who and what are looked up."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.app import authority
from quorate.app.actor import Actor
from quorate.app.cedar.question import Question, What, Who, operation, unknown, what, who
from quorate.app.cedar.ready import Shelf
from quorate.app.cedar.schema import REQUEST_ACCESS, Vocabulary
from quorate.domain.people import People
from quorate.domain.policy import Outcome
from quorate.domain.refusals import AccountInactive
from quorate.store import policies as store
from quorate.store import view
from quorate.store.tx import Tx

_REGISTERED = ("role", "group", "resource")


class Asked(Struct, frozen=True, kw_only=True):
    """May this principal do this to that?

    `principal` is an account's id; one nobody has is a user in `groups` alone, which are ids or names and are added
    to those of an account. `type` is `role`, `group`, `resource`, `operation` or a resource's own type; `target` its
    id, for a resource's own type its external id or its id, for an operation `METHOD path`. `at` None: now.
    """

    principal: str
    groups: tuple[str, ...] = ()
    type: str
    target: str
    action: str = REQUEST_ACCESS
    duration_seconds: int | None = None
    reason: str | None = None
    requester: str | None = None
    at: datetime | None = None
    surface: str = ""
    address: str = ""


class Asking:
    """Looks up who and what is meant, and asks."""

    def __init__(self, shelf: Shelf, clock: Callable[[], datetime]) -> None:
        self._shelf, self._clock = shelf, clock

    async def demand(self, tx: Tx, actor: Actor, asked: Asked, permission: str) -> None:
        """Raises: AccountInactive; NotPermitted: the question is about somebody else, or about groups of choice."""
        at = self._clock()
        if asked.principal != str(actor.principal) or asked.groups:
            await authority.demand(tx, actor, permission, at)
            return
        people = People((await view.read(tx, [(actor.tenant, actor.principal)], [], at))[actor.tenant].persons)
        if not people.is_active(actor.principal):
            raise AccountInactive(actor.principal)

    async def answer(self, tx: Tx, tenant: UUID, asked: Asked) -> Outcome:
        """Answer a question of a tenant that exists."""
        at = asked.at or self._clock()
        ready = (await self._shelf.ready(tx))[tenant]
        question = Question(
            who=await self._who(tx, tenant, asked, at),
            what=await _what(tx, tenant, asked, ready.vocabulary),
            action=asked.action,
            at=at,
            duration_seconds=asked.duration_seconds,
            reason=asked.reason,
            requester=asked.requester,
            surface=asked.surface,
            address=asked.address,
        )
        return ready.ask(question)

    async def _who(self, tx: Tx, tenant: UUID, asked: Asked, at: datetime) -> Who:
        id, found = _as_id(asked.principal), None
        if id is not None:
            found = (await view.read(tx, [(tenant, id)], [], at))[tenant].persons.get(id)
        known = who(found) if found is not None else Who(id=asked.principal)
        return replace(known, groups=known.groups | frozenset(asked.groups))


async def _what(tx: Tx, tenant: UUID, asked: Asked, vocabulary: Vocabulary) -> What:
    if asked.type == "operation":
        return operation(asked.target)
    kind = asked.type if asked.type in _REGISTERED else "resource"
    id = _as_id(asked.target)
    if id is None and kind == "resource":
        id = await store.resource_by_external_id(tx, tenant, asked.type, asked.target)
    if id is not None:
        found = (await store.things(tx, [(tenant, kind, id)])).get((tenant, kind, id))
        if found is not None and asked.type in (*_REGISTERED, found.kind):
            return what(kind, found, vocabulary)
    return unknown(asked.type, asked.target, vocabulary)


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
