"""What the world is owed arrives: once or more, signed, however often a courier or a receiver dies on the way."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from standardwebhooks import Webhook as Reference

from quorate.app.outgoing import Outgoing
from quorate.app.rounds import Did, Rounds
from quorate.app.sending import LEASE, TRIED_FOR
from quorate.app.webhooks import Draft, NoSuchWebhook, status_of
from quorate.domain.events import Choice
from quorate.domain.refusals import DuplicateRequest, NotAnApprover
from quorate.store.database import Database
from quorate.workers import courier as worker
from quorate.workers.courier import Courier, Limits
from tests.app.company import Company, later
from tests.receiver import OK, Got, Receiver, answer, receiving
from tests.store.servers import Server, on_both
from tests.workers.post import Post, actor, posting

BROKEN = answer(500, b"out of order")


@pytest.fixture
async def post(postgres: Server) -> AsyncIterator[Post]:
    async with posting(postgres) as made:
        yield made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@on_both
async def test_a_receiver_hears_the_whole_story_signed_and_olu_hears_nothing(post: Post, receiver: Receiver) -> None:
    acme, olus = await post.company(), await post.company()
    made = await post.hook(acme, receiver)
    async with receiving() as olu:
        await post.hook(olus, olu, "*")
        await post.deliver()
        olu.got.clear()
        asked = await acme.ask()
        await acme.decide(acme.ana, asked)

        assert await post.deliver() == 4

        assert olu.got == []
    assert sorted(call.said["type"] for call in receiver.got) == [
        "access_request.approved",
        "access_request.created",
        "approval.decided",
        "approval.requested",
    ]
    assert {call.said["tenantId"] for call in receiver.got} == {str(acme.tenant)}
    assert {call.said["data"]["request"]["id"] for call in receiver.got} == {str(asked.request.id)}
    assert all(call.is_signed_by(made.secret) for call in receiver.got)
    for call in receiver.got:
        Reference(made.secret).verify(call.body, call.headers)
        assert call.headers["content-type"] == "application/json"
        assert list(call.said) == ["type", "timestamp", "tenantId", "data"]
    assert {status_of(one) for one in await post.deliveries(acme, made)} == {"delivered"}


async def test_the_secret_in_the_database_is_sealed(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver)

    [(sealed,)] = await acme.rows("SELECT sealed FROM webhook WHERE tenant_id = $1")

    assert made.secret.startswith("whsec_")
    assert made.secret.encode() not in sealed
    assert made.webhook.sealed == sealed


async def test_an_attempt_that_failed_is_made_again_later_under_the_same_id_and_each_is_logged(
    post: Post, receiver: Receiver
) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    receiver.answer = BROKEN
    assert await post.deliver() == 1
    assert await post.deliver() == 0, "not at once"
    receiver.answer = answer(200, b"thanks \0 " + b"x" * 600)
    later(post.clock, timedelta(seconds=5))
    assert await post.deliver() == 1

    first, second = receiver.got
    assert first.id == second.id
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    assert second.is_signed_by(made.secret)
    [delivery] = await post.deliveries(acme, made)
    assert (status_of(delivery), delivery.attempts, str(delivery.id)) == ("delivered", 2, first.id)
    assert [(one.status, one.answer and one.answer[:12]) for one in delivery.log] == [
        (500, "out of order"),
        (200, "thanks \ufffd xxx"),
    ]
    assert len(delivery.log[1].answer or "") == 500
    assert delivery.log[0].took_ms >= 0


async def test_a_message_is_tried_for_a_day_ever_more_rarely_then_dead_then_made_again_when_asked(
    post: Post, receiver: Receiver
) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    receiver.answer = BROKEN
    began, tried = post.clock(), []
    while pending := await post.deliveries(acme, made, "pending"):
        post.clock.at = pending[0].due_at
        tried.append(post.clock() - began)
        assert await post.deliver() == 1

    seconds = [one.total_seconds() for one in tried]
    assert [round(one) for one in seconds] == [0, 5, 20, 65, 200, 605, 1820, 5465, 16400, 38000, 59600, 81200, 86400]
    assert tried[-1] == TRIED_FOR
    [dead] = await post.deliveries(acme, made, "dead")
    assert (dead.attempts, len(dead.log), status_of(dead)) == (13, 13, "dead")
    later(post.clock, timedelta(days=3))
    assert await post.deliver() == 0

    receiver.answer = OK
    replayed = await post.webhooks.replay(actor(acme), made.webhook.id, dead.id)
    assert status_of(replayed) == "pending"
    assert await post.deliver() == 1

    assert {call.id for call in receiver.got} == {str(dead.id)}
    assert all(call.is_signed_by(made.secret) for call in receiver.got)
    [delivered] = await post.deliveries(acme, made)
    assert (status_of(delivered), len(delivered.log)) == ("delivered", 14)


async def test_a_courier_that_was_away_for_days_still_tries_for_a_day(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    later(post.clock, timedelta(days=3))
    receiver.answer = BROKEN

    await post.deliver()

    assert [status_of(one) for one in await post.deliveries(acme, made)] == ["pending"]


async def test_a_replayed_message_has_a_whole_day_again(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    await post.deliver()
    [sent] = await post.deliveries(acme, made, "delivered")
    later(post.clock, timedelta(days=2))
    receiver.answer = BROKEN

    await post.webhooks.replay(actor(acme), made.webhook.id, sent.id)
    await post.deliver()

    [again] = await post.deliveries(acme, made)
    assert (status_of(again), again.attempts, again.due_at) == (
        "pending",
        1,
        post.clock() + timedelta(seconds=5),
    )


async def test_a_receiver_that_names_its_own_rest_is_heard(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    receiver.answer = answer(503, b"", "Retry-After: 600")

    await post.deliver()

    [pending] = await post.deliveries(acme, made)
    assert pending.due_at == post.clock() + timedelta(seconds=600)


async def test_a_receiver_that_is_gone_is_called_no_more_and_others_are_told(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.*")
    async with receiving() as second:
        await post.hook(acme, second, "webhook.disabled")
        receiver.answer = answer(410)
        await acme.ask()
        await post.deliver()
        receiver.answer = OK
        await acme.ask(acme.ben)
        await post.deliver()

        [told] = second.got
        assert told.said["data"]["subject"] == {"kind": "webhook", "id": str(made.webhook.id)}
        assert told.said["data"]["actorId"] is None
    assert len(receiver.got) == 1
    [dead] = await post.deliveries(acme, made)
    assert status_of(dead) == "dead"
    page, _ = await post.webhooks.page(actor(acme), 10, 0)
    gone = next(one for one in page if one.id == made.webhook.id)
    assert (gone.disabled_at, gone.disabled_why) == (post.clock(), "its receiver answered 410 Gone")
    with pytest.raises(NoSuchWebhook):
        await post.webhooks.replay(actor(acme), made.webhook.id, dead.id)


@on_both
async def test_a_courier_killed_between_claim_and_mark_leaves_the_message_to_the_next(
    post: Post, receiver: Receiver
) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    killed = asyncio.Event()

    async def not_before_it_is_dead(got: Got) -> bytes:
        await killed.wait()
        return OK

    receiver.answer = not_before_it_is_dead
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workers.doomed_courier", post.dsn, post.clock().isoformat()),
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(30):
            await receiver.came.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        _, trouble = await child.communicate()
    assert child.returncode == -9, trouble.decode()
    killed.set()
    receiver.answer = OK

    assert await post.deliver() == 0, "the lease still runs"
    later(post.clock, LEASE)
    assert await post.deliver() == 1

    first, again = receiver.got
    assert first.id == again.id
    assert first.is_signed_by(made.secret)
    assert again.is_signed_by(made.secret)
    [delivery] = await post.deliveries(acme, made)
    assert (status_of(delivery), delivery.attempts, len(delivery.log)) == ("delivered", 2, 1)


async def test_a_courier_whose_lease_ended_does_not_undo_what_another_found_out(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    slow, quick, late = post.courier(), post.courier(), asyncio.Event()

    async def late_and_wrong(got: Got) -> bytes:
        receiver.answer = OK
        await late.wait()
        return BROKEN

    receiver.answer = late_and_wrong
    assert await slow.turn() == 1
    async with asyncio.timeout(10):
        await receiver.came.wait()
    later(post.clock, LEASE)
    await post.deliver(quick)
    late.set()
    await slow.all_back()

    [delivery] = await post.deliveries(acme, made)
    assert (status_of(delivery), [one.status for one in delivery.log]) == ("delivered", [204, 500])


async def test_two_couriers_at_once_send_each_message_once(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    await post.hook(acme, receiver)
    for asker in (acme.rhea, acme.ben, acme.cyd, acme.mona):
        await acme.ask(asker)

    sent = await asyncio.gather(*(post.deliver(post.courier()) for _ in range(3)))

    assert sum(sent) == 8
    assert len({call.id for call in receiver.got}) == len(receiver.got) == 8


async def test_a_slow_receiver_holds_up_neither_another_webhook_nor_another_tenant(
    post: Post, receiver: Receiver
) -> None:
    acme, other = await post.company(), await post.company()
    never = asyncio.Event()

    async def hang(got: Got) -> bytes:
        await never.wait()
        return OK

    receiver.answer = hang
    await post.hook(acme, receiver, "access_request.created")
    async with receiving() as quick:
        for company in (acme, other):
            await post.hook(company, quick, "access_request.created", host="localhost")
            for asker in (company.rhea, company.ben, company.cyd):
                await company.ask(asker)
        courier = post.courier(Limits(webhook=2, tenant=4))
        async with asyncio.timeout(20):
            while len(quick.got) < 6:
                await courier.turn()
                await asyncio.sleep(0)

        assert len(receiver.got) == 2, "as many as a webhook may have on their way"
    never.set()
    await courier.all_back()


@pytest.mark.parametrize(
    "limits",
    [Limits(webhook=1), Limits(tenant=1), Limits(all=1), Limits(host=1)],
    ids=["webhook", "tenant", "all", "host"],
)
async def test_no_more_are_on_their_way_at_once_than_may_be(post: Post, receiver: Receiver, limits: Limits) -> None:
    acme = await post.company()
    await post.hook(acme, receiver)
    await acme.ask()
    at_once, most = 0, 0

    async def counted(got: Got) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(20):
            await asyncio.sleep(0)
        at_once -= 1
        return OK

    receiver.answer = counted
    await post.deliver(post.courier(limits))

    assert (most, len(receiver.got)) == (1, 2)


async def test_a_webhook_that_was_deleted_is_not_called_for_what_it_was_still_owed(
    post: Post, receiver: Receiver
) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver)
    await acme.ask()
    await post.webhooks.delete(actor(acme), made.webhook.id)

    assert await post.deliver() == 0

    assert receiver.got == []
    assert await acme.rows("SELECT dead_at FROM outbox WHERE tenant_id = $1") == [(post.clock(),)] * 2


async def test_an_address_that_is_not_public_is_a_failed_attempt_that_says_so(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    await post.outgoing.close()
    post.outgoing = Outgoing(allow_private=False)

    await post.deliver()
    await post.outgoing.close()

    [delivery] = await post.deliveries(acme, made)
    assert [one.trouble for one in delivery.log] == ["the address is not a public one"]
    assert receiver.got == []


async def test_what_was_sent_is_kept_a_week_and_what_died_a_month(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()
    await post.deliver()
    receiver.answer = answer(410)
    later(post.clock, timedelta(seconds=1))
    await acme.ask(acme.ben)
    await post.deliver()
    rounds = Rounds(post.worker, post.clock, uuid4)

    async def left_after(days: int) -> list[str]:
        later(post.clock, timedelta(days=days))
        await rounds.tidy()
        return [status_of(one) for one in await post.deliveries(acme, made)]

    assert await left_after(6) == ["delivered", "dead"]
    assert await left_after(2) == ["dead"]
    assert await left_after(21) == ["dead"]
    assert await left_after(2) == []
    assert await acme.rows("SELECT id FROM delivery_attempt WHERE tenant_id = $1") == []


class Enough(BaseException):
    """Ends a loop that never ends."""


async def test_the_loop_sends_rests_when_there_is_nothing_and_lets_go_when_it_ends(
    post: Post, receiver: Receiver
) -> None:
    acme = await post.company()
    await post.hook(acme, receiver)
    await acme.ask()
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if seconds and len(receiver.got) == 2:
            raise Enough

    with pytest.raises(Enough):
        async with asyncio.timeout(20):
            await worker.run(post.courier(), rest=rest)

    assert rests[0] == 0
    assert rests[-1] == worker.REST_S
    assert len(receiver.got) == 2


async def test_the_loop_goes_on_as_soon_as_there_is_room_again(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    await post.hook(acme, receiver)
    for asker in (acme.rhea, acme.ben):
        await acme.ask(asker)

    async def rest(seconds: float) -> None:
        if seconds:
            await asyncio.Event().wait()

    loop = asyncio.create_task(worker.run(post.courier(Limits(webhook=1)), rest=rest))
    async with asyncio.timeout(20):
        while len(receiver.got) < 4:
            receiver.came.clear()
            await receiver.came.wait()
        loop.cancel()
        await asyncio.wait([loop])

    assert loop.cancelled()


async def test_the_loop_outlives_the_database_and_asks_it_less_and_less_often(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:1/none", role=None)
    post.worker, rests = gone, []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 8:
            raise Enough

    with pytest.raises(Enough):
        await worker.run(Courier(post.sends(), post.outgoing, post.clock), rest=rest)

    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]
    assert {(record.levelno, record.exc_info) for record in caplog.records} <= {
        (logging.WARNING, None),
        (logging.WARNING, False),
    }


async def test_an_expiry_that_nobody_was_there_for_is_told_when_it_is_noticed(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    await post.hook(acme, receiver, "access_request.expired")
    asked = await acme.ask()
    later(post.clock, timedelta(hours=60))

    assert (await Rounds(post.worker, post.clock, uuid4).lapse()) == Did(done=1)
    await post.deliver()

    [call] = receiver.got
    due = asked.request.created_at + timedelta(hours=48)
    assert call.said["timestamp"] == due.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert call.said["data"]["actorId"] is None


async def test_nothing_is_owed_for_what_was_refused(post: Post, receiver: Receiver) -> None:
    acme: Company = await post.company()
    made = await post.hook(acme, receiver)
    asked = await acme.ask()
    with pytest.raises(DuplicateRequest):
        await acme.ask()
    with pytest.raises(NotAnApprover):
        await acme.decide(acme.ben, asked, Choice.REJECT)

    owed = {one.event_type for one in await post.deliveries(acme, made)}
    assert (owed, await post.deliver()) == ({"access_request.created", "approval.requested"}, 2)


async def test_a_message_sealed_with_a_lost_key_says_so(post: Post, receiver: Receiver) -> None:
    acme = await post.company()
    made = await post.webhooks.create(
        actor(acme), Draft(name="ops", url=receiver.url(), events=("access_request.created",))
    )
    await acme.ask()
    async with post.owner.tx([acme.tenant]) as tx:
        await tx.run("UPDATE webhook SET sealed = '\\x01' WHERE tenant_id = $1", acme.tenant)

    await post.deliver()

    [delivery] = await post.deliveries(acme, made)
    assert "sealed with another key" in str(delivery.log[0].trouble)


async def test_a_courier_that_is_told_to_stop_lets_go_of_what_hangs_and_the_next_takes_it_up(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GRACE_S", 0.01)
    acme = await post.company()
    made = await post.hook(acme, receiver, "access_request.created")
    await acme.ask()

    async def hang(got: Got) -> bytes:
        await asyncio.Event().wait()
        return OK

    receiver.answer = hang
    loop = asyncio.create_task(worker.run(post.courier()))
    async with asyncio.timeout(20):
        await receiver.came.wait()
        loop.cancel()
        await asyncio.wait([loop])
    receiver.answer = OK
    later(post.clock, LEASE)

    assert await post.deliver() == 1
    assert [status_of(one) for one in await post.deliveries(acme, made)] == ["delivered"]


async def test_a_message_that_waits_too_long_for_its_host_is_left_until_its_lease_ends(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "TURN_S", 0.01)
    acme = await post.company()
    made = await post.hook(acme, receiver)
    await acme.ask()
    waited, released = asyncio.Event(), asyncio.Event()

    async def hang(got: Got) -> bytes:
        waited.set()
        await released.wait()
        return OK

    receiver.answer = hang
    courier = post.courier(Limits(host=1))
    async with asyncio.timeout(20):
        assert await courier.turn() == 2
        await waited.wait()
        await courier.pause(asyncio.sleep(10))
        assert len(courier._on_their_way) == 1
        released.set()
        await courier.all_back()

    first = [one for one in await post.deliveries(acme, made) if one.log]
    assert [status_of(one) for one in first] == ["delivered"]
    receiver.answer = OK
    later(post.clock, LEASE)
    assert await post.deliver() == 1
