"""Signing in at an identity provider, and by what it says: a real one, on loopback."""

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import jwt
import msgspec
import pytest

from quorate import wiring
from quorate.app.oidc.claims import Body, NotProved, email_of
from quorate.app.oidc.issuers import FRESH_FOR, KEPT_FOR, LOOK_AGAIN, REST
from quorate.app.verify import Passwords
from quorate.store.database import Database
from tests.app.directory import CHEAP, SEALER, Clock, change
from tests.provider import KEYS, Idp, providing, public_pem
from tests.store.servers import Server
from tests.surfaces.jitsudo.story import Jit, error
from tests.surfaces.native.story import SETTINGS, told

COOKIE = "__Host-quorate-sign-in"
RHEA, ADA = "rhea@acme.example", "ada@acme.example"


class Gate:
    """The story with a provider that Acme trusts, and a browser."""

    def __init__(self, jit: Jit, idp: Idp, db: Database) -> None:
        self.jit, self.idp, self.db, self.client = jit, idp, db, f"quorate-{uuid4()}"

    async def settle(self, who: str = "ada", **more: Any) -> httpx.Response:
        settings = {"issuer_url": self.idp.issuer, "client_id": self.client, "client_secret": self.idp.secret}
        return await self.jit.call(who, "PUT", "/oidc-config", settings | more)

    async def leaves(self, tenant: UUID | None = None) -> httpx.Response:
        of = tenant or self.jit.story.tenant
        return await self.jit.call(None, "GET", f"/auth/login?tenant_id={of}", tenant=None)

    async def comes_back(self, url: str, kept: str | None) -> httpx.Response:
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://quorate.test/v1/auth/callback"
        headers = {} if kept is None else {"Cookie": f"other=1; {COOKIE}={kept}"}
        return await self.jit.call(None, "GET", f"/auth/callback?{parts.query}", tenant=None, headers=headers)

    async def signs_in(self, email: str = RHEA) -> httpx.Response:
        """There and back again."""
        left = await self.leaves()
        assert left.status_code == 302, left.text
        return await self.comes_back(self.idp.signed_in(left.headers["location"], email), kept(left))

    async def me(self, token: str, **more: Any) -> httpx.Response:
        """Who am I, on the native surface?"""
        client = self.jit.story.callers[""]
        return await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}", **more})

    async def status(self, who: str, status: str) -> None:
        await change(
            self.db,
            self.jit.story.tenant,
            "UPDATE principal SET status = $3 WHERE tenant_id = $1 AND id = $2",
            self.jit.ids[who],
            status,
        )

    async def told(self) -> list[tuple[str, UUID | None, dict[str, Any]]]:
        """What has happened at the gate, in order."""
        async with self.db.tx([self.jit.story.tenant]) as tx:
            rows = await tx.all(
                """SELECT type, actor_id, body FROM event
                    WHERE tenant_id = $1 AND subject_kind = 'login' ORDER BY at, seq""",
                self.jit.story.tenant,
            )
        return [(row["type"], row["actor_id"], msgspec.json.decode(row["body"])) for row in rows]


def kept(left: httpx.Response) -> str:
    name, _, rest = left.headers["set-cookie"].partition("=")
    value, _, terms = rest.partition("; ")
    assert name == COOKIE
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(terms.split("; "))
    return str(value)


@pytest.fixture
async def gate(postgres: Server, db: Database, tenant: UUID, olu: UUID) -> AsyncIterator[Gate]:
    clock, passwords = Clock(), Passwords(CHEAP)
    dsn = postgres.admin(await postgres.migrated())
    settings = replace(SETTINGS, allow_private_targets=True)
    async with (
        providing(clock) as idp,
        wiring.running(settings, dsn, clock=clock, seal=SEALER, passwords=passwords) as origin,
        told(origin, clock, db, tenant, olu) as world,
    ):
        made = Gate(Jit(world), idp, db)
        assert (await made.settle()).status_code == 200
        yield made
    passwords.close()


