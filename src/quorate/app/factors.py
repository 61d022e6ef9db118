"""Second factors that people register for themselves: security keys, an app for one-time codes, recovery codes.

Whoever has a password shows it again: a session that was left open must not become a key of one's own.
"""

import secrets
from base64 import b32encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from asyncpg import UniqueViolationError
from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.directory import Change, Desk
from quorate.app.evidence import Evidence, ToSign, Verifier, challenge_of, key_rules, passkeys, totp_purpose
from quorate.app.keyring import TooManyKeys
from quorate.app.operations.own import attempt
from quorate.app.people import user_there
from quorate.app.seal import Sealer
from quorate.app.verify import totp
from quorate.app.verify.assertions import KeyRules, Wrong
from quorate.app.verify.registrations import Registered, check_registration
from quorate.domain import refusals as no
from quorate.domain.evidence import Signed
from quorate.domain.permissions import DIRECTORY_WRITE
from quorate.store import challenges, credentials, tenants
from quorate.store import factors as store
from quorate.store.challenges import Challenge
from quorate.store.credentials import StoredCredential
from quorate.store.factors import StoredTotp
from quorate.store.people import Principal
from quorate.store.tx import Tx

MOST_KEYS: Final = 20
CODES: Final = 10
LIFE: Final = timedelta(minutes=10)
_REGISTER, _ENROL = "register", "enrol"


class Factor(Struct, frozen=True):
    """A security key or an app, as its owner sees it."""

    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


class Mine(Struct, frozen=True):
    """All that somebody has registered."""

    keys: Sequence[Factor]
    app: Factor | None
    codes_left: int


class NewKey(Struct, frozen=True):
    """What a browser is to make a key for. `known` are the ids of those there are."""

    challenge: bytes
    rules: KeyRules
    tenant: str
    user: Principal
    known: tuple[bytes, ...]
    timeout_s: int = int(LIFE.total_seconds())


class NewApp(Struct, frozen=True):
    """The secret of a new app, as text to type and as what a QR code holds. Shown once."""

    secret: str
    uri: str

    def __repr__(self) -> str:
        return "NewApp(…)"


