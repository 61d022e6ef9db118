"""The door on real PostgreSQL: what many commands at once may and may not do to each other."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quorate.app import batch
from quorate.app.commands import Door
from quorate.app.filing import Start
from quorate.app.lanes import Wait
from quorate.app.orders import Done
from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Decided, Outcome
from quorate.domain.workflows import Count, Kind, Leaf, Node
from quorate.store.database import Database
from tests.app.company import Company, group_leaf, keyed


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


async def test_a_request_walks_through_two_steps_with_a_quorum_in_the_second(acme: Company) -> None:
    await acme.workflow(acme.mona, Node(Count(2), (group_leaf(acme.security),)))

    asked = await acme.ask()
    moved = await acme.decide(acme.mona, asked)
    first = await acme.decide(acme.ana, moved)
    last = await acme.decide(acme.ben, first)

    assert [done.request.status for done in (asked, moved, first, last)] == [*["pending"] * 3, "approved"]
    assert len(last.held.tasks) == 2
    assert (await acme.held(asked.request.id)).request == last.request
    await acme.check()


async def test_two_approvers_at_once_have_one_winner_and_the_other_is_told(acme: Company) -> None:
    await acme.workflow(group_leaf(acme.security))
    asked = await acme.ask()

    answers = await asyncio.gather(
        acme.decide(acme.ana, asked), acme.decide(acme.ben, asked, Choice.REJECT), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyClosed", "Done"]
    await acme.check()


async def test_two_approvers_at_once_through_two_servers_have_one_winner(acme: Company) -> None:
    await acme.workflow(group_leaf(acme.security))
    other = Door(acme.db, acme.clock, uuid4)
    for _ in range(5):
        asked = await acme.ask(asking=acme.asking(refuses_duplicates=False))
        task = asked.held.tasks[-1]
        answers = await asyncio.gather(
            acme.decide(acme.ana, asked),
            other.take(acme.order(acme.ben, do.Decide(acme.ben, Choice.REJECT), task=task)),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyClosed", "Done"]
    await acme.check()


async def test_approve_and_cancel_at_once_have_one_winner(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()

    answers = await asyncio.gather(acme.cancel(acme.rhea, asked), acme.decide(acme.ana, asked), return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyClosed", "Done"]
    await acme.check()


async def test_a_refused_command_leaves_its_neighbours_in_the_batch_alone(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(3)]
    orders = [
        acme.order(actor, do.Decide(actor, Choice.APPROVE), task=done.held.tasks[-1])
        for actor, done in zip((acme.ana, acme.ben, acme.ana), asked, strict=True)
    ]

    answers = await batch.run(acme.db, orders, acme.clock, uuid4)

    assert [type(answer) for answer in answers] == [Done, no.NotAnApprover, Done]
    await acme.check()


async def test_a_poisoned_command_fails_alone(acme: Company) -> None:
    """A note that PostgreSQL cannot keep is refused by every surface; should one come through, it hurts nobody else."""
    await acme.workflow(acme.ana)
    asked = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(5)]
    notes = ["fine", "fine", "bad \0 note", "fine", "fine"]

    answers = await asyncio.gather(
        *(
            acme.door.take(acme.order(acme.ana, do.Decide(acme.ana, Choice.APPROVE, note), task=done.held.tasks[-1]))
            for note, done in zip(notes, asked, strict=True)
        ),
        return_exceptions=True,
    )

    assert [isinstance(answer, Done) for answer in answers] == [True, True, False, True, True]
    assert (await acme.held(asked[2].request.id)).request.is_open
    await acme.check()


async def test_cancel_and_submit_again_in_one_batch_puts_the_submission_off(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()
    cancel = acme.order(acme.rhea, do.Cancel(acme.rhea), request=asked.request.id)
    again = acme.order(acme.rhea, acme.asking())

    answers = await batch.run(acme.db, [cancel, again], acme.clock, uuid4)

    assert [type(answer) for answer in answers] == [Done, Wait]
    assert (await acme.ask()).request.id != asked.request.id
    await acme.check()


async def test_cancel_and_submit_again_at_once_both_go_through(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()

    cancelled, again = await asyncio.gather(acme.cancel(acme.rhea, asked), acme.ask())

    assert cancelled.request.status is Outcome.CANCELLED
    assert again.request.is_open
    await acme.check()


async def test_a_second_request_for_the_same_thing_is_refused_while_the_first_is_open(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()

    with pytest.raises(no.DuplicateRequest) as refused:
        await acme.ask()

    assert refused.value.request == asked.request.id
    await acme.cancel(acme.rhea, asked)
    assert (await acme.ask()).request.is_open


async def test_the_same_request_filed_at_once_through_two_servers_is_made_once(acme: Company) -> None:
    await acme.workflow(acme.ana)
    other = Door(acme.db, acme.clock, uuid4)

    answers = await asyncio.gather(
        *(door.take(acme.order(acme.rhea, acme.asking())) for door in (acme.door, other) * 4), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Done", *["DuplicateRequest"] * 7]
    await acme.check()


async def test_a_lapsed_request_does_not_block_a_new_one_for_the_same_thing(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()
    acme.clock.passes(hours=49)

    again = await acme.ask()

    assert again.request.is_open
    first = (await acme.held(asked.request.id)).request
    assert (first.status, first.closed_at) == (Outcome.EXPIRED, asked.request.due_at)
    await acme.check()


async def test_batches_that_share_requests_in_both_orders_do_not_deadlock(acme: Company) -> None:
    await acme.workflow(Node(Count(3), (group_leaf(acme.security),)))
    asked = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(8)]

    async def all_of(actor: UUID, requests: list[Done]) -> None:
        orders = [acme.order(actor, do.Decide(actor, Choice.APPROVE), task=one.held.tasks[-1]) for one in requests]
        answers = await batch.run(acme.db, orders, acme.clock, uuid4)
        assert all(isinstance(answer, Done) for answer in answers), answers

    await asyncio.gather(
        all_of(acme.ana, asked), all_of(acme.ben, asked[::-1]), all_of(acme.cyd, asked[3:] + asked[:3])
    )

    assert {(await acme.held(one.request.id)).request.status for one in asked} == {Outcome.APPROVED}
    await acme.check()


async def test_two_decisions_on_one_request_in_a_batch_are_handled_one_after_the_other(acme: Company) -> None:
    await acme.workflow(Node(Count(2), (group_leaf(acme.security),)))
    asked = await acme.ask()
    orders = [
        acme.order(actor, do.Decide(actor, Choice.APPROVE), task=asked.held.tasks[-1])
        for actor in (acme.ana, acme.ana, acme.ben, acme.cyd)
    ]

    answers = await batch.run(acme.db, orders, acme.clock, uuid4)

    assert [type(answer) for answer in answers] == [Done, no.AlreadyDecided, Done, no.AlreadyClosed]
    await acme.check()


async def test_a_request_can_go_through_all_its_steps_in_one_batch(acme: Company) -> None:
    role = Leaf(Kind.ROLE, "admins")
    await acme.workflow(acme.ana, group_leaf(acme.security), Node(Count(1), (role, group_leaf(acme.security))))
    asked = await acme.ask()
    commands: list[tuple[UUID, do.Command]] = [
        (acme.ana, do.Decide(acme.ana, Choice.APPROVE)),
        (acme.ada, do.Escalate(acme.ada, Leaf(Kind.HOLDER, "workflow:write"))),
        (acme.ben, do.Decide(acme.ben, Choice.APPROVE)),
        (acme.cyd, do.Decide(acme.cyd, Choice.APPROVE)),
    ]
    orders = [acme.order(actor, command, request=asked.request.id) for actor, command in commands]

    answers = await batch.run(acme.db, orders, acme.clock, uuid4)

    assert [type(answer) for answer in answers] == [Done] * 4
    assert (await acme.held(asked.request.id)).request.status is Outcome.APPROVED
    await acme.check()


async def test_olu_finds_nothing_of_ours_by_any_id(acme: Company, db: Database, olu: UUID) -> None:
    theirs = await Company(db, olu, acme.clock, acme.door).settle()
    await theirs.workflow(theirs.ana)
    workflow = await acme.workflow(acme.ana)
    asked = await acme.ask()

    with pytest.raises(no.NoSuchRequest):
        await acme.door.take(theirs.order(theirs.ana, do.Decide(theirs.ana, Choice.APPROVE), task=asked.held.tasks[-1]))
    with pytest.raises(no.NoSuchRequest):
        await theirs.cancel(theirs.ada, asked)
    with pytest.raises(no.NoSuchTarget):
        await theirs.ask(asking=acme.asking())
    with pytest.raises(no.NoSuchWorkflow):
        await theirs.ask(theirs.ada, Start(workflow, {}))
    assert (await acme.held(asked.request.id)).request == asked.request


async def test_both_tenants_in_one_batch_keep_to_themselves(acme: Company, db: Database, olu: UUID) -> None:
    theirs = await Company(db, olu, acme.clock, acme.door).settle()
    orders = []
    for company in (acme, theirs):
        await company.workflow(company.ana)
        orders.append(company.order(company.rhea, company.asking()))

    answers = await batch.run(db, orders, acme.clock, uuid4)

    assert [answer.request.tenant for answer in answers if isinstance(answer, Done)] == [acme.tenant, theirs.tenant]
    await acme.check()
    await theirs.check()


async def test_the_order_of_refusals_when_filing(acme: Company) -> None:
    with pytest.raises(no.NotPermitted):
        await acme.ask(acme.rhea, acme.asking(beneficiary=acme.ben))
    with pytest.raises(no.NotPermitted):
        await acme.ask(acme.rhea, acme.asking(beneficiary=uuid4()))
    with pytest.raises(no.NoSuchUser):
        await acme.ask(acme.ada, acme.asking(beneficiary=uuid4()))
    with pytest.raises(no.NoWorkflow):
        await acme.ask()
    draft = await acme.workflow(acme.ana, status="draft")
    with pytest.raises(no.NoWorkflow):
        await acme.ask()
    with pytest.raises(no.NotPermitted):
        await acme.ask(acme.rhea, Start(draft, {}))
    with pytest.raises(no.WorkflowNotActive):
        await acme.ask(acme.ada, Start(draft, {}))
    with pytest.raises(no.NoSuchWorkflow):
        await acme.ask(acme.ada, Start("nonsense", {}))


async def test_a_manager_may_ask_for_a_report(acme: Company) -> None:
    await acme.workflow(acme.ana)

    asked = await acme.ask(acme.mona, acme.asking(beneficiary=acme.rhea))

    assert (asked.request.filing.requester, asked.request.filing.beneficiary) == (acme.mona, acme.rhea)


async def test_an_approver_who_leaves_the_group_has_lost_the_power_and_who_joins_has_gained_it(acme: Company) -> None:
    await acme.workflow(group_leaf(acme.security))
    asked = await acme.ask()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run("DELETE FROM group_member WHERE tenant_id = $1 AND principal_id = $2", acme.tenant, acme.ana)
        await tx.run("INSERT INTO group_member VALUES ($1, $2, $3)", acme.tenant, acme.security, acme.mona)

    with pytest.raises(no.NotAnApprover):
        await acme.decide(acme.ana, asked)
    assert (await acme.decide(acme.mona, asked)).request.status is Outcome.APPROVED


async def test_the_same_call_twice_under_one_idempotency_key_is_carried_out_once(acme: Company) -> None:
    await acme.workflow(acme.ana)

    first = await acme.ask(idempotency=keyed("k"))
    again = await acme.ask(idempotency=keyed("k"))

    assert (again.request, again.events, again.replayed) == (first.request, first.events, True)
    with pytest.raises(no.KeyReused):
        await acme.ask(idempotency=keyed("k", b"other"))
    assert (await acme.ask(acme.ben, idempotency=keyed("k"))).request.id != first.request.id
    await acme.check()


async def test_one_idempotency_key_twice_in_a_batch_or_on_two_servers_is_carried_out_once(acme: Company) -> None:
    await acme.workflow(acme.ana)
    other = Door(acme.db, acme.clock, uuid4)
    asking = acme.asking(refuses_duplicates=False)

    answers = await asyncio.gather(
        *(
            door.take(acme.order(acme.rhea, asking, idempotency=keyed("k")))
            for door in (acme.door, acme.door, other, other)
        )
    )

    assert len({answer.request.id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False, True, True, True]
    await acme.check()


async def test_a_refusal_is_replayed_too_unless_it_is_about_who_may(acme: Company) -> None:
    with pytest.raises(no.NoWorkflow) as first:
        await acme.ask(idempotency=keyed("k"))
    with pytest.raises(no.NotPermitted):
        await acme.ask(acme.ben, acme.asking(beneficiary=acme.cyd), idempotency=keyed("k"))
    await acme.workflow(acme.ana)

    with pytest.raises(no.NoWorkflow) as again:
        await acme.ask(idempotency=keyed("k"))

    assert (first.value.replayed, again.value.replayed) == (False, True)
    kept = await acme.rows("SELECT caller_id FROM replay WHERE tenant_id = $1")
    assert kept == [(acme.rhea,)]


async def test_an_answer_is_replayed_as_it_was_though_the_request_has_moved_on(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask(idempotency=keyed("k"))
    await acme.decide(acme.ana, asked)

    again = await acme.ask(idempotency=keyed("k"))

    assert again.request.status is Outcome.PENDING
    acme.clock.passes(hours=25)
    assert (await acme.ask(idempotency=keyed("k"))).request.id != asked.request.id


async def test_a_decision_after_the_deadline_is_refused_and_the_expiry_carries_the_deadline(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()
    acme.clock.passes(hours=60)

    with pytest.raises(no.AlreadyClosed):
        await acme.decide(acme.ana, asked)

    kept = (await acme.held(asked.request.id)).request
    assert (kept.status, kept.closed_at) == (Outcome.EXPIRED, asked.request.created_at + timedelta(hours=48))
    [(actor, same_command)] = await acme.rows(
        "SELECT actor_id, command_id IN (SELECT command_id FROM event WHERE tenant_id = $1 AND type = 'Submitted')"
        " FROM event WHERE tenant_id = $1 AND type = 'Closed'"
    )
    assert (actor, same_command) == (None, False)
    await acme.check()


async def test_due_requests_lapse_without_anybody_asking(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(3)]
    acme.clock.passes(hours=49)

    assert await batch.lapse_due(acme.db, acme.tenant, "request", acme.clock, uuid4, 2) == 2
    assert await batch.lapse_due(acme.db, acme.tenant, "request", acme.clock, uuid4, 2) == 1
    assert await batch.lapse_due(acme.db, acme.tenant, "request", acme.clock, uuid4, 2) == 0

    assert {(await acme.held(one.request.id)).request.status for one in asked} == {Outcome.EXPIRED}
    await acme.check()


async def test_a_request_that_cannot_be_read_keeps_no_other_from_lapsing(acme: Company, unfenced: Database) -> None:
    await acme.workflow(acme.ana)
    asked = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(3)]
    poisoned, *others = [one.request.id for one in asked]
    async with unfenced.tx([acme.tenant]) as tx:
        await tx.run(
            "UPDATE request SET route = '{\"steps\": 1}' WHERE tenant_id = $1 AND id = $2", acme.tenant, poisoned
        )
    acme.clock.passes(hours=49)

    assert await batch.lapse_due(acme.db, acme.tenant, "request", acme.clock, uuid4, 10) == 2
    assert await batch.lapse_due(acme.db, acme.tenant, "request", acme.clock, uuid4, 10) == 0

    assert {(await acme.held(one)).request.status for one in others} == {Outcome.EXPIRED}
    timers = await acme.rows("SELECT subject_id, due_at FROM timer WHERE tenant_id = $1 AND kind = 'request'")
    assert timers == [(poisoned, acme.clock() + batch.PUT_OFF)]


async def test_events_remember_who_through_which_surface(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()

    done = await acme.decide(acme.ana, asked)

    assert isinstance(done.events[0], Decided)
    actors = await acme.rows(
        "SELECT type, actor_id FROM event WHERE tenant_id = $1 AND subject_kind = 'request' ORDER BY id"
    )
    assert actors == [
        ("Submitted", acme.rhea),
        ("StepOpened", acme.rhea),
        ("Decided", acme.ana),
        ("Closed", acme.ana),
    ]


async def test_a_delegate_and_a_service_decide_as_the_rules_say(acme: Company) -> None:
    await acme.workflow(Leaf(Kind.MANAGER, "requester"))
    asked = await acme.ask()
    at = acme.clock()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(
            "INSERT INTO delegation VALUES ($1, $2, $3, $4, $5, $6, $5)",
            acme.tenant,
            uuid4(),
            acme.mona,
            acme.ben,
            at,
            at + timedelta(hours=1),
        )

    done = await acme.decide(acme.ben, asked)

    assert isinstance(done.events[0], Decided)
    assert (done.events[0].human, done.events[0].on_behalf_of) == (acme.ben, acme.mona)
    await acme.check()


async def test_a_caller_who_hangs_up_cancels_nothing(acme: Company) -> None:
    await acme.workflow(acme.ana)
    asked = await acme.ask()
    call = asyncio.create_task(acme.decide(acme.ana, asked))
    await asyncio.sleep(0)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await acme.door.close()

    assert (await acme.held(asked.request.id)).request.status is Outcome.APPROVED