async def test_somebody_signs_in_at_their_provider_and_gets_a_token_of_ours(gate: Gate) -> None:
    came = await gate.signs_in("RHEA@acme.example")

    assert came.status_code == 200, came.text
    said = came.json()
    assert (said["token_type"], said["expires_in"], said["user_id"]) == ("Bearer", 3600, str(gate.jit.ids["rhea"]))
    assert said["tenant_id"] == str(gate.jit.story.tenant)
    assert came.headers["cache-control"] == "no-store"
    assert f"{COOKIE}=; Max-Age=0" in came.headers["set-cookie"]
    mine = await gate.jit.call(None, "GET", "/requests", headers={"Authorization": f"Bearer {said['access_token']}"})
    assert mine.status_code == 200, mine.text
    assert (await gate.me(said["access_token"])).json()["data"]["email"] == RHEA
    [(what, who, body)] = await gate.told()
    assert (what, who, body["issuer"]) == ("auth.signed_in", gate.jit.ids["rhea"], gate.idp.issuer)


async def test_what_is_asked_of_the_provider_is_bound_to_this_one_sign_in(gate: Gate) -> None:
    one, other = await gate.leaves(), await gate.leaves()

    asked = [parse_qs(urlsplit(left.headers["location"]).query) for left in (one, other)]
    assert asked[0]["scope"] == ["openid email profile"]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name][0]) >= 32
    assert str(gate.idp.secret) not in one.text + str(one.headers)


async def test_every_kind_of_key_we_take_signs_somebody_in(gate: Gate) -> None:
    for name in ("r", "e", "d"):
        gate.idp.signs_with = name
        assert (await gate.signs_in()).status_code == 200, name


async def test_a_provider_that_wants_the_secret_in_the_form_or_none_at_all_gets_it_so(gate: Gate) -> None:
    gate.idp.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await gate.signs_in()).status_code == 200

    gate.idp.secret = None
    assert (await gate.settle()).status_code == 200
    assert (await gate.signs_in()).status_code == 200


async def test_a_token_without_an_address_has_it_asked_for_at_the_provider(gate: Gate) -> None:
    gate.idp.thin = True
    assert (await gate.signs_in()).status_code == 200

    for odd in ({"sub": "somebody else"}, {"email_verified": False}, {"email": None}):
        gate.idp.info = odd
        assert error(await gate.signs_in()) == (401, "unauthenticated"), odd


async def test_a_sign_in_counts_once_and_only_for_the_browser_that_began_it(gate: Gate) -> None:
    left, other = await gate.leaves(), await gate.leaves()
    back = gate.idp.signed_in(left.headers["location"], RHEA)

    for cookie in (None, "", "garbage", kept(other), kept(left)[:-4] + "AAAA", f"{uuid4().hex}.{kept(left)[33:]}"):
        assert error(await gate.comes_back(back, cookie)) == (401, "unauthenticated"), cookie
    assert (await gate.comes_back(back, kept(left))).status_code == 200
    assert error(await gate.comes_back(back, kept(left))) == (401, "unauthenticated")
    again = gate.idp.signed_in(left.headers["location"], RHEA)  # A new code for the same state.
    assert error(await gate.comes_back(again, kept(left))) == (401, "unauthenticated")


async def test_of_many_who_come_back_at_once_with_the_same_one_is_let_in(gate: Gate) -> None:
    left = await gate.leaves()
    back = gate.idp.signed_in(left.headers["location"], RHEA)

    came = await asyncio.gather(*(gate.comes_back(back, kept(left)) for _ in range(5)))

    assert sorted(one.status_code for one in came) == [200, 401, 401, 401, 401]


async def test_of_many_who_come_first_one_asks_the_provider(gate: Gate) -> None:
    tokens = [gate.idp.token(RHEA, gate.client, n=n) for n in range(10)]

    came = await asyncio.gather(*(gate.me(one) for one in tokens))

    assert {one.status_code for one in came} == {200}
    assert (gate.idp.times_asked("/jwks"), len(gate.idp.asked)) == (1, 2)


async def test_whoever_begins_too_often_is_told_to_wait(
    postgres: Server, db: Database, tenant: UUID, olu: UUID
) -> None:
    clock, passwords = Clock(), Passwords(CHEAP)
    dsn = postgres.admin(await postgres.migrated())
    settings = replace(SETTINGS, signin_per_address=2)
    async with (
        wiring.running(settings, dsn, clock=clock, seal=SEALER, passwords=passwords) as origin,
        told(origin, clock, db, tenant, olu) as world,
    ):
        jit = Jit(world)
        for path in (f"/auth/login?tenant_id={tenant}", "/auth/callback?state=x"):
            tried = [error(await jit.call(None, "GET", path, tenant=None)) for _ in range(3)]
            assert tried[2] == (429, "rate_limited"), path
            assert tried[0] == tried[1] != tried[2]
    passwords.close()