class Factors(Struct, frozen=True):
    """The use cases. Everybody's own; a service has none.

    Each raises NoSuchUser to a service, and where it takes a password, as `Verifier.demand_password`.
    """

    desk: Desk
    verifier: Verifier
    seal: Sealer

    async def show_code(self, actor: Actor, code: str) -> None:
        """Show a code of one's app for no decision. Raises: TooOften; LockedOut; EvidenceWrong."""
        await self.verifier.demand_factor(actor, Evidence(totp=code))

    async def ask_key(self, actor: Actor) -> ToSign:
        """Ask for a signature of one's key, for no decision. Raises: TooOften; CannotChallenge: there is no key."""
        return await self.verifier.ask_key(actor)

    async def show_key(self, actor: Actor, assertion: Mapping[str, Any]) -> None:
        """Show what one's key was asked to sign. Raises: TooOften; LockedOut; EvidenceWrong."""
        await self.verifier.demand_factor(actor, Evidence(webauthn=assertion))

    async def mine(self, actor: Actor) -> Mine:
        """Read what the caller has registered."""
        async with self.desk.look(actor) as look:
            await _person(look)
            return await _mine(look.tx, look.tenant, actor.principal)

    async def begin_key(self, actor: Actor, password: str | None) -> NewKey:
        """Begin to register a security key. Raises: CannotChallenge; TooManyKeys."""
        await self.verifier.demand_password(actor, password)
        async with self.desk.look(actor) as look:
            user, tx, tenant = await _person(look), look.tx, look.tenant
            rules = await key_rules(tx, tenant)
            if rules is None:
                raise no.CannotChallenge("unset")
            held = await credentials.passkeys_of(tx, tenant, user.id)
            if len(held) >= MOST_KEYS:
                raise TooManyKeys(MOST_KEYS)
            asked = Signed(secrets.token_bytes(32), sha256(user.id.bytes).digest())
            pending = _pending(user.id, _REGISTER, asked.random, asked.snapshot, look.at)
            await challenges.put(tx, tenant, pending, look.at)
            named = next(one.name for one in await tenants.tenants(tx) if one.id == tenant)
            known = tuple(_key_id(one) for one in held)
            return NewKey(challenge_of(asked), rules, named, user, known)

    async def finish_key(self, actor: Actor, name: str, credential: Mapping[str, Any]) -> Factor:
        """Register the key that a browser made.

        Raises: EvidenceWrong: it was not made for this, or too late; LockedOut; BadReference: it is registered already.
        """
        async with self.desk.look(actor) as look:
            user = await _person(look)
            taken = await challenges.take(look.tx, look.tenant, user.id, _REGISTER, user.id, look.at)
            rules = await key_rules(look.tx, look.tenant)
        made = await self._checked(actor, credential, taken, rules)
        id = self.desk.new_id()
        try:
            async with self.desk.change(actor, None) as change:
                new = StoredCredential(
                    id=id,
                    principal_id=user.id,
                    kind="passkey",
                    name=name,
                    public=made.public,
                    sign_count=made.sign_count,
                    created_at=change.at,
                )
                await credentials.put_credentials(change.tx, change.tenant, [new])
                await _tell(change, user.id, id, "factor.registered", "passkey", name)
        except UniqueViolationError:
            raise no.BadReference("credential", "this key is registered already") from None
        return _factor(new)

    async def remove_key(self, actor: Actor, id: UUID, password: str | None) -> None:
        """Take a security key away. Raises: NoSuchTarget: the caller has no such key."""
        async with self.desk.look(actor) as look:
            await _key_there(look, id)
        await self.verifier.demand_password(actor, password)
        async with self.desk.change(actor, None) as change:
            found = await _key_there(change, id)
            await _remove(change, actor.principal, found.id, "passkey", found.name)

    async def begin_app(self, actor: Actor, password: str | None) -> NewApp:
        """Begin with an app for one-time codes. It counts once a code of it was shown; until then nothing changes."""
        await self.verifier.demand_password(actor, password)
        async with self.desk.look(actor) as look:
            user, secret = await _person(look), secrets.token_bytes(totp.SECRET_BYTES)
            sealed = self.seal.seal(secret, tenant=look.tenant, purpose=totp_purpose(user.id))
            await challenges.put(look.tx, look.tenant, _pending(user.id, _ENROL, sealed, b"", look.at), look.at)
            named = next(one.name for one in await tenants.tenants(look.tx) if one.id == look.tenant)
        account = user.login or user.email or user.name
        return NewApp(totp.as_text(secret), totp.uri(secret, issuer=f"Quorate {named}", account=account))

    async def finish_app(self, actor: Actor, code: str) -> list[str]:
        """Let the new app count, in place of the one before. Answers new recovery codes, which are shown once.

        Raises: EvidenceWrong: it is no code of the new app, which is forgotten, or it came too late; LockedOut.
        """
        async with self.desk.look(actor) as look:
            user = await _person(look)
            taken = await challenges.take(look.tx, look.tenant, user.id, _ENROL, user.id, look.at)
        period = None
        if taken is not None:
            secret = self.seal.open(taken.random, tenant=actor.tenant, purpose=totp_purpose(user.id))
            period = totp.period_shown(secret, code, self.desk.clock(), 0)
        await self.verifier.judged(actor, "totp", right=period is not None)
        assert taken is not None
        assert period is not None
        async with self.desk.change(actor, None) as change:
            before = await store.totp_of(change.tx, change.tenant, user.id)
            if before is not None:
                await _remove(change, user.id, before.id, "totp", "")
            new = StoredTotp(self.desk.new_id(), taken.random, period, change.at, None)
            await store.put_totp(change.tx, change.tenant, user.id, new)
            await _tell(change, user.id, new.id, "factor.registered", "totp", "")
            return await _new_codes(change, user.id)

    async def remove_app(self, actor: Actor, password: str | None) -> None:
        """Take the app away. Raises: NoSuchTarget: there is none."""
        await self.verifier.demand_password(actor, password)
        async with self.desk.change(actor, None) as change:
            user = await _person(change)
            found = await store.totp_of(change.tx, change.tenant, user.id)
            if found is None:
                raise no.NoSuchTarget("totp", str(user.id))
            await _remove(change, user.id, found.id, "totp", "")

    async def remove_all(self, actor: Actor, user: UUID) -> None:
        """Take every second factor of a user away who has lost them, and the recovery codes.

        Raises: NotPermitted: `directory:write` is not held; NoSuchUser; GivesMore: they may do more than the caller.
        """
        async with self.desk.change(actor, attempt("DELETE", "users", user, "factors"), DIRECTORY_WRITE) as change:
            if await user_there(change, user) is None:
                raise no.NoSuchUser(user)
            await change.demand_holding_all_of(user)
            theirs = await _mine(change.tx, change.tenant, user)
            for one in theirs.keys:
                await _remove(change, user, one.id, "passkey", one.name)
            if theirs.app is not None:
                await _remove(change, user, theirs.app.id, "totp", "")

    async def renew_codes(self, actor: Actor, password: str | None) -> list[str]:
        """Make new recovery codes; those before count no more. Raises: CannotChallenge: there is nothing to recover."""
        await self.verifier.demand_password(actor, password)
        async with self.desk.change(actor, None) as change:
            user = await _person(change)
            mine = await _mine(change.tx, change.tenant, user.id)
            if not mine.keys and mine.app is None:
                raise no.CannotChallenge("no_key")
            return await _new_codes(change, user.id)

    async def _checked(
        self, actor: Actor, credential: Mapping[str, Any], taken: Challenge | None, rules: KeyRules | None
    ) -> Registered:
        try:
            if taken is None or rules is None:
                raise Wrong("nothing was asked, or too long ago")
            made = check_registration(credential, challenge_of(Signed(taken.random, taken.snapshot)), rules)
        except Wrong:
            made = None
        await self.verifier.judged(actor, "webauthn", right=made is not None)
        assert made is not None
        return made


