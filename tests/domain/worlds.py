"""The small worlds that are explored, each about a few rules, together about all of them.

Olu, from another tenant, knocks in every one.
"""

from collections.abc import Callable
from uuid import UUID

from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain.cadence import Cadence
from quorate.domain.events import Filing, RequestKind
from quorate.domain.evidence import Demand, Proof
from quorate.domain.people import Person
from quorate.domain.workflows import (
    Count,
    Escalations,
    Kind,
    Leaf,
    Node,
    OnTimeout,
    OwnSay,
    Rejection,
    Reminders,
    Route,
    Rule,
    Unit,
    Wants,
)
from tests.cast import (
    ADA,
    ANA,
    APPROVE,
    BEN,
    BOT,
    CYD,
    MONA,
    OLU,
    REJECT,
    RHEA,
    SECURITY,
    everybody,
    group,
    n_of,
    role,
    service,
    step,
    user,
)
from tests.domain.explorer import Persons, SmallWorld

Named = tuple[str, do.Command]
Change = Callable[[Persons], Persons]

HOURS = 3600
NAMES = {RHEA: "Rhea", ANA: "Ana", BEN: "Ben", CYD: "Cyd", MONA: "Mona", ADA: "Ada", OLU: "Olu", BOT: "Bot"}
ASKED = Filing(RequestKind.ACCESS, filed_by=RHEA, requester=RHEA, beneficiary=RHEA)
MANAGER = Leaf(Kind.MANAGER, "requester")
STAMP, OTHER_STAMP = UUID(int=41), UUID(int=42)


def approvals(*actors: UUID) -> tuple[Named, ...]:
    return tuple(("approve", do.Decide(actor, APPROVE, "fine")) for actor in actors)


def rejections(*actors: UUID) -> tuple[Named, ...]:
    return tuple(("reject", do.Decide(actor, REJECT, "no")) for actor in actors)


def decisions(*actors: UUID) -> tuple[Named, ...]:
    return approvals(*actors) + rejections(*actors)


def overrides(*actors: UUID) -> tuple[Named, ...]:
    return tuple(
        ("override", do.Override(actor, choice, "so be it")) for actor in actors for choice in (APPROVE, REJECT)
    )


def seats(*actors: UUID, giver: UUID | None = None) -> tuple[Named, ...]:
    return tuple(("take a seat", do.TakeSeat(actor, APPROVE, "mine", giver)) for actor in actors)


def reassignments(*moves: tuple[UUID, UUID, UUID | None]) -> tuple[Named, ...]:
    return tuple(("reassign", do.Reassign(actor, to, giver)) for actor, to, giver in moves)


CANCEL: Named = ("cancel", do.Cancel(RHEA))
RECHECK: Named = ("recheck", do.Recheck())
LOSE_TARGET: Named = ("lose the target", do.LoseTarget())
STRANGER: tuple[Named, ...] = (
    *decisions(OLU),
    *overrides(OLU),
    *seats(OLU),
    *reassignments((OLU, OLU, ANA)),
    ("comment", do.Comment(OLU, UUID(int=1), "hello")),
    ("cancel", do.Cancel(OLU)),
    ("annotate", do.Annotate(OLU, UUID(int=1), {"a": "b"})),
    ("discard", do.Discard(OLU)),
    ("escalate", do.Escalate(OLU)),
    ("remind", do.Remind(OLU)),
)


def changing(id: UUID, **facts: object) -> Change:
    return lambda persons: {**persons, id: replace(persons[id], **facts)}


def both(one: Change, other: Change) -> Change:
    return lambda persons: other(one(persons))


def suspending(id: UUID) -> Change:
    return changing(id, active=False)


def people_with(**changes: dict[str, object]) -> Persons:
    """The cast, some of them with other facts, by name in small letters."""
    ids = {name.lower(): id for id, name in NAMES.items()}
    persons: dict[UUID, Person] = everybody()
    for name, facts in changes.items():
        persons[ids[name]] = replace(persons[ids[name]], **facts)
    return persons


