"""One's own second factors: security keys, an app for one-time codes, recovery codes; and the second step of a login.

These paths are our own; the login's answer `{mfaRequired, mfaToken}` is the contract's. Source: native contract b.7.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from quorate.app.factors import Factor, NewKey
from quorate.app.second_step import SecondFactor
from quorate.app.verify.jwk import as_base64url
from quorate.app.verify.registrations import ALGORITHMS
from quorate.surfaces.http.answering import moment, moment_or_none
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body
from quorate.surfaces.http.signing import KeyNamed
from quorate.surfaces.native.accounts import tokens_shown
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, as_id
from quorate.surfaces.native.shown import Id, Moment

Code = Annotated[str, Meta(min_length=1, max_length=64)]


class Reauthentication(Struct, frozen=True, rename="camel"):
    """One's own password once more; whoever has none leaves it out."""

    password: Annotated[str, Meta(max_length=1024)] | None = None


class NewPasskey(Struct, frozen=True, rename="camel"):
    """A security key: what `navigator.credentials.create()` made of the options, as its `toJSON()` writes it."""

    name: Name
    credential: dict[str, Any]


class FirstCode(Struct, frozen=True, rename="camel"):
    """A code that the new app shows."""

    code: Code


class SecondStepGiven(Struct, frozen=True, rename="camel"):
    """What a login still wants: just one of `code`, `recoveryCode` and `webauthn`."""

    mfa_token: Annotated[str, Meta(min_length=1, max_length=1024)]
    code: Code | None = None
    recovery_code: Code | None = None
    webauthn: dict[str, Any] | None = None
    remember_me: bool = False

    def read(self) -> SecondFactor:
        """Raises `BadInput`."""
        shown = SecondFactor(self.code, self.webauthn, self.recovery_code)
        if shown.count != 1:
            raise BadInput.at(None, "give one of code, recoveryCode and webauthn")
        return shown


class PasskeyShown(Struct, frozen=True, rename="camel"):
    id: Id
    name: str
    created_at: Moment
    last_used_at: Moment | None


class AppShown(Struct, frozen=True, rename="camel"):
    """An app for one-time codes."""

    created_at: Moment
    last_used_at: Moment | None


class FactorsShown(Struct, frozen=True, rename="camel"):
    passkeys: list[PasskeyShown]
    totp: AppShown | None
    recovery_codes_left: int


class Party(Struct, frozen=True):
    """Who asks for a key."""

    id: str
    name: str


class Owner(Struct, frozen=True, rename="camel"):
    """Whom a key is for."""

    id: str
    name: str
    display_name: str


class KeyKind(Struct, frozen=True):
    """A kind of key that will do."""

    alg: int
    type: Literal["public-key"] = "public-key"


class Selection(Struct, frozen=True, rename="camel"):
    resident_key: Literal["preferred"]
    user_verification: Literal["required", "preferred"]


class CreationOptions(Struct, frozen=True, rename="camel"):
    """What `navigator.credentials.create()` takes, by `PublicKeyCredential.parseCreationOptionsFromJSON()`."""

    rp: Party
    user: Owner
    challenge: str
    pub_key_cred_params: list[KeyKind]
    timeout: int
    exclude_credentials: list[KeyNamed]
    authenticator_selection: Selection
    attestation: Literal["none"] = "none"


class AppBegun(Struct, frozen=True):
    """A new app's secret, as text and as a QR code holds it. Shown once."""

    secret: str
    uri: str


class CodesShown(Struct, frozen=True, rename="camel"):
    """Recovery codes, shown once. Each stands in for a second factor at one login."""

    recovery_codes: list[str]


async def show(http: Call) -> Response:
    asked = await body(http, SecondStepGiven)

    opened = await http.services.signin.show_factor(
        asked.mfa_token,
        asked.read(),
        address=http.address,
        remember=asked.remember_me,
        surface="native",
        agent=http.agent,
    )

    return given(tokens_shown(opened))


async def mine(http: Call) -> Response:
    found = await http.services.factors.mine(http.actor)

    return given(
        FactorsShown(
            [_passkey(one) for one in found.keys],
            AppShown(moment(found.app.created_at), moment_or_none(found.app.last_used_at)) if found.app else None,
            found.codes_left,
        )
    )


async def begin_passkey(http: Call) -> Response:
    asked = await body(http, Reauthentication, optional=True)

    return given(_options(await http.services.factors.begin_key(http.telling_actor, asked.password)))


async def add_passkey(http: Call) -> Response:
    new = await body(http, NewPasskey)

    made = await http.services.factors.finish_key(http.telling_actor, new.name.strip(), new.credential)

    return given(_passkey(made), status=201)


async def remove_passkey(http: Call) -> Response:
    asked = await body(http, Reauthentication, optional=True)

    await http.services.factors.remove_key(http.telling_actor, as_id(http.path["id"]), asked.password)

    return said("Passkey removed")


async def begin_app(http: Call) -> Response:
    asked = await body(http, Reauthentication, optional=True)

    begun = await http.services.factors.begin_app(http.telling_actor, asked.password)

    return given(AppBegun(begun.secret, begun.uri))


async def add_app(http: Call) -> Response:
    asked = await body(http, FirstCode)

    codes = await http.services.factors.finish_app(http.telling_actor, asked.code)

    return given(CodesShown(codes), status=201)


async def remove_app(http: Call) -> Response:
    asked = await body(http, Reauthentication, optional=True)

    await http.services.factors.remove_app(http.telling_actor, asked.password)

    return said("One-time codes removed")


async def remove_all(http: Call) -> Response:
    await http.services.factors.remove_all(http.telling_actor, as_id(http.path["id"]))

    return said("Second factors removed")


async def renew_codes(http: Call) -> Response:
    asked = await body(http, Reauthentication, optional=True)

    codes = await http.services.factors.renew_codes(http.telling_actor, asked.password)

    return given(CodesShown(codes), status=201)


def _passkey(one: Factor) -> PasskeyShown:
    return PasskeyShown(str(one.id), one.name, moment(one.created_at), moment_or_none(one.last_used_at))


def _options(asked: NewKey) -> CreationOptions:
    user = asked.user
    return CreationOptions(
        rp=Party(asked.rules.rp_id, asked.tenant),
        user=Owner(as_base64url(user.id.bytes), user.login or user.email or user.name, user.name),
        challenge=as_base64url(asked.challenge),
        pub_key_cred_params=[KeyKind(int(one)) for one in ALGORITHMS],
        timeout=asked.timeout_s * 1000,
        exclude_credentials=[KeyNamed(as_base64url(id)) for id in asked.known],
        authenticator_selection=Selection("preferred", "required" if asked.rules.demands_user else "preferred"),
    )