async def test_a_used_code_and_another_state_are_refused(gate: Gate) -> None:
    left = await gate.leaves()
    back = gate.idp.signed_in(left.headers["location"], RHEA)
    state = parse_qs(urlsplit(back).query)["state"][0]

    assert error(await gate.comes_back(back.replace(state, uuid4().hex), kept(left))) == (401, "unauthenticated")
    assert (await gate.comes_back(back, kept(left))).status_code == 200
    second = await gate.leaves()
    theirs = gate.idp.signed_in(second.headers["location"], RHEA)
    code, used = (parse_qs(urlsplit(one).query)["code"][0] for one in (theirs, back))
    assert error(await gate.comes_back(theirs.replace(code, used), kept(second))) == (401, "unauthenticated")


async def test_a_code_of_another_browser_does_not_fit_the_verifier(gate: Gate) -> None:
    mine, victim = await gate.leaves(), await gate.leaves()
    stolen = parse_qs(urlsplit(gate.idp.signed_in(victim.headers["location"], ADA)).query)["code"][0]
    back = gate.idp.signed_in(mine.headers["location"], RHEA)
    own = parse_qs(urlsplit(back).query)["code"][0]

    assert error(await gate.comes_back(back.replace(own, stolen), kept(mine))) == (401, "unauthenticated")


async def test_whoever_stays_away_too_long_begins_again(gate: Gate) -> None:
    left = await gate.leaves()
    back = gate.idp.signed_in(left.headers["location"], RHEA)
    gate.jit.clock.passes(minutes=10)

    assert error(await gate.comes_back(back, kept(left))) == (401, "unauthenticated")


async def test_a_refusal_of_the_provider_and_another_providers_word_are_refused(gate: Gate) -> None:
    for query in ("error=access_denied", "code=x&error=access_denied", "iss=https%3A%2F%2Fother.test&code=x", ""):
        left = await gate.leaves()
        state = parse_qs(urlsplit(left.headers["location"]).query)["state"][0]
        back = f"http://quorate.test/v1/auth/callback?state={state}&{query}"
        assert error(await gate.comes_back(back, kept(left))) == (401, "unauthenticated"), query
    assert error(await gate.comes_back("http://quorate.test/v1/auth/callback", None)) == (400, "invalid_input")


WRONG: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
}
WRONG_ANYWHERE: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "another client"},
    "an audience of many, made for another": {"aud": ["CLIENT", "another"], "azp": "another"},
    "an audience of many, made for nobody": {"aud": ["CLIENT", "another"]},
    "made for another": {"azp": "another"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://other.test"},
    "no end": {"exp": None},
    "over": {"exp": 1},
    "of the future": {"iat": 2**32},
    "not yet": {"nbf": 2**32},
    "an address nobody verified": {"email_verified": False},
    "an address that somebody says is verified": {"email_verified": "true"},
    "nothing of the address": {"email_verified": None},
    "no address": {"email": None},
    "nobody's address": {"email": "zoe@acme.example"},
    "an address of another tenant": {"email": "olu@acme.example"},
}


async def test_a_token_that_says_anything_else_signs_nobody_in(gate: Gate) -> None:
    gate.idp.document = {"userinfo_endpoint": None}
    nothing = await gate.comes_back("http://quorate.test/v1/auth/callback?state=x", None)

    for wrong, claims in (WRONG | WRONG_ANYWHERE).items():
        gate.idp.says = said(gate, claims)
        refused = await gate.signs_in()
        assert error(refused) == (401, "unauthenticated"), wrong
        assert refused.json() == nothing.json(), wrong

    gate.idp.says = {}
    assert (await gate.signs_in()).status_code == 200
    assert [what for what, _, _ in await gate.told()] == ["auth.signed_in"]


async def test_a_token_that_says_anything_else_is_no_credential(gate: Gate) -> None:
    nothing = await gate.me("garbage")

    for wrong, claims in WRONG_ANYWHERE.items():
        refused = await gate.me(gate.idp.token(RHEA, gate.client, **said(gate, claims)))
        assert refused.status_code == 401, wrong
        assert refused.json() == nothing.json(), wrong

    assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 200


