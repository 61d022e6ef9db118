"""Break-glass: access at once in an emergency, and somebody else's judgement afterwards."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app.filing import AskAccess
from quorate.app.orders import Done
from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Duration, Outcome, RequestKind
from quorate.store import grants
from quorate.store.database import Database
from tests.app.company import Company


class Emergency:
    """A company whose production account may be entered by breaking the glass."""

    def __init__(self, acme: Company, owner: Database) -> None:
        self.acme, self.owner, self.account = acme, owner, uuid4()

    async def settle(self, **rules: Any) -> "Emergency":
        acme, at = self.acme, self.acme.clock()
        async with self.owner.tx([acme.tenant]) as tx:
            said = msgspec.json.encode({"breakGlass": {"enabled": True} | rules})
            await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", acme.tenant, said)
            await tx.run(
                """
                INSERT INTO resource (tenant_id, id, type, name, created_at, updated_at)
                VALUES ($1, $2, 'aws_account', 'prod', $3, $3) ON CONFLICT DO NOTHING
                """,
                acme.tenant,
                self.account,
                at,
            )
        return self

    async def break_glass(self, actor: UUID | None = None, **facts: Any) -> Done:
        asking = AskAccess("resource", str(self.account), "the site is down", breaks_glass=True)
        return await self.acme.ask(actor, msgspec.structs.replace(asking, **facts))

    async def reviews(self) -> list[UUID]:
        found = "SELECT id FROM request WHERE tenant_id = $1 AND kind = 'generic' ORDER BY created_at"
        rows = await self.acme.rows(found)
        return [id for (id,) in rows]

    async def judge(self, actor: UUID, choice: Choice) -> Done:
        [review] = await self.reviews()
        return await self.acme.door.take(self.acme.order(actor, do.Decide(actor, choice), request=review))

    async def has_access(self, user: UUID) -> bool:
        async with self.acme.db.tx([self.acme.tenant]) as tx:
            return bool(await grants.access(tx, self.acme.tenant, user, self.acme.clock()))


@pytest.fixture
async def emergency(db: Database, owner: Database, tenant: UUID) -> Emergency:
    return await Emergency(await Company(db, tenant).settle(), owner).settle()


async def test_access_is_given_at_once_as_long_as_the_tenant_allows_and_a_review_waits(
    emergency: Emergency,
) -> None:
    acme = emergency.acme
    done = await emergency.break_glass()

    assert done.request.status is Outcome.APPROVED
    assert await emergency.has_access(acme.rhea)
    [review] = await emergency.reviews()
    held = await acme.held(review)
    assert (held.request.filing.kind, held.request.is_open, held.request.due_at) == (RequestKind.GENERIC, True, None)
    assert held.request.filing.details["reviewOf"] == str(done.request.id)
    acme.clock.passes(seconds=3600)
    assert not await emergency.has_access(acme.rhea)
    await acme.check()


async def test_the_review_is_for_administrators_but_the_person_and_rejecting_it_revokes(emergency: Emergency) -> None:
    acme = emergency.acme
    await emergency.break_glass()

    for stranger in (acme.ana, acme.mona):
        with pytest.raises(no.NotAnApprover):
            await emergency.judge(stranger, Choice.APPROVE)
    with pytest.raises(no.OwnRequest):
        await emergency.judge(acme.rhea, Choice.APPROVE)
    [review] = await emergency.reviews()
    with pytest.raises(no.OwnRequest):
        await acme.door.take(acme.order(acme.rhea, do.Cancel(acme.rhea), request=review))
    with pytest.raises(no.OverrideForbidden):
        await acme.door.take(acme.order(acme.ada, do.Override(acme.ada, Choice.APPROVE), request=review))

    assert (await emergency.judge(acme.ada, Choice.REJECT)).request.status is Outcome.REJECTED
    assert not await emergency.has_access(acme.rhea)
    await acme.check()


async def test_a_justified_emergency_keeps_its_access(emergency: Emergency) -> None:
    await emergency.break_glass()

    await emergency.judge(emergency.acme.ada, Choice.APPROVE)

    assert await emergency.has_access(emergency.acme.rhea)


async def test_an_administrator_does_not_review_their_own_even_where_self_approval_is_allowed(
    emergency: Emergency,
) -> None:
    acme = emergency.acme
    async with emergency.owner.tx([acme.tenant]) as tx:
        said = b'{"selfApproval": true, "breakGlass": {"enabled": true}}'
        await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", acme.tenant, said)
    await emergency.break_glass(acme.ada)

    with pytest.raises(no.OwnRequest):
        await emergency.judge(acme.ada, Choice.APPROVE)


async def test_a_review_that_waits_more_than_a_day_shuts_the_glass_for_that_person_alone(emergency: Emergency) -> None:
    acme = emergency.acme
    await emergency.break_glass()
    acme.clock.passes(hours=23)
    await emergency.break_glass()
    acme.clock.passes(hours=1)

    with pytest.raises(no.BreakGlassForbidden, match="review"):
        await emergency.break_glass()
    assert (await emergency.break_glass(acme.ben)).request.status is Outcome.APPROVED
    for review in (await emergency.reviews())[:2]:
        order = acme.order(acme.ada, do.Decide(acme.ada, Choice.APPROVE), request=review)
        await acme.door.take(order)
    assert (await emergency.break_glass()).request.status is Outcome.APPROVED


async def test_what_the_tenant_does_not_allow_is_refused_and_changes_nothing(
    emergency: Emergency, db: Database, owner: Database, olu: UUID
) -> None:
    acme = emergency.acme
    refused: list[tuple[str, dict[str, Any]]] = [
        ("target", {"type": "role", "target": str(acme.auditors)}),
        ("target", {"target": str(uuid4())}),
        ("beneficiary", {"beneficiary": acme.ben}),
        ("duration", {"duration": Duration(2, "hours")}),
    ]
    for why, facts in refused:
        with pytest.raises(no.BreakGlassForbidden, match=why):
            await emergency.break_glass(**facts)
    await emergency.settle(groups=[str(acme.security)])
    with pytest.raises(no.BreakGlassForbidden, match="person"):
        await emergency.break_glass()
    assert (await emergency.break_glass(acme.ana)).request.status is Outcome.APPROVED
    await emergency.settle(enabled=False)
    with pytest.raises(no.BreakGlassForbidden, match="disabled"):
        await emergency.break_glass(acme.ana)

    theirs = Emergency(await Company(db, olu, acme.clock, acme.door).settle(), owner)
    await theirs.settle()
    with pytest.raises(no.BreakGlassForbidden, match="target"):
        await theirs.break_glass(target=str(emergency.account))
    assert len(await emergency.reviews()) == 1