def code_hash(code: str) -> bytes:
    """Hash a recovery code as it is kept, however it was typed."""
    return sha256(code.replace("-", "").replace(" ", "").upper().encode()).digest()


async def _person(look: Change) -> Principal:
    """Read the user who calls. Raises: NoSuchUser: it is a service."""
    found = await user_there(look, look.actor.principal)
    if found is None:
        raise no.NoSuchUser(look.actor.principal)
    return found


async def _mine(tx: Tx, tenant: UUID, principal: UUID) -> Mine:
    keys = [_factor(one) for one in await credentials.passkeys_of(tx, tenant, principal)]
    app = await store.totp_of(tx, tenant, principal)
    shown = None if app is None else Factor(app.id, "", app.created_at, app.last_used_at)
    return Mine(keys, shown, await store.codes_left(tx, tenant, principal))


async def _key_there(look: Change, id: UUID | str) -> StoredCredential:
    """Read a security key of the caller's. Raises: NoSuchUser; NoSuchTarget."""
    user = await _person(look)
    for one in await credentials.passkeys_of(look.tx, look.tenant, user.id):
        if one.id == id:
            return one
    raise no.NoSuchTarget("passkey", str(id))


def _factor(one: StoredCredential) -> Factor:
    return Factor(one.id, one.name, one.created_at, one.last_used_at)


def _key_id(one: StoredCredential) -> bytes:
    [key] = passkeys([one])
    return key.id


def _pending(user: UUID, purpose: str, random: bytes, snapshot: bytes, at: datetime) -> Challenge:
    return Challenge(
        principal=user, purpose=purpose, subject=user, random=random, snapshot=snapshot, expires_at=at + LIFE
    )


async def _new_codes(change: Change, user: UUID) -> list[str]:
    made = [b32encode(secrets.token_bytes(10)).decode() for _ in range(CODES)]
    await store.put_codes(change.tx, change.tenant, user, [code_hash(one) for one in made], change.at)
    return ["-".join(one[place : place + 4] for place in range(0, 16, 4)) for one in made]


async def _remove(change: Change, holder: UUID, id: UUID, what: str, name: str) -> None:
    """Take a factor away, and the recovery codes with the last one."""
    await credentials.revoke_credentials(change.tx, change.tenant, [id], change.at)
    left = await _mine(change.tx, change.tenant, holder)
    if not left.keys and left.app is None:
        await store.put_codes(change.tx, change.tenant, holder, [], change.at)
    await _tell(change, holder, id, "factor.removed", what, name)


async def _tell(change: Change, holder: UUID, id: UUID, event: str, what: str, name: str) -> None:
    body = {"kind": what, "name": name, "userId": str(holder)}
    await change.happened("credential", id, event, body, change.at)
