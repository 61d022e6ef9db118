"""Evidence comes first, but only from whoever may decide at all."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from quorate.app.actor import Actor, How
from quorate.app.evidence import Verifier
from quorate.app.limits import Attempts, TooOften
from quorate.app.orders import Done
from quorate.app.requests import ACCESS, Evidence, OpenStep, Requests
from quorate.app.verify import Passwords
from quorate.domain.events import Choice, Decided, RequestKind
from quorate.domain.evidence import Demand
from quorate.domain.refusals import (
    AlreadyClosed,
    EvidenceWrong,
    NoSuchRequest,
    NotAnApprover,
    NotPermitted,
    OwnRequest,
)
from quorate.domain.workflows import Count, Kind, Leaf, Node
from quorate.store.database import Database
from tests.app.company import Company
from tests.app.directory import CHEAP, PASSWORD, SEALER, a_service, change

RIGHT, WRONG = Evidence(password=PASSWORD), Evidence(password="wrong")


class Desk:
    """A company whose approver Ana must show her password, and the use cases, with so many attempts a minute."""

    def __init__(self, company: Company, passwords: Passwords, per_login: int) -> None:
        self.company = company
        attempts = Attempts(per_login, 0, company.clock.seconds)
        self.requests = Requests(
            company.db,
            company.door,
            Verifier(company.db, passwords, attempts, SEALER, clock=company.clock, new_id=uuid4),
            clock=company.clock,
            new_id=uuid4,
            forget=lambda tenant, account: None,
        )

    def actor(self, principal: UUID, *permissions: str) -> Actor:
        how = How(None, "key", "native", "192.0.2.1")
        return Actor(self.company.tenant, principal, frozenset(permissions), how)

    async def asked(self, *more: Leaf) -> Done:
        ana = Leaf(Kind.USER, str(self.company.ana))
        await self.company.workflow(Node(Count(1), (ana, *more), Demand(password=True)))
        return await self.company.ask()

    async def decide(self, who: UUID, done: Done, evidence: Evidence, choice: Choice = Choice.APPROVE) -> Done:
        return await self.requests.decide(self.actor(who), done.held.tasks[-1], choice, None, evidence)


@pytest.fixture
async def desk(db: Database, tenant: UUID) -> AsyncIterator[Desk]:
    company, passwords = await Company(db, tenant).settle(), Passwords(CHEAP)
    for who in (company.ana, company.ben, company.rhea, company.ada):
        await change(
            db,
            tenant,
            "UPDATE principal SET password_hash = $3, password_stamp = $4 WHERE tenant_id = $1 AND id = $2",
            who,
            CHEAP.hash(PASSWORD),
            uuid4(),
        )
    yield Desk(company, passwords, per_login=2)
    passwords.close()


async def test_the_right_password_is_remembered_with_the_decision(desk: Desk) -> None:
    done = await desk.decide(desk.company.ana, await desk.asked(), RIGHT)

    [decided] = [event for event in done.events if isinstance(event, Decided)]
    assert decided.showed_password
    assert not decided.showed_second_factor
    assert PASSWORD not in str(done)


async def test_the_open_step_of_a_request_is_decided_without_naming_its_task(desk: Desk) -> None:
    asked = await desk.asked()
    about = OpenStep(asked.request.id)

    with pytest.raises(EvidenceWrong):
        await desk.requests.decide(desk.actor(desk.company.ana), about, Choice.APPROVE, None, WRONG)
    with pytest.raises(NotAnApprover):
        await desk.requests.decide(desk.actor(desk.company.ben), about, Choice.APPROVE, None)
    done = await desk.requests.decide(desk.actor(desk.company.ana), about, Choice.APPROVE, "by id", RIGHT)

    assert (done.request.id, done.request.status) == (asked.request.id, "approved")


async def test_a_wrong_password_is_refused_before_the_door(desk: Desk) -> None:
    done = await desk.asked()

    with pytest.raises(EvidenceWrong) as refused:
        await desk.decide(desk.company.ana, done, WRONG)

    assert (refused.value.password, refused.value.factor) == (True, None)
    assert (await desk.company.held(done.request.id)).request == done.request


async def test_passwords_cannot_be_tried_without_end(desk: Desk) -> None:
    done = await desk.asked()
    for _ in range(2):
        with pytest.raises(EvidenceWrong):
            await desk.decide(desk.company.ana, done, WRONG)

    with pytest.raises(TooOften):
        await desk.decide(desk.company.ana, done, RIGHT)
    desk.company.clock.passes(minutes=2)
    assert (await desk.decide(desk.company.ana, done, RIGHT)).request.status == "approved"


async def test_nobody_elses_password_is_even_looked_at(desk: Desk) -> None:
    done = await desk.asked()

    for _ in range(4):
        with pytest.raises(NotAnApprover):
            await desk.decide(desk.company.ben, done, WRONG)
        with pytest.raises(OwnRequest):
            await desk.decide(desk.company.rhea, done, WRONG)
        with pytest.raises(NoSuchRequest):
            await desk.requests.decide(desk.actor(desk.company.ana), uuid4(), Choice.APPROVE, None, WRONG)


async def test_a_closed_task_asks_for_no_password(desk: Desk) -> None:
    done = await desk.asked()
    await desk.company.cancel(desk.company.rhea, done)

    for _ in range(4):
        with pytest.raises(AlreadyClosed):
            await desk.decide(desk.company.ana, done, WRONG)


async def test_rejecting_looks_at_no_evidence(desk: Desk) -> None:
    done = await desk.decide(desk.company.ana, await desk.asked(), WRONG, Choice.REJECT)

    assert done.request.status == "rejected"


async def test_a_service_has_no_password_to_show(desk: Desk, db: Database, tenant: UUID) -> None:
    bot = await a_service(db, tenant, owner=desk.company.cyd)
    await desk.company.workflow(Leaf(Kind.SERVICE, str(bot)))
    done = await desk.company.ask()

    with pytest.raises(EvidenceWrong):
        await desk.decide(bot, done, RIGHT)
    assert (await desk.decide(bot, done, Evidence())).request.status == "approved"


async def test_a_second_factor_nobody_asked_for_is_refused_rather_than_believed(desk: Desk) -> None:
    await desk.company.workflow(desk.company.ana)
    done = await desk.company.ask()

    with pytest.raises(EvidenceWrong) as refused:
        await desk.decide(desk.company.ana, done, Evidence(totp="123456"))

    assert refused.value.factor == "totp"


async def test_the_password_is_looked_at_only_from_administrators_who_may_override(desk: Desk) -> None:
    done = await desk.asked()
    id = done.request.id
    rhea = desk.actor(desk.company.rhea, "workflow:write")  # As she was told a moment ago; the directory says no.

    for _ in range(4):
        with pytest.raises(NotPermitted):
            await desk.requests.override(rhea, id, Choice.APPROVE, None, WRONG)
    ada = desk.actor(desk.company.ada, "admin")
    with pytest.raises(EvidenceWrong):
        await desk.requests.override(ada, id, Choice.APPROVE, None, WRONG)
    assert (await desk.requests.override(ada, id, Choice.APPROVE, None, RIGHT)).request.status == "approved"


async def test_what_is_of_another_kind_or_tenant_is_not_there(desk: Desk, olu: UUID) -> None:
    done = await desk.asked()
    elsewhere = Actor(olu, uuid4(), frozenset({"admin"}), How(None, "key", "native", "192.0.2.1"))

    for actor, kinds in [(elsewhere, ACCESS), (desk.actor(desk.company.ada, "admin"), {RequestKind.GENERIC})]:
        with pytest.raises(NoSuchRequest):
            await desk.requests.cancel(actor, done.request.id, None, kinds=kinds)
    with pytest.raises(NotPermitted):
        await desk.requests.cancel(desk.actor(desk.company.cyd), uuid4(), None)
    assert (await desk.company.held(done.request.id)).request.is_open


async def test_what_came_with_a_decision_and_that_it_was_discarded_are_kept(desk: Desk, olu: UUID) -> None:
    company = desk.company
    await company.workflow(company.ana)
    id = (await company.ask()).request.id
    await desk.requests.decide(desk.actor(company.ana), OpenStep(id), Choice.APPROVE, None, attached={"ticket": 7})
    elsewhere = Actor(olu, company.rhea, frozenset({"admin"}), How(None, "key", "native", "192.0.2.1"))
    with pytest.raises(NoSuchRequest):
        await desk.requests.discard(elsewhere, id)

    await desk.requests.discard(desk.actor(company.rhea), id)

    kept = (await company.held(id)).request
    assert kept.status == "approved"
    assert kept.discarded_at == company.clock()
    assert kept.current.decisions[0].attached == {"ticket": 7}
    await company.check()