def test_a_letter_that_has_one_of_ours_for_a_small_letter_stands_for_nobody() -> None:
    claims = Body(iss="i", sub="s", aud="a", exp=1, iat=1, email="kim@acme.example", email_verified=True)
    assert email_of(claims) == "kim@acme.example"

    with pytest.raises(NotProved):
        email_of(msgspec.structs.replace(claims, email="\N{KELVIN SIGN}im@acme.example"))


def said(gate: Gate, wrong: dict[str, Any]) -> dict[str, Any]:
    """Put the client's id into its place."""
    named = (
        {"aud": [gate.client if one == "CLIENT" else one for one in wrong["aud"]]}
        if isinstance(wrong.get("aud"), list)
        else {}
    )
    return wrong | named


async def test_a_providers_token_is_a_credential_wherever_bearers_are_taken(gate: Gate) -> None:
    token = gate.idp.token(ADA, gate.client)
    bearer = {"Authorization": f"Bearer {token}"}
    client, tenant = gate.jit.story.callers[""], str(gate.jit.story.tenant)

    assert (await gate.jit.call(None, "GET", "/requests", headers=bearer)).status_code == 200
    for path in ("/api/v1/workflows", "/api/v1/identity-provider", "/api/v1/approvals", "/generic-approvals/v1"):
        answer = await client.get(path, headers=bearer)
        assert answer.status_code != 401, (path, answer.text)
    assert error(await gate.jit.call(None, "GET", "/requests", headers=bearer, tenant=gate.jit.story.elsewhere)) == (
        403,
        "tenant_mismatch",
    )
    assert (await gate.me(token, **{"X-Tenant-ID": tenant})).status_code == 200
    assert await gate.told() == []  # A credential is shown with every call; nobody has signed in.


async def test_a_providers_token_ends_when_it_says(gate: Gate) -> None:
    token = gate.idp.token(RHEA, gate.client)
    assert (await gate.me(token)).status_code == 200

    gate.jit.clock.passes(seconds=300)

    assert (await gate.me(token)).status_code == 401


async def test_a_token_that_an_issuer_lets_count_for_a_year_counts_for_a_day(gate: Gate) -> None:
    at = int(gate.jit.clock().timestamp())
    assert (await gate.me(gate.idp.token(RHEA, gate.client, exp=at + 365 * 86_400))).status_code == 200

    old = gate.idp.token(RHEA, gate.client, exp=at + 365 * 86_400, iat=at - 86_400)

    assert (await gate.me(old)).status_code == 401


async def test_a_token_signed_in_any_other_way_is_no_credential(gate: Gate) -> None:
    idp, client = gate.idp, gate.client
    good = idp.token(RHEA, client)
    head, body, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    none = jwt.encode(claims, None, "none", {"kid": "r"})  # type: ignore[arg-type]  # That is the point.
    shared = _hs256(claims, public_pem("r"))
    idp.signs_with = "stranger"
    forged = idp.token(RHEA, client, header={"kid": "r"})
    idp.signs_with = "r"
    odd = [
        none,
        f"{head}.{body}.",
        shared,
        forged,
        idp.token(RHEA, client, header={"kid": "e"}),  # One key's id on another's signature.
        idp.token(RHEA, client, header={"typ": "logout+jwt"}),
        idp.token(RHEA, client, header={"crit": ["exp"]}),
        jwt.encode(claims, KEYS["r"][1], "RS384", {"kid": "r"}),
        jwt.encode(claims, KEYS["r"][1], "PS256", {"kid": "r"}),
        f"{head}.{body}.{signature[:-6]}AAAAAA",
        f"{head}.{body}",
    ]

    assert (await gate.me(good)).status_code == 200
    assert [(await gate.me(one)).status_code for one in odd] == [401] * len(odd)