def two_steps() -> SmallWorld:
    """Two steps with deadlines and one for the whole request, a nested quorum, an administrator, cancelling."""
    nested = n_of(2, user(ANA), n_of(1, user(BEN), user(CYD)), n_of(1, user(ANA), user(CYD)))
    late = step(nested, 1, 2 * HOURS)
    return SmallWorld(
        "two steps",
        Route((late, step(group(), 2, 2 * HOURS))),
        replace(ASKED, time_to_decide_s=3 * HOURS),
        everybody(),
        (
            *decisions(ANA, BEN, CYD),
            *approvals(RHEA),
            *overrides(ADA, RHEA),
            ("approve", do.Decide(ANA, APPROVE, step=0)),
            ("approve", do.Decide(CYD, APPROVE, step=1)),
            CANCEL,
            LOSE_TARGET,
            *STRANGER,
        ),
    )


def own_hands() -> SmallWorld:
    """The requester is an approver by group and role, an administrator, a delegate, and owns a service."""
    persons = people_with(
        rhea={"groups": frozenset({SECURITY}), "permissions": frozenset({"admin"}), "delegators": (ANA,)},
        bot={"owner": RHEA, "groups": frozenset({SECURITY})},
        ben={"delegators": (RHEA,)},
    )
    shared = (
        *approvals(RHEA, BOT, BEN, CYD),
        *overrides(RHEA),
        *seats(RHEA),
        *reassignments((RHEA, CYD, None), (ANA, RHEA, None), (ADA, RHEA, ANA)),
        ("escalate", do.Escalate(RHEA, user(BEN))),
        ("reject", do.Decide(RHEA, REJECT, "mine", may_refuse_own=True)),
        ("comment", do.Comment(RHEA, UUID(int=2), "please")),
        ("annotate", do.Annotate(ANA, UUID(int=3), {"ticket": "T-1"}, ("color",), "see the ticket")),
        CANCEL,
        *STRANGER,
    )
    tree = n_of(2, group(), user(RHEA), service(BOT))
    return SmallWorld(
        "own hands", Route((step(tree, 1, 2 * HOURS), step(role("nobody"), 2, 1 * HOURS))), ASKED, persons, shared
    )


def own_hands_allowed() -> SmallWorld:
    """The same, where the tenant allows deciding what is one's own: then it is marked."""
    return replace(own_hands(), name="own hands allowed", self_approval=True, changes=(suspending(ADA),))


def asking_approves() -> SmallWorld:
    """Mona asks for Rhea, whose manager she is: where she is an approver, asking may have approved."""
    named = step(n_of(2, MANAGER, group()), 1, None, own_say=OwnSay.DIRECT)
    through = step(group(), 2, None, own_say=OwnSay.INDIRECT)
    not_named = step(group(), 3, None, own_say=OwnSay.DIRECT)
    wordy = step(user(MONA), 4, None, own_say=OwnSay.DIRECT, requires_comment=Wants.APPROVAL)
    return SmallWorld(
        "asking approves",
        Route((named, through, not_named, wordy, step(group("nobody"), 5, None, own_say=OwnSay.INDIRECT))),
        replace(ASKED, filed_by=MONA, requester=MONA),
        people_with(mona={"groups": frozenset({SECURITY})}),
        (*decisions(ANA, MONA), *approvals(RHEA, ADA), *overrides(ADA), RECHECK, CANCEL, *STRANGER),
        (suspending(MONA), changing(MONA, groups=frozenset())),
        self_approval=True,
    )


def changing_hands() -> SmallWorld:
    """Says are given away, given back, delegated and taken."""
    pair = n_of(1, user(BEN), MANAGER)
    tree = Node(Count(2), (user(ANA), group(), pair, pair))
    persons = people_with(cyd={"delegators": (ANA,)}, ada={"delegators": (BEN,)})
    return SmallWorld(
        "changing hands",
        Route((step(tree, 1, None),)),
        ASKED,
        persons,
        (
            *approvals(ANA, BEN, CYD, MONA, BOT, ADA),
            *rejections(ANA),
            *reassignments((ANA, MONA, None), (MONA, ANA, None), (ADA, MONA, BEN), (CYD, MONA, ANA), (ANA, RHEA, None)),
            *reassignments((ANA, BEN, None), (ADA, BOT, ANA)),
            *seats(ADA),
            *seats(ADA, giver=BEN),
            CANCEL,
            RECHECK,
            *STRANGER,
        ),
        (suspending(ANA),),
    )


