"""A second factor with a decision: what is asked, what is signed, and everything that is refused and counted."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from quorate.app.actor import Actor, How
from quorate.app.challenges import Challenges, Protocol, snapshot
from quorate.app.evidence import Evidence, ToSign, U2f, Verifier, challenge_of
from quorate.app.limits import Attempts, TooOften
from quorate.app.orders import Done
from quorate.app.requests import OpenStep, Requests
from quorate.app.verify import Passwords
from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Decided, Overridden
from quorate.domain.evidence import Demand
from quorate.domain.workflows import Count, Kind, Leaf, Node
from quorate.store.database import Database
from tests.app.company import Company, keyed
from tests.app.directory import CHEAP, PASSWORD, SEALER, a_service, change
from tests.authenticator import ORIGIN, SETTINGS, Authenticator

FACTOR, ONLY_PASSWORD = Demand(second_factor=True), Demand(password=True)


class Desk:
    """A company whose approvers must show a security key; Ana, Ben and Ada have one each."""

    def __init__(self, company: Company, passwords: Passwords, owner: Database) -> None:
        self.company, self.owner = company, owner
        attempts = Attempts(0, 0, company.clock.seconds)
        verifier = Verifier(company.db, passwords, attempts, SEALER, clock=company.clock, new_id=uuid4)
        self.requests = Requests(
            company.db, company.door, verifier, clock=company.clock, new_id=uuid4, forget=lambda tenant, account: None
        )
        self.challenges = Challenges(company.db, company.door, attempts, clock=company.clock, new_id=uuid4)
        self.keys: dict[UUID, Authenticator] = {}

    def actor(self, who: UUID, *permissions: str) -> Actor:
        return Actor(self.company.tenant, who, frozenset(permissions), How(None, "key", "native", "192.0.2.1"))

    async def settle(self, **settings: Any) -> None:
        """Say what the tenant takes."""
        said = json.dumps({"webauthn": SETTINGS | settings}).encode()
        await change(self.owner, self.company.tenant, "UPDATE tenant SET settings = $2 WHERE id = $1", said)

    async def register(self, who: UUID, key: Authenticator | None = None) -> UUID:
        """Give somebody a security key; answers the id of the credential."""
        key, id = key or Authenticator(), uuid4()
        self.keys[who] = key
        await change(
            self.company.db,
            self.company.tenant,
            """INSERT INTO credential (tenant_id, id, principal_id, kind, public, sign_count, created_at)
               VALUES ($1, $2, $3, 'passkey', $4, $5, now())""",
            id,
            who,
            json.dumps(key.public).encode(),
            key.count,
        )
        return id

    async def asked(self, *approvers: UUID, demand: Demand = FACTOR, n: int = 1) -> Done:
        leaves = tuple(Leaf(Kind.USER, str(one)) for one in approvers or (self.company.ana, self.company.ben))
        await self.company.workflow(Node(Count(n), leaves, demand), Leaf(Kind.USER, str(self.company.cyd)))
        return await self.company.ask()

    async def challenge(self, who: UUID, done: Done, protocol: Protocol = Protocol.FIDO2) -> ToSign:
        return await self.challenges.issue(self.actor(who), done.held.tasks[0], protocol)

    async def decide(self, who: UUID, done: Done, evidence: Evidence) -> Done:
        return await self.requests.decide(self.actor(who), done.held.tasks[0], Choice.APPROVE, None, evidence)

    async def approve(self, who: UUID, done: Done) -> Done:
        asked = await self.challenge(who, done)
        return await self.decide(who, done, Evidence(webauthn=self.keys[who].sign(asked.challenge)))

    async def wrong_tries(self) -> int:
        rows = await self.company.rows("SELECT coalesce(sum(tries), 0) FROM wrong_try WHERE tenant_id = $1")
        return int(rows[0][0])


@pytest.fixture
async def desk(db: Database, owner: Database, tenant: UUID) -> AsyncIterator[Desk]:
    company, passwords = await Company(db, tenant).settle(), Passwords(CHEAP)
    desk = Desk(company, passwords, owner)
    await desk.settle()
    for who in (company.ana, company.ben, company.ada):
        await desk.register(who)
        await change(
            db,
            tenant,
            "UPDATE principal SET password_hash = $3, password_stamp = $4 WHERE tenant_id = $1 AND id = $2",
            who,
            CHEAP.hash(PASSWORD),
            uuid4(),
        )
    yield desk
    passwords.close()


async def test_what_was_signed_is_kept_with_the_decision_and_can_be_computed_again(desk: Desk) -> None:
    asked = await desk.asked()
    challenge = await desk.challenge(desk.company.ana, asked)
    assertion = desk.keys[desk.company.ana].sign(challenge.challenge)
    done = await desk.decide(desk.company.ana, asked, Evidence(webauthn=assertion))

    [decided] = [event for event in done.events if isinstance(event, Decided)]
    assert decided.signed is not None
    assert (decided.showed_second_factor, decided.showed_password) == (True, False)
    assert decided.signed.snapshot == snapshot(asked.request, 0)
    assert challenge_of(decided.signed) == challenge.challenge
    [row] = await desk.company.rows("SELECT id, sign_count FROM credential WHERE tenant_id = $1 AND sign_count > 0")
    assert row == (decided.factor, 1)
    assert await desk.company.rows("SELECT 1 FROM challenge WHERE tenant_id = $1") == []


async def test_an_approval_that_demands_a_second_factor_is_impossible_without_one(desk: Desk) -> None:
    done = await desk.asked()
    ana, ada = desk.actor(desk.company.ana), desk.actor(desk.company.ada, "admin")
    for evidence in (Evidence(), Evidence(password=PASSWORD)):
        for trying in (
            desk.requests.decide(ana, done.held.tasks[0], Choice.APPROVE, None, evidence),
            desk.requests.decide(ana, OpenStep(done.request.id), Choice.APPROVE, None, evidence),
            desk.requests.override(ada, done.request.id, Choice.APPROVE, None, evidence),
        ):
            with pytest.raises(no.EvidenceMissing) as refused:
                await trying
            assert refused.value.second_factor
    seat = desk.company.order(desk.company.ada, do.TakeSeat(desk.company.ada, Choice.APPROVE), request=done.request.id)
    with pytest.raises(no.EvidenceMissing):
        await desk.company.door.take(seat)

    assert (await desk.company.held(done.request.id)).request == done.request
    assert await desk.wrong_tries() == 0


async def test_an_administrator_overrides_with_a_key_of_their_own(desk: Desk) -> None:
    done, ada = await desk.asked(), desk.actor(desk.company.ada, "admin")
    with pytest.raises(no.NotAnApprover):
        await desk.challenges.issue(ada, done.held.tasks[0])
    challenge = await desk.challenges.issue(ada, OpenStep(done.request.id), to_override=True)
    evidence = Evidence(webauthn=desk.keys[desk.company.ada].sign(challenge.challenge))

    passed = await desk.requests.override(ada, done.request.id, Choice.APPROVE, None, evidence)

    [overridden] = [event for event in passed.events if isinstance(event, Overridden)]
    assert overridden.signed is not None
    assert overridden.signed.snapshot == snapshot(done.request, 0)


async def test_a_repeated_override_gets_the_first_answer_though_its_signature_is_used_up(desk: Desk) -> None:
    ana, ada = (Leaf(Kind.USER, str(one)) for one in (desk.company.ana, desk.company.ben))
    await desk.company.workflow(*(Node(Count(1), (one,), FACTOR) for one in (ana, ada)))
    done, admin = await desk.company.ask(), desk.actor(desk.company.ada, "admin")
    asked = await desk.challenges.issue(admin, OpenStep(done.request.id), to_override=True)
    evidence = Evidence(webauthn=desk.keys[desk.company.ada].sign(asked.challenge))

    answers = [
        await desk.requests.override(admin, done.request.id, Choice.APPROVE, None, evidence, keyed("k"))
        for _ in range(2)
    ]

    assert [one.replayed for one in answers] == [False, True]
    assert [one.request.current.index for one in answers] == [1, 1]
    assert await desk.wrong_tries() == 0


Lie = Callable[[Authenticator, ToSign], dict[str, Any]]
LIES: dict[str, Lie] = {
    "another key": lambda _, asked: Authenticator().sign(asked.challenge),
    "another challenge": lambda key, _: key.sign(secrets.token_bytes(32)),
    "a foreign origin": lambda key, asked: key.sign(asked.challenge, origin="https://evil.example"),
    "the origin with a tail": lambda key, asked: key.sign(asked.challenge, origin=f"{ORIGIN}.evil.example"),
    "a wrong rpId": lambda key, asked: key.sign(asked.challenge, rp_id="evil.example"),
    "nobody there": lambda key, asked: key.sign(asked.challenge, flags=4),
    "made for registering": lambda key, asked: key.sign(asked.challenge, kind="webauthn.create"),
    "appid without U2F": lambda key, asked: key.sign(asked.challenge) | {"clientExtensionResults": {"appid": True}},
    "rawId of another": lambda key, asked: key.sign(asked.challenge) | {"rawId": "AAAA"},
    "no type": lambda key, asked: key.sign(asked.challenge) | {"type": "password"},
    "no response": lambda key, asked: key.sign(asked.challenge) | {"response": "yes"},
    "nothing": lambda _, __: {},
    "text for numbers": lambda key, asked: key.sign(asked.challenge) | {"id": 7},
    "not base64": lambda key, asked: _with(key.sign(asked.challenge), signature="%%%"),
    "a signature of another": lambda key, asked: _with(key.sign(asked.challenge), signature="MAYCAQECAQE"),
    "a short signature": lambda key, asked: _with(key.sign(asked.challenge), signature="MA"),
    "client data that is no JSON": lambda key, asked: _with(key.sign(asked.challenge), clientDataJSON="e3s"),
    "client data that is a list": lambda key, asked: _with(key.sign(asked.challenge), clientDataJSON="W10"),
    "short authenticator data": lambda key, asked: _with(key.sign(asked.challenge), authenticatorData="AAAA"),
    "far too long": lambda key, asked: _with(key.sign(asked.challenge), clientDataJSON="A" * 500_000),
}


def _with(assertion: dict[str, Any], **parts: str) -> dict[str, Any]:
    return assertion | {"response": assertion["response"] | parts}


@pytest.mark.parametrize("lie", LIES)
async def test_what_proves_nothing_is_refused_counted_and_uses_the_challenge_up(desk: Desk, lie: str) -> None:
    done, ana = await desk.asked(), desk.company.ana
    challenge = await desk.challenge(ana, done)

    with pytest.raises(no.EvidenceWrong) as refused:
        await desk.decide(ana, done, Evidence(webauthn=LIES[lie](desk.keys[ana], challenge)))
    assert (refused.value.password, refused.value.factor) == (False, "webauthn")
    assert await desk.wrong_tries() == 1
    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, done, Evidence(webauthn=desk.keys[ana].sign(challenge.challenge)))
    assert await desk.wrong_tries() == 2
    assert (await desk.company.held(done.request.id)).request == done.request

    assert (await desk.approve(ana, done)).request.current.index == 1
    assert await desk.wrong_tries() == 0


async def test_an_assertion_counts_once_and_for_one_request(desk: Desk) -> None:
    ana = desk.company.ana
    await desk.asked()
    first, second = [await desk.company.ask(who) for who in (desk.company.mona, desk.company.cyd)]
    challenge = await desk.challenge(ana, first)
    signed = Evidence(webauthn=desk.keys[ana].sign(challenge.challenge))

    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, second, signed)  # Nothing was asked about this one.
    await desk.challenge(ana, second)
    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, second, signed)  # Something else was asked.
    assert (await desk.decide(ana, first, signed)).request.current.index == 1
    with pytest.raises(no.AlreadyDecided):
        await desk.decide(ana, first, signed)


async def test_a_new_challenge_voids_the_old(desk: Desk) -> None:
    done, ana = await desk.asked(), desk.company.ana
    old, new = await desk.challenge(ana, done), await desk.challenge(ana, done)

    assert old.challenge != new.challenge
    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, done, Evidence(webauthn=desk.keys[ana].sign(old.challenge)))


@pytest.mark.parametrize(("minutes", "counts"), [(4.9, True), (5, False)])
async def test_a_challenge_is_good_for_five_minutes(desk: Desk, minutes: float, counts: bool) -> None:
    done, ana = await desk.asked(), desk.company.ana
    challenge = await desk.challenge(ana, done)
    desk.company.clock.passes(minutes=minutes)
    evidence = Evidence(webauthn=desk.keys[ana].sign(challenge.challenge))

    if counts:
        assert (await desk.decide(ana, done, evidence)).request.current.index == 1
    else:
        with pytest.raises(no.EvidenceWrong):
            await desk.decide(ana, done, evidence)


async def test_nobody_uses_anybody_elses_key_or_challenge(desk: Desk) -> None:
    done, ana, ben = await desk.asked(), desk.company.ana, desk.company.ben
    for_ana, for_ben = await desk.challenge(ana, done), await desk.challenge(ben, done)

    for evidence in (
        Evidence(webauthn=desk.keys[ben].sign(for_ana.challenge)),
        Evidence(webauthn=desk.keys[ana].sign(for_ben.challenge)),
    ):
        with pytest.raises(no.EvidenceWrong):
            await desk.decide(ana, done, evidence)
    assert await desk.wrong_tries() == 2


async def test_a_revoked_key_counts_no_more(desk: Desk) -> None:
    done, ana = await desk.asked(), desk.company.ana
    challenge = await desk.challenge(ana, done)
    await change(
        desk.company.db,
        desk.company.tenant,
        "UPDATE credential SET revoked_at = now() WHERE tenant_id = $1 AND principal_id = $2",
        ana,
    )

    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, done, Evidence(webauthn=desk.keys[ana].sign(challenge.challenge)))
    with pytest.raises(no.CannotChallenge) as refused:
        await desk.challenge(ana, done)
    assert refused.value.why == "no_key"


async def test_a_counter_that_does_not_grow_gives_a_copy_of_a_key_away(desk: Desk) -> None:
    ana = desk.company.ana
    asked = [await desk.asked(), await desk.company.ask(desk.company.mona)]
    await desk.approve(ana, asked[0])

    desk.keys[ana].count = 0
    with pytest.raises(no.EvidenceWrong):
        await desk.approve(ana, asked[1])
    assert (await desk.approve(ana, asked[1])).request.current.index == 1


async def test_two_signatures_of_one_count_pass_the_door_once_even_in_one_batch(desk: Desk) -> None:
    ana, challenges = desk.company.ana, []
    await desk.asked()
    asked = [await desk.company.ask(who) for who in (desk.company.mona, desk.company.cyd)]
    proofs = []
    for one in asked:
        challenges.append(await desk.challenge(ana, one))
        desk.keys[ana].count = 0  # A copy of the key signs.
        evidence = Evidence(webauthn=desk.keys[ana].sign(challenges[-1].challenge))
        proofs.append(await desk.requests._verifier.verify(desk.actor(ana), evidence, one.request.id, 0))
    orders = [
        desk.company.order(ana, do.Decide(ana, Choice.APPROVE, proof=proof), task=one.held.tasks[0])
        for one, proof in zip(asked, proofs, strict=True)
    ]

    answers = await asyncio.gather(*(desk.company.door.take(one) for one in orders), return_exceptions=True)

    assert [type(one) for one in answers] == [Done, no.EvidenceMissing]
    again = await asyncio.gather(desk.company.door.take(orders[1]), return_exceptions=True)
    assert isinstance(again[0], no.EvidenceMissing)


async def test_a_key_that_never_counts_signs_as_often_as_it_is_asked(desk: Desk) -> None:
    mona = desk.company.mona
    await desk.register(mona, Authenticator(step=0))
    for one in (await desk.asked(mona), await desk.company.ask(desk.company.ben)):
        assert (await desk.approve(mona, one)).request.current.index == 1


async def test_a_challenge_is_only_for_those_who_may_decide(desk: Desk, db: Database, tenant: UUID, olu: UUID) -> None:
    company, done = desk.company, await desk.asked()
    bot = await a_service(db, tenant, owner=company.ana)
    stranger = Actor(olu, uuid4(), frozenset({"admin"}), How(None, "key", "native", "192.0.2.1"))
    for who, refusal in (
        (desk.actor(company.cyd), no.NotAnApprover),
        (desk.actor(bot), no.NotAnApprover),
        (desk.actor(company.rhea), no.OwnRequest),
        (stranger, no.NoSuchRequest),
    ):
        for about in (done.held.tasks[0], OpenStep(done.request.id)):
            with pytest.raises(refusal):
                await desk.challenges.issue(who, about)
    for one in (company.ana, company.rhea):
        with pytest.raises(no.NotPermitted):
            await desk.challenges.issue(desk.actor(one, "admin"), OpenStep(done.request.id), to_override=True)
    with pytest.raises(no.NoSuchRequest):
        await desk.challenges.issue(desk.actor(company.ana), uuid4())

    await desk.approve(company.ana, done)
    with pytest.raises(no.AlreadyDecided):
        await desk.challenge(company.ana, done)
    with pytest.raises(no.AlreadyClosed):
        await desk.challenge(company.ben, done)
    assert await company.rows("SELECT 1 FROM challenge WHERE tenant_id = $1") == []


async def test_what_the_deadline_has_ended_is_asked_about_no_more(desk: Desk) -> None:
    done = await desk.asked()
    desk.company.clock.passes(hours=49)

    with pytest.raises(no.AlreadyClosed) as refused:
        await desk.challenge(desk.company.ana, done)
    assert refused.value.status == "expired"


async def test_a_tenant_that_takes_no_keys_asks_for_none(desk: Desk) -> None:
    done = await desk.asked()
    with pytest.raises(no.CannotChallenge) as refused:
        await desk.challenge(desk.company.ana, done, Protocol.U2F)
    assert refused.value.why == "protocol"
    await change(desk.owner, desk.company.tenant, "UPDATE tenant SET settings = '{}' WHERE id = $1")

    with pytest.raises(no.CannotChallenge) as refused:
        await desk.challenge(desk.company.ana, done)
    assert refused.value.why == "unset"


async def test_a_tenant_may_demand_that_the_key_knew_its_user(desk: Desk) -> None:
    await desk.settle(verifyUser=True)
    done, ana = await desk.asked(), desk.company.ana
    for flags, counts in ((1, False), (5, True)):
        challenge = await desk.challenge(ana, done)
        assert challenge.demands_user
        evidence = Evidence(webauthn=desk.keys[ana].sign(challenge.challenge, flags=flags))
        if counts:
            assert (await desk.decide(ana, done, evidence)).request.current.index == 1
        else:
            with pytest.raises(no.EvidenceWrong):
                await desk.decide(ana, done, evidence)


async def test_challenges_are_not_asked_for_without_end(desk: Desk) -> None:
    done, company = await desk.asked(), desk.company
    few = Challenges(company.db, company.door, Attempts(2, 0, company.clock.seconds), clock=company.clock, new_id=uuid4)
    for _ in range(2):
        await few.issue(desk.actor(company.ana), done.held.tasks[0])

    with pytest.raises(TooOften):
        await few.issue(desk.actor(company.ana), done.held.tasks[0])


async def test_after_five_wrong_ones_in_a_row_nothing_counts_for_five_minutes(desk: Desk) -> None:
    done, ana = await desk.asked(demand=ONLY_PASSWORD), desk.company.ana
    for _ in range(5):
        with pytest.raises(no.EvidenceWrong):
            await desk.decide(ana, done, Evidence(password="wrong"))

    challenge = await desk.challenge(ana, done)
    for evidence in (Evidence(password=PASSWORD), Evidence(webauthn=desk.keys[ana].sign(challenge.challenge))):
        with pytest.raises(no.LockedOut) as refused:
            await desk.decide(ana, done, evidence)
        assert refused.value.retry_after_s == 300
    assert await desk.company.rows("SELECT 1 FROM challenge WHERE tenant_id = $1") == []
    desk.company.clock.passes(minutes=5)
    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, done, Evidence(password="wrong"))
    assert (await desk.decide(ana, done, Evidence(password=PASSWORD))).request.current.index == 1
    assert await desk.wrong_tries() == 0


async def test_a_right_one_lets_the_count_begin_again_and_others_are_not_touched(desk: Desk) -> None:
    done, ana, ben = await desk.asked(demand=ONLY_PASSWORD, n=2), desk.company.ana, desk.company.ben
    for _ in range(4):
        with pytest.raises(no.EvidenceWrong):
            await desk.decide(ana, done, Evidence(password="wrong"))
    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ben, done, Evidence(password="wrong"))
    await desk.decide(ana, done, Evidence(password=PASSWORD))

    assert await desk.wrong_tries() == 1


async def test_several_second_factors_at_once_are_not_taken(desk: Desk) -> None:
    done, ana = await desk.asked(), desk.company.ana
    challenge = await desk.challenge(ana, done)
    both = Evidence(webauthn=desk.keys[ana].sign(challenge.challenge), totp="123456")

    with pytest.raises(no.BadReference):
        await desk.decide(ana, done, both)


U2F_LIES: dict[str, Callable[[Authenticator, ToSign], U2f]] = {
    "another key": lambda _, asked: Authenticator().sign_u2f(asked.challenge),
    "another challenge": lambda key, _: key.sign_u2f(secrets.token_bytes(32)),
    "a foreign origin": lambda key, asked: key.sign_u2f(asked.challenge, origin="https://evil.example"),
    "another appId": lambda key, asked: key.sign_u2f(asked.challenge, app_id="https://evil.example"),
    "nobody there": lambda key, asked: key.sign_u2f(asked.challenge, presence=0),
    "made for registering": lambda key, asked: key.sign_u2f(asked.challenge, what="finishEnrollment"),
    "no JSON": lambda key, asked: replace(key.sign_u2f(asked.challenge), client_data=b"{"),
    "a list": lambda key, asked: replace(key.sign_u2f(asked.challenge), client_data=b"[]"),
    "too short": lambda key, asked: replace(key.sign_u2f(asked.challenge), signature_data=b"\x01"),
    "no signature": lambda key, asked: replace(key.sign_u2f(asked.challenge), signature_data=b"\x01\0\0\0\x09x"),
}


@pytest.mark.parametrize("lie", U2F_LIES)
async def test_a_u2f_signature_counts_where_the_tenant_takes_it_and_a_false_one_never(desk: Desk, lie: str) -> None:
    await desk.settle(u2f=True)
    done, ana = await desk.asked(), desk.company.ana
    challenge = await desk.challenge(ana, done, Protocol.U2F)
    with pytest.raises(no.EvidenceWrong) as refused:
        await desk.decide(ana, done, Evidence(u2f=U2F_LIES[lie](desk.keys[ana], challenge)))
    assert refused.value.factor == "u2f"
    assert await desk.wrong_tries() == 1

    asked = await desk.challenge(ana, done, Protocol.U2F)
    decided = await desk.decide(ana, done, Evidence(u2f=desk.keys[ana].sign_u2f(asked.challenge)))

    assert decided.request.current.index == 1


async def test_u2f_is_off_by_default_and_no_way_around_the_protocol_that_was_asked_for(desk: Desk) -> None:
    done, ana = await desk.asked(), desk.company.ana
    asked = await desk.challenge(ana, done)
    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, done, Evidence(u2f=desk.keys[ana].sign_u2f(asked.challenge)))
    await desk.settle(u2f=True)
    asked = await desk.challenge(ana, done)
    with pytest.raises(no.EvidenceWrong):
        await desk.decide(ana, done, Evidence(u2f=desk.keys[ana].sign_u2f(asked.challenge)))


async def test_a_key_registered_for_u2f_signs_a_webauthn_challenge_for_the_app_id(desk: Desk) -> None:
    await desk.settle(u2f=True)
    done, ana = await desk.asked(), desk.company.ana
    asked = await desk.challenge(ana, done)
    assertion = desk.keys[ana].sign(asked.challenge, rp_id=ORIGIN) | {"clientExtensionResults": {"appid": True}}

    assert (await desk.decide(ana, done, Evidence(webauthn=assertion))).request.current.index == 1
