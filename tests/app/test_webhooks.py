"""Who may make a webhook, what comes of it, and that messages are written with what they tell of or not at all."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app import webhooks as module
from quorate.app.actor import Actor, How
from quorate.app.commands import Door
from quorate.app.grants import Grants, end_due
from quorate.app.orders import Done
from quorate.app.tell import tell
from quorate.app.webhooks import BadWebhook, Draft, NoSuchWebhook, TooManyWebhooks, Webhooks, status_of
from quorate.app.workflows import Draft as WorkflowDraft
from quorate.app.workflows import Workflows
from quorate.domain import refusals as no
from quorate.domain.events import Duration
from quorate.domain.workflows import Kind, Leaf, Step, any_one_of
from quorate.store.database import Database
from quorate.store.events import Entry
from tests.app.company import Company, later
from tests.app.directory import SEALER

URL = "https://hooks.example/quorate"


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
async def olus(db: Database, olu: UUID) -> Company:
    return await Company(db, olu).settle()


def by(company: Company, who: UUID | None = None) -> Actor:
    return Actor(company.tenant, who or company.ada, frozenset(), How(uuid4(), "key", "native", "192.0.2.1"))


def of(company: Company, *, allow_private: bool = False) -> Webhooks:
    return Webhooks(company.db, SEALER, clock=company.clock, new_id=uuid4, allow_private=allow_private)


def draft(*events: str, **rest: Any) -> Draft:
    return Draft(**{"name": "ops", "url": URL, "events": events or ("access_request.*",)} | rest)


async def owed(company: Company) -> list[str]:
    rows = await company.rows("SELECT event_type FROM outbox WHERE tenant_id = $1 ORDER BY created_at, event_type")
    return [name for (name,) in rows]


async def test_a_webhook_is_made_its_secret_shown_once_and_read_back_without(acme: Company) -> None:
    made = await of(acme).create(by(acme), draft("grant.*", "grant.*", "approval.requested"))

    assert made.webhook == await of(acme).read(by(acme), made.webhook.id)
    assert made.webhook.events == ("grant.*", "approval.requested")
    assert (made.webhook.name, made.webhook.url, made.webhook.created_at) == ("ops", URL, acme.clock())
    opened = SEALER.open(made.webhook.sealed, tenant=acme.tenant, purpose=module.purpose(made.webhook.id))
    assert opened.decode() == made.secret
    page, total = await of(acme).page(by(acme), 10, 0)
    assert (page, total) == ([made.webhook], 1)


async def test_its_making_and_its_end_are_in_the_history_without_the_rest_of_its_url(acme: Company) -> None:
    made = await of(acme).create(by(acme), draft())
    await of(acme).delete(by(acme), made.webhook.id)

    events = await acme.rows("SELECT type, actor_id, body FROM event WHERE tenant_id = $1 ORDER BY seq")
    assert [(type, who) for type, who, _ in events] == [("webhook.created", acme.ada), ("webhook.deleted", acme.ada)]
    assert all(b"hooks.example" in body and b"/quorate" not in body for _, _, body in events)
    with pytest.raises(NoSuchWebhook):
        await of(acme).delete(by(acme), made.webhook.id)


async def test_whoever_lacks_the_permission_learns_nothing_and_changes_nothing(acme: Company) -> None:
    hooks, rhea = of(acme), by(acme, acme.rhea)
    made = await hooks.create(by(acme), draft())
    for attempt in (
        hooks.page(rhea, 10, 0),
        hooks.read(rhea, made.webhook.id),
        hooks.create(rhea, draft(url="nonsense")),
        hooks.delete(rhea, made.webhook.id),
        hooks.deliveries(rhea, made.webhook.id, 10, 0),
        hooks.replay(rhea, made.webhook.id, uuid4()),
    ):
        with pytest.raises(no.NotPermitted):
            await attempt

    assert (await hooks.page(by(acme), 10, 0))[1] == 1


async def test_olu_finds_nothing_of_it(acme: Company, olus: Company) -> None:
    await acme.workflow(acme.ana)
    made = await of(acme).create(by(acme), draft())
    await acme.ask()
    [delivery], _ = await of(acme).deliveries(by(acme), made.webhook.id, 1, 0)
    hooks, olu = of(olus), by(olus)
    own = await hooks.create(olu, draft())

    assert (await hooks.page(olu, 10, 0))[0] == [own.webhook]
    for attempt in (
        hooks.read(olu, made.webhook.id),
        hooks.delete(olu, made.webhook.id),
        hooks.deliveries(olu, made.webhook.id, 10, 0),
        hooks.replay(olu, made.webhook.id, delivery.id),
        hooks.replay(olu, own.webhook.id, delivery.id),
    ):
        with pytest.raises(NoSuchWebhook):
            await attempt
    assert await owed(olus) == []


@pytest.mark.parametrize(
    ("wrong", "field", "why"),
    [
        ({"name": "  "}, "name", "1 to 200"),
        ({"name": "x" * 201}, "name", "1 to 200"),
        ({"name": "a\0b"}, "name", "1 to 200"),
        ({"url": "ftp://hooks.example/"}, "url", "https://"),
        ({"url": "https://127.0.0.1/"}, "url", "not a public one"),
        ({"url": "https://me:secret@hooks.example/"}, "url", "credentials"),
        ({"events": ()}, "events", "1 to"),
        ({"events": ("grant.expird",)}, "events", "did you mean grant.expired"),
        ({"events": ("*", "nonsense")}, "events", "no event 'nonsense'"),
    ],
)
async def test_what_could_never_work_is_refused_when_it_is_made(
    acme: Company, wrong: dict[str, Any], field: str, why: str
) -> None:
    with pytest.raises(BadWebhook) as refused:
        await of(acme).create(by(acme), draft(**wrong))

    assert refused.value.field == field
    assert why in refused.value.why


async def test_the_operator_may_allow_private_addresses(acme: Company) -> None:
    made = await of(acme, allow_private=True).create(by(acme), draft(url="http://127.0.0.1:9/"))

    assert made.webhook.url == "http://127.0.0.1:9/"


async def test_a_tenant_has_only_so_many(acme: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for _ in range(2):
        await of(acme).create(by(acme), draft())

    with pytest.raises(TooManyWebhooks):
        await of(acme).create(by(acme), draft())


async def test_messages_are_owed_from_the_making_of_a_webhook_on(acme: Company) -> None:
    await acme.workflow(acme.ana)
    before = await acme.ask()
    assert await owed(acme) == []

    await of(acme).create(by(acme), draft("access_request.*"))
    await acme.decide(acme.ana, before)

    assert await owed(acme) == ["access_request.approved"]


async def test_a_webhook_that_hears_everything_hears_of_itself_first(acme: Company) -> None:
    await of(acme).create(by(acme), draft("*"))

    assert await owed(acme) == ["webhook.created"]


async def test_of_two_who_ask_for_the_same_at_once_only_the_one_that_is_filed_is_told(acme: Company) -> None:
    await acme.workflow(acme.ana)
    await of(acme).create(by(acme), draft("access_request.created"))
    doors = [Door(acme.db, acme.clock, uuid4) for _ in range(4)]

    answers = await asyncio.gather(
        *(door.take(acme.order(acme.rhea, acme.asking())) for door in doors), return_exceptions=True
    )

    assert [type(one) for one in answers].count(Done) == 1
    assert await owed(acme) == ["access_request.created"]


async def test_definitions_tell_of_themselves_too(acme: Company) -> None:
    await of(acme).create(by(acme), draft("workflow.*"))
    workflows = Workflows(acme.db, clock=acme.clock, new_id=uuid4)
    step = Step(1, "One", any_one_of(Leaf(Kind.USER, str(acme.ana))), 3600)

    made = await workflows.create(by(acme), WorkflowDraft(name="W", description="private", steps=(step,)))
    later(acme.clock, timedelta(seconds=1))
    await workflows.activate(by(acme), made.id)

    assert await owed(acme) == ["workflow.created", "workflow.activated"]
    bodies = await acme.rows("SELECT body FROM outbox WHERE tenant_id = $1")
    assert all(b"private" not in body and str(made.id).encode() in body for (body,) in bodies)


async def test_an_event_that_no_webhook_could_ask_for_is_a_mistake_of_ours(acme: Company) -> None:
    entry = Entry(
        subject_kind="user", subject=acme.rhea, command=uuid4(), at=acme.clock(), type="user.renamed", actor=None
    )

    with pytest.raises(AssertionError, match=r"user\.renamed"):
        async with acme.db.tx([acme.tenant]) as tx:
            await tell(tx, acme.tenant, [entry], uuid4)

    assert await acme.rows("SELECT 1 FROM event WHERE tenant_id = $1") == []


async def test_deliveries_are_read_by_page_and_by_what_became_of_them(acme: Company) -> None:
    await acme.workflow(acme.ana)
    hooks = of(acme)
    made = await hooks.create(by(acme), draft("access_request.created"))
    for asker in (acme.rhea, acme.ben, acme.cyd):
        later(acme.clock, timedelta(seconds=1))
        await acme.ask(asker)

    async def names(limit: int, offset: int, status: str | None = None) -> tuple[list[str], int]:
        page, total = await hooks.deliveries(by(acme), made.webhook.id, limit, offset, status)
        return [status_of(one) for one in page], total

    first, _ = await hooks.deliveries(by(acme), made.webhook.id, 2, 0)
    assert [one.created_at for one in first] == [acme.clock(), acme.clock() - timedelta(seconds=1)]
    assert await names(2, 2) == (["pending"], 3)
    assert await names(10, 0, "pending") == (["pending"] * 3, 3)
    assert await names(10, 0, "delivered") == ([], 0)
    assert await names(10, 0, "dead") == ([], 0)
    assert first[0].log == ()
    assert (first[0].event_type, first[0].subject_kind) == ("access_request.created", "request")


async def test_a_grant_tells_of_its_beginning_and_its_end(acme: Company, olus: Company) -> None:
    await acme.workflow(acme.ana)
    await of(acme).create(by(acme), draft("grant.*"))
    await of(olus).create(by(olus), draft("grant.*"))
    asked = await acme.ask(asking=acme.asking(duration=Duration(1, "hours")))
    await acme.decide(acme.ana, asked)
    later(acme.clock, timedelta(hours=3))
    await end_due(acme.db, acme.tenant, acme.clock, uuid4, 10)

    bodies = await acme.rows("SELECT body FROM outbox WHERE tenant_id = $1 ORDER BY created_at")
    begun, ended = (msgspec.json.decode(body) for (body,) in bodies)
    assert (begun["type"], ended["type"]) == ("grant.active", "grant.expired")
    assert begun["data"]["subject"] == ended["data"]["subject"]
    assert begun["data"]["details"] | {"status": "expired"} == ended["data"]["details"]
    assert begun["data"]["details"]["requestId"] == str(asked.request.id)
    assert begun["data"]["details"]["endsAt"] == ended["timestamp"]
    assert (begun["data"]["actorId"], ended["data"]["actorId"]) == (str(acme.ana), None)
    assert await owed(olus) == []


async def test_a_grant_that_was_taken_away_says_so_without_the_reason(acme: Company) -> None:
    await acme.workflow(acme.ana)
    await of(acme).create(by(acme), draft("grant.revoked"))
    await acme.decide(acme.ana, await acme.ask())
    grants = Grants(acme.db, clock=acme.clock, new_id=uuid4, forget=lambda *_: None)
    [grant], _ = await grants.page(by(acme, acme.rhea), None, None, limit=1, offset=0)

    await grants.revoke(by(acme, acme.rhea), grant.id, "a private reason")

    [(body,)] = await acme.rows("SELECT body FROM outbox WHERE tenant_id = $1")
    assert b"private" not in body
    assert msgspec.json.decode(body)["data"]["details"]["status"] == "revoked"


async def test_an_approval_for_somebody_gone_tells_that_and_no_beginning(acme: Company) -> None:
    await acme.workflow(acme.ana)
    await of(acme).create(by(acme), draft("grant.*"))
    asked = await acme.ask()
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(
            "UPDATE principal SET status = 'inactive' WHERE tenant_id = $1 AND id = $2", acme.tenant, acme.rhea
        )

    await acme.decide(acme.ana, asked)

    assert await owed(acme) == ["grant.failed"]