def _hs256(claims: dict[str, Any], secret: bytes) -> str:
    """Sign with a public key as if it were a shared secret, which PyJWT itself refuses to."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    signing = (
        f"{part(msgspec.json.encode({'alg': 'HS256', 'typ': 'JWT', 'kid': 'r'}))}.{part(msgspec.json.encode(claims))}"
    )
    return f"{signing}.{part(hmac.digest(secret, signing.encode(), 'sha256'))}"


async def test_a_flood_of_unknown_keys_asks_the_provider_once_in_a_while(gate: Gate) -> None:
    assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 200
    gate.jit.clock.passes(seconds=LOOK_AGAIN.total_seconds())
    before = gate.idp.times_asked("/jwks")
    gate.idp.signs_with = "stranger"

    for _ in range(20):
        assert (await gate.me(gate.idp.token(RHEA, gate.client, header={"kid": str(uuid4())}))).status_code == 401

    assert gate.idp.times_asked("/jwks") - before == 1
    gate.idp.published.append("stranger")  # It is one of theirs now.
    token = gate.idp.token(RHEA, gate.client)
    assert (await gate.me(token)).status_code == 401
    gate.jit.clock.passes(seconds=LOOK_AGAIN.total_seconds())
    assert (await gate.me(token)).status_code == 200


async def test_a_key_that_the_provider_withdraws_counts_no_longer_than_we_remember_it(gate: Gate) -> None:
    assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 200
    gate.idp.published.remove("r")

    gate.jit.clock.passes(seconds=FRESH_FOR.total_seconds())

    assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 401


async def test_a_provider_that_is_away_is_believed_in_for_an_hour_and_asked_politely(gate: Gate) -> None:
    assert (await gate.signs_in()).status_code == 200
    gate.idp.is_away = True
    gate.jit.clock.passes(seconds=FRESH_FOR.total_seconds())
    assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 200
    left = await gate.leaves()
    assert left.status_code == 302
    assert error(await gate.comes_back(gate.idp.signed_in(left.headers["location"], RHEA), kept(left))) == (
        503,
        "unavailable",
    )

    gate.jit.clock.passes(seconds=KEPT_FOR.total_seconds())
    before = len(gate.idp.asked)
    for _ in range(5):
        assert error(await gate.leaves()) == (503, "unavailable")
        assert (await gate.me(gate.idp.token(RHEA, gate.client, n=str(uuid4())))).status_code == 401
    assert len(gate.idp.asked) - before == 1


NONSENSE: list[dict[str, Any]] = [
    {"issuer": "https://other.test"},
    {"jwks_uri": 7},
    {"jwks_uri": "file:///etc/passwd"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"token_endpoint": None},
]


async def test_a_provider_that_publishes_nonsense_is_not_believed(gate: Gate) -> None:
    for document in NONSENSE:
        gate.idp.document = document
        assert error(await gate.leaves()) == (503, "unavailable"), document
        assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 401, document
        gate.jit.clock.passes(seconds=REST.total_seconds())

    gate.idp.document = {}
    assert (await gate.leaves()).status_code == 302


async def test_who_may_not_act_is_told_the_same_as_who_does_not_exist(gate: Gate) -> None:
    token = gate.idp.token(RHEA, gate.client)
    opened = (await gate.signs_in()).json()["access_token"]
    for status in ("suspended", "inactive"):
        await gate.status("rhea", status)
        gate.jit.clock.passes(seconds=1)
        assert (await gate.signs_in()).json() == (await gate.signs_in("zoe@acme.example")).json()
        assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 401

    assert [(what, body.get("why")) for what, _, body in await gate.told()] == [
        ("auth.signed_in", None),
        ("auth.failed", "suspended"),
        ("auth.failed", "inactive"),
    ]
    assert token != opened


async def test_an_address_that_two_accounts_share_is_nobodys(gate: Gate) -> None:
    await change(
        gate.db,
        gate.jit.story.tenant,
        "UPDATE principal SET email = $3 WHERE tenant_id = $1 AND id = $2",
        gate.jit.ids["ana"],
        RHEA.upper(),
    )

    assert error(await gate.signs_in()) == (401, "unauthenticated")
    assert (await gate.me(gate.idp.token(RHEA, gate.client))).status_code == 401


async def test_groups_in_a_token_give_nothing(gate: Gate) -> None:
    gate.idp.says = {"groups": ["admins"], "roles": ["admins"], "tenant_id": str(gate.jit.story.elsewhere)}

    came = (await gate.signs_in()).json()

    assert (await gate.me(came["access_token"])).json()["data"]["permissions"] == []
    assert (await gate.me(gate.idp.token(RHEA, gate.client))).json()["data"]["permissions"] == []


async def test_a_token_must_name_the_tenant_where_that_is_settled(gate: Gate) -> None:
    put = {"issuer": gate.idp.issuer, "clientId": gate.client, "tenantClaim": "org"}
    assert (await gate.jit.story.call("ada", "PUT", "/identity-provider", put)).status_code == 200
    assert (await gate.settle()).status_code == 200  # This API has no word for it, and leaves it alone.
    tenant = str(gate.jit.story.tenant)

    for org in (None, "acme", str(gate.jit.story.elsewhere), [tenant]):
        assert (await gate.me(gate.idp.token(RHEA, gate.client, org=org))).status_code == 401
    for org in (tenant, tenant.upper(), f"t-{tenant}"):
        assert (await gate.me(gate.idp.token(RHEA, gate.client, org=org))).status_code == 200


async def test_what_a_provider_has_opened_ends_when_it_is_changed_or_removed(gate: Gate) -> None:
    call = gate.jit.story.call
    first = (await gate.signs_in()).json()["access_token"]
    left = await gate.leaves()
    back = gate.idp.signed_in(left.headers["location"], RHEA)
    assert (await gate.settle(scopes=["openid", "email"])).status_code == 200

    assert (await gate.me(first)).status_code == 401
    assert error(await gate.comes_back(back, kept(left))) == (401, "unauthenticated")
    second, bearer = (await gate.signs_in()).json()["access_token"], gate.idp.token(RHEA, gate.client)
    assert [(await gate.me(one)).status_code for one in (second, bearer)] == [200, 200]
    assert (await call("ada", "DELETE", "/identity-provider")).status_code == 200
    assert [(await gate.me(one)).status_code for one in (second, bearer)] == [401, 401]
    assert error(await gate.leaves()) == (404, "not_found")
    assert (await call("ada", "DELETE", "/identity-provider")).status_code == 404


async def test_signing_out_ends_what_a_provider_opened(gate: Gate) -> None:
    token = (await gate.signs_in()).json()["access_token"]
    client = gate.jit.story.callers[""]

    left = await client.post("/api/v1/auth/logout", headers={"Authorization": f"Bearer {token}"})

    assert left.status_code == 200
    assert (await gate.me(token)).status_code == 401
    assert [what for what, _, _ in await gate.told()] == ["auth.signed_in", "auth.signed_out"]


async def test_providers_are_offered_by_tenant_and_nothing_tells_whether_there_is_one(gate: Gate) -> None:
    ours = await gate.jit.call(None, "GET", "/auth/providers")
    [offered] = ours.json()["data"]
    assert offered == {
        "type": "oidc",
        "issuer_url": gate.idp.issuer,
        "login_url": f"http://quorate.test/v1/auth/login?tenant_id={gate.jit.story.tenant}",
    }
    assert gate.client not in ours.text
    theirs = await gate.jit.call(None, "GET", "/auth/providers", tenant=gate.jit.story.elsewhere)
    nobodys = await gate.jit.call(None, "GET", "/auth/providers", tenant=uuid4())
    assert theirs.json() == nobodys.json() == {"data": [], "next_cursor": None, "has_more": False}
    assert error(await gate.jit.call(None, "GET", "/auth/providers", tenant=None)) == (400, "invalid_input")
    there, nowhere = await gate.leaves(gate.jit.story.elsewhere), await gate.leaves(uuid4())
    assert error(there) == error(nowhere) == (404, "not_found")
    assert there.json() == nowhere.json()
    assert error(await gate.jit.call(None, "GET", "/auth/login", tenant=None)) == (400, "invalid_input")


async def test_only_an_administrator_settles_the_provider_and_nobody_is_shown_the_secret(gate: Gate) -> None:
    for who in ("rhea", "ana", "rita"):
        assert error(await gate.settle(who)) == (403, "forbidden")

    settled = await gate.settle(scopes=["email", "email", "groups"])

    said = settled.json()
    assert set(said) == {"issuer_url", "client_id", "scopes", "created_at", "updated_at"}
    assert (said["issuer_url"], said["scopes"]) == (gate.idp.issuer, ["openid", "email", "groups"])
    native = await gate.jit.story.get("ada", "/identity-provider")
    assert (native["hasSecret"], native["scopes"]) == (True, said["scopes"])
    assert gate.idp.secret is not None
    async with gate.db.tx([gate.jit.story.tenant]) as tx:
        rows = await tx.all("SELECT p::text AS it FROM identity_provider p WHERE tenant_id = $1", gate.jit.story.tenant)
        events = await tx.all("SELECT body::text AS it FROM event WHERE tenant_id = $1", gate.jit.story.tenant)
    shown = settled.text + str(native) + "".join(row["it"] for row in (*rows, *events))
    assert gate.idp.secret not in shown
    assert gate.idp.secret.encode().hex() not in shown


async def test_the_audit_log_tells_who_has_settled_the_provider(gate: Gate) -> None:
    of, tenant = gate.jit, str(gate.jit.story.tenant)
    assert (await of.story.call("ada", "DELETE", "/identity-provider")).status_code == 200

    for query in (f"resource_id={tenant}", "resource_type=identity_provider"):
        listed = (await of.get("ada", f"/audit-log?{query}"))["data"]
        assert [(one["action"], one["actor_id"]) for one in listed if one["resource_id"] == tenant] == [
            ("identity_provider.removed", str(of.ids["ada"])),
            ("identity_provider.changed", str(of.ids["ada"])),
        ], query


async def test_a_secret_is_kept_for_its_issuer_and_sent_to_no_other(gate: Gate) -> None:
    bare = {"issuer_url": gate.idp.issuer, "client_id": gate.client}
    kept_as_is = await gate.jit.call("ada", "PUT", "/oidc-config", bare)
    assert kept_as_is.status_code == 200
    assert (await gate.signs_in()).status_code == 200

    for other in ({"issuer_url": "https://evil.test"}, {"client_id": "another"}):
        refused = await gate.jit.call("ada", "PUT", "/oidc-config", bare | other)
        assert error(refused) == (400, "invalid_input")
        assert refused.json()["details"]["errors"][0]["field"] == "client_secret"
    none = await gate.jit.call("ada", "PUT", "/oidc-config", bare | {"client_secret": None})
    assert none.status_code == 200
    assert (await gate.jit.story.get("ada", "/identity-provider"))["hasSecret"] is False


BAD: list[tuple[str, dict[str, Any]]] = [
    ("issuer_url", {"issuer_url": "ftp://login.test"}),
    ("issuer_url", {"issuer_url": "https://login.test/?a=1"}),
    ("issuer_url", {"issuer_url": "http://127.0.0.1:8080/"}),  # Ourselves.
    ("client_id", {"client_id": "a b"}),
    ("client_secret", {"client_secret": "\x7f"}),
    ("scopes", {"scopes": ["open id"]}),
]


async def test_what_no_provider_can_be_is_refused_in_words(gate: Gate) -> None:
    for field, wrong in BAD:
        refused = await gate.settle(**wrong)
        assert error(refused) == (400, "invalid_input"), wrong
        assert [one["field"] for one in refused.json()["details"]["errors"]] == [field]


async def test_a_provider_on_a_private_network_is_one_only_where_the_operator_says_so(jit: Jit) -> None:
    for issuer in ("http://login.acme.example", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/"):
        refused = await jit.call("ada", "PUT", "/oidc-config", {"issuer_url": issuer, "client_id": "c"})
        assert error(refused) == (400, "invalid_input"), issuer


async def test_a_client_of_an_issuer_belongs_to_one_tenant_and_each_tenant_to_its_own(gate: Gate) -> None:
    assert error(await gate.settle("olu")) == (409, "conflict")
    assert (await gate.settle("olu", client_id="olus")).status_code == 200

    ours = gate.idp.token("olu@acme.example", gate.client)
    theirs = gate.idp.token("olu@acme.example", "olus")
    assert (await gate.me(ours)).status_code == 401
    assert (await gate.me(theirs)).json()["data"]["tenantId"] == str(gate.jit.story.elsewhere)
    assert (await gate.me(gate.idp.token(RHEA, "olus"))).status_code == 401
    both = gate.idp.token(RHEA, "x", aud=[gate.client, "olus"], azp=gate.client)
    assert (await gate.me(both)).status_code == 401


async def test_what_one_tenants_people_began_is_nothing_in_another(gate: Gate) -> None:
    assert (await gate.settle("olu", client_id=f"olus-{uuid4()}")).status_code == 200
    left = await gate.leaves()
    back = gate.idp.signed_in(left.headers["location"], RHEA)
    theirs = gate.jit.story.elsewhere.hex + kept(left)[32:]

    assert error(await gate.comes_back(back, theirs)) == (401, "unauthenticated")