def people_leave() -> SmallWorld:
    """Approvers are suspended, come back, leave their group; the step goes to whoever is left."""
    tree = Node(Count(50, Unit.PERCENT), (group(), n_of(1, user(MONA), MANAGER)))
    first = step(tree, 1, None, rejection=Rejection(Rule.UNREACHABLE), fallback=(user(MONA),))
    last = step(Node(Count(2, Unit.CAPPED), (group(),)), 2, None)
    return SmallWorld(
        "people leave",
        Route((first, last), fallback=(role("nobody"),)),
        ASKED,
        everybody(),
        (*decisions(ANA), *approvals(BEN, CYD, ADA), RECHECK, *STRANGER),
        (suspending(ANA), both(suspending(BEN), changing(CYD, groups=frozenset()))),
        fallback=(role("admins"),),
    )


def time_runs() -> SmallWorld:
    """A step escalates, the next passes by time, the last expires; all against a deadline for the whole."""
    first = step(
        n_of(2, user(ANA), user(BEN)),
        1,
        1 * HOURS,
        on_timeout=OnTimeout.ESCALATE,
        escalate_to=role("admins"),
        rejection=Rejection(Rule.UNREACHABLE),
    )
    second = step(user(CYD), 2, 2 * HOURS, on_timeout=OnTimeout.APPROVE)
    return SmallWorld(
        "time runs",
        Route((first, second, step(user(ANA), 3, 1 * HOURS))),
        replace(ASKED, time_to_decide_s=6 * HOURS),
        everybody(),
        (
            *approvals(ANA, BEN, CYD, ADA),
            *rejections(ANA),
            ("escalate", do.Escalate(ADA)),
            ("escalate", do.Escalate(ADA, user(MONA))),
            ("remind", do.Remind(RHEA)),
            *overrides(ADA),
            CANCEL,
            *STRANGER,
        ),
        most_late=7,
    )


def again_and_again() -> SmallWorld:
    """People join one after another: a step that passes by time, then one without a deadline; there are reminders."""
    each_hour = Cadence(1 * HOURS, every_s=1 * HOURS)
    first = step(
        n_of(2, user(ANA), user(BEN)),
        1,
        3 * HOURS,
        on_timeout=OnTimeout.APPROVE,
        rejection=Rejection(Rule.UNREACHABLE),
        reminders=Reminders(Cadence(cron="0 * * * *"), 2),
        escalations=Escalations(each_hour, (user(CYD), role("admins"))),
    )
    second = step(user(BEN), 2, None, escalations=Escalations(each_hour, (MANAGER, user(CYD))))
    return SmallWorld(
        "again and again",
        Route((first, second)),
        ASKED,
        everybody(),
        (
            *decisions(ANA),
            *approvals(BEN, CYD, ADA),
            ("the clock reminds", do.Remind(None)),
            CANCEL,
            *STRANGER,
        ),
        most_late=2,
    )


def time_approves() -> SmallWorld:
    """The last step passes by time, unless the whole request is late before."""
    first = step(user(ANA), 1, 1 * HOURS, on_timeout=OnTimeout.ESCALATE, escalate_to=user(BEN))
    return SmallWorld(
        "time approves",
        Route((first, step(user(CYD), 2, 2 * HOURS, on_timeout=OnTimeout.APPROVE))),
        replace(ASKED, time_to_decide_s=4 * HOURS),
        everybody(),
        (*decisions(ANA, CYD), *approvals(BEN), CANCEL, ("discard", do.Discard(RHEA)), *STRANGER),
        most_late=5,
    )


