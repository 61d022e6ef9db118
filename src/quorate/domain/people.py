"""People as the rules see them: a frozen view, read in the transaction that acts, after the lock."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.domain.cadence import Calendar, no_calendar
from quorate.domain.permissions import ADMIN, allows
from quorate.domain.workflows import Kind, Leaf


class Person(Struct, frozen=True):
    """One who acts or is acted for: a user or a service.

    `roles` holds names and ids, so that a rule may name a role either way; `groups` holds ids.
    `delegators` are the users whose say this one may use now. `sign_counts` are the second factors that are good, each
    with the highest count it has shown.
    """

    id: UUID
    is_service: bool = False
    active: bool = True
    name: str = ""
    email: str | None = None
    owner: UUID | None = None
    manager: UUID | None = None
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    delegators: tuple[UUID, ...] = ()
    password_stamp: UUID | None = None
    sign_counts: Mapping[UUID, int] = {}

    @property
    def human(self) -> UUID:
        """Name the human being behind this account: the owner of a service that has one, else itself."""
        return self.owner or self.id

    def has_yet_to_show(self, credential: UUID, count: int) -> bool:
        """Say whether a second factor is good and its count new. One that never counts stays at 0."""
        kept = self.sign_counts.get(credential)
        return kept is not None and (count > kept or count == kept == 0)

    def may(self, permission: str) -> bool:
        return self.active and allows(self.permissions, permission)


class Crowd(Struct, frozen=True):
    """The active accounts that a leaf names: each id with the human behind it, and how many there are.

    Past 1,000 the ids are left out and only `count` is known.
    """

    humans: Mapping[UUID, UUID] = {}
    count: int = 0

    @property
    def is_named(self) -> bool:
        return self.count == len(self.humans)


NOBODY = Crowd()


class People(Struct, frozen=True):
    """What the rules may ask about people while they handle one batch for one tenant.

    `crowds` is filled for the leaves of steps that may open, and of the open step where its rule
    must know who is left; asking for another leaf is our own mistake. `permitted` are pairs of a request and an
    account that a policy lets approve it, where that is asked. `calendar` reads the schedules of steps.
    """

    persons: Mapping[UUID, Person] = {}
    crowds: Mapping[tuple[Kind, str], Crowd] = {}
    self_approval: bool = False
    fallback: tuple[Leaf, ...] = ()
    permitted: frozenset[tuple[UUID, UUID]] = frozenset()
    calendar: Calendar = no_calendar

    def person(self, id: UUID | None) -> Person:
        """Give the person of this id; one who does not exist is an account that may do nothing."""
        found = self.persons.get(id) if id is not None else None
        return found or Person(id=id or UUID(int=0), active=False)

    def human(self, id: UUID) -> UUID:
        return self.person(id).human

    def is_active(self, id: UUID) -> bool:
        """Say whether an account counts: itself active, and the human behind it too."""
        person = self.person(id)
        return person.active and (person.owner is None or self.person(person.owner).active)

    def manager_of(self, beneficiary: UUID | None) -> UUID | None:
        """Name the manager of a user, or of the owner of a service."""
        person = self.person(beneficiary)
        return self.person(person.owner).manager if person.is_service else person.manager

    def crowd(self, leaf: Leaf, beneficiary: UUID | None) -> Crowd:
        """Give the active accounts a leaf names, for a request of this beneficiary."""
        match leaf.kind:
            case Kind.USER | Kind.SERVICE:
                return self._just(_as_id(leaf.value), service=leaf.kind is Kind.SERVICE)
            case Kind.MANAGER:
                return self._just(self.manager_of(leaf.managed(beneficiary)), service=False)
            case Kind.OWNER:
                return NOBODY
            case Kind.GROUP | Kind.ROLE | Kind.HOLDER:
                return self.crowds[leaf.kind, leaf.value]

    def admits(self, leaf: Leaf, person: Person, beneficiary: UUID | None) -> bool:
        """Say whether a leaf names this person, by what they are now."""
        match leaf.kind:
            case Kind.USER:
                return not person.is_service and str(person.id) == leaf.value
            case Kind.SERVICE:
                return person.is_service and str(person.id) == leaf.value
            case Kind.GROUP:
                return leaf.value in person.groups
            case Kind.ROLE:
                return leaf.value in person.roles
            case Kind.MANAGER:
                return person.id == self.manager_of(leaf.managed(beneficiary))
            case Kind.OWNER:
                return False
            case Kind.HOLDER:
                return allows(person.permissions, leaf.value)

    def having_shown(self, id: UUID, credential: UUID, count: int) -> "People":
        """Give the people as they are once a second factor has shown this count."""
        person = self.person(id)
        shown = replace(person, sign_counts={**person.sign_counts, credential: count})
        return replace(self, persons={**self.persons, id: shown})

    def _just(self, id: UUID | None, *, service: bool) -> Crowd:
        person = self.person(id)
        if id is None or person.is_service is not service or not self.is_active(id):
            return NOBODY
        return Crowd({id: person.human}, 1)


LAST_RESORT = (Leaf(Kind.HOLDER, ADMIN),)


def mentioned(leaves: Iterable[Leaf]) -> set[UUID]:
    """Collect the accounts that user and service leaves name by id."""
    found = (_as_id(leaf.value) for leaf in leaves if leaf.kind in (Kind.USER, Kind.SERVICE))
    return {id for id in found if id is not None}


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