def services() -> SmallWorld:
    """Services with owners, and a node that lets one person count twice beside one that does not."""
    tree = n_of(2, service(BOT), user(ANA), Node(Count(2), (user(ANA), n_of(1, user(ANA), user(BEN))), overlap=True))
    persons = people_with(bot={"owner": ANA, "permissions": frozenset({"workflow:write"})})
    return SmallWorld(
        "services",
        Route((step(tree, 1, None, rejection=Rejection(Rule.COUNT, 2)),)),
        ASKED,
        persons,
        (
            *decisions(BOT, ANA, BEN),
            *overrides(BOT),
            *seats(BOT),
            *reassignments((BOT, CYD, None), (ADA, ANA, BEN)),
            RECHECK,
            *STRANGER,
        ),
        (suspending(ANA), suspending(BOT)),
    )


def evidence() -> SmallWorld:
    """A step demands a password, another wants notes and cannot be overridden."""
    demanding = Node(Count(2), (user(ANA), n_of(1, user(BEN), user(CYD))), Demand(password=True))
    persons = people_with(ana={"password_stamp": STAMP}, ben={"password_stamp": STAMP}, ada={"password_stamp": STAMP})
    shown = Proof(password_stamp=STAMP)
    return SmallWorld(
        "evidence",
        Route((step(demanding, 1, 2 * HOURS), step(group(), 2, None, requires_comment=Wants.ALL, override=False))),
        replace(ASKED, kind=RequestKind.GENERIC),
        persons,
        (
            *decisions(ANA, BEN),
            *(("approve", do.Decide(actor, APPROVE, "shown", proof=shown)) for actor in (ANA, BEN, CYD)),
            ("approve", do.Decide(CYD, APPROVE)),
            ("override", do.Override(ADA, APPROVE)),
            ("override", do.Override(ADA, APPROVE, "shown", shown)),
            ("take a seat", do.TakeSeat(ADA, APPROVE, "shown", proof=shown)),
            ("escalate", do.Escalate(ADA, service(BOT))),
            CANCEL,
            *STRANGER,
        ),
        (changing(ANA, password_stamp=OTHER_STAMP), suspending(BEN)),
    )


def operation() -> SmallWorld:
    """An operation: no override, no seat."""
    return SmallWorld(
        "operation",
        Route((step(n_of(2, user(ANA), user(BEN)), 1, 1 * HOURS),)),
        replace(ASKED, kind=RequestKind.OPERATION),
        everybody(),
        (
            *decisions(ANA, BEN),
            *overrides(ADA),
            *seats(ADA),
            *reassignments((ADA, CYD, ANA)),
            *approvals(CYD),
            LOSE_TARGET,
            *STRANGER,
        ),
    )


def wide() -> SmallWorld:
    """Everything at once, too much for every test run: two steps, all commands, people coming and going."""
    tree = Node(Count(2), (group(), n_of(1, user(MONA), service(BOT))))
    first = step(
        tree, 1, HOURS, rejection=Rejection(Rule.UNREACHABLE), on_timeout=OnTimeout.ESCALATE, escalate_to=role("admins")
    )
    persons = people_with(bot={"owner": BEN}, mona={"delegators": (CYD,)}, rhea={"groups": frozenset({SECURITY})})
    return SmallWorld(
        "wide",
        Route((first, step(Node(Count(50, Unit.PERCENT), (group(),)), 2, 2 * HOURS))),
        replace(ASKED, time_to_decide_s=5 * HOURS),
        persons,
        (
            *decisions(ANA, BEN, CYD, MONA, BOT, RHEA),
            *approvals(ADA),
            *overrides(ADA),
            *seats(ADA),
            *reassignments((ANA, MONA, None), (ADA, MONA, BEN), (MONA, ANA, None)),
            ("escalate", do.Escalate(ADA, user(MONA))),
            ("remind", do.Remind(RHEA)),
            RECHECK,
            CANCEL,
            *STRANGER,
        ),
        (suspending(ANA), suspending(MONA), changing(CYD, groups=frozenset())),
    )


def wide_and_own() -> SmallWorld:
    """The same where the tenant lets people decide what is their own."""
    return replace(wide(), name="wide and own", self_approval=True)


WIDER = (wide, wide_and_own)
WORLDS = (
    two_steps,
    own_hands,
    own_hands_allowed,
    asking_approves,
    changing_hands,
    people_leave,
    time_runs,
    again_and_again,
    time_approves,
    services,
    evidence,
    operation,
)
