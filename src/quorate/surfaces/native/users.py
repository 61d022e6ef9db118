"""Users, and the roles they hold.

Source: native contract b.7.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from quorate.app.people import Account, Search, UserFields
from quorate.surfaces.http.answering import answer, etag, matches
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.accounts import MeShown, account_shown
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, as_id, as_id_if_said
from quorate.surfaces.native.shown import Ok

Email = Annotated[str, Meta(min_length=3, max_length=320, pattern=r"^[^\s@]+@[^\s@]+$")]
LoginName = Annotated[str, Meta(min_length=1, max_length=320, pattern=r"^\S+$")]
NewPassword = Annotated[str, Meta(min_length=8, max_length=1024)]
Status = Literal["active", "suspended", "inactive"]


class UserFilter(Paging, frozen=True, kw_only=True, rename="camel"):
    """The query of the list of users. `search` is looked for in names, logins and addresses."""

    status: Status | None = None
    search: Name | None = None


class ChangedUser(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shall change. A name that is null goes; a display name that is null is made from the others."""

    email: Email | UnsetType | None = UNSET
    login: LoginName | UnsetType = UNSET
    first_name: Name | UnsetType | None = UNSET
    father_name: Name | UnsetType | None = UNSET
    grandfather_name: Name | UnsetType | None = UNSET
    family_name: Name | UnsetType | None = UNSET
    display_name: Name | UnsetType | None = UNSET
    manager_id: Name | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    preferences: dict[str, Any] | UnsetType = UNSET
    password: NewPassword | UnsetType | None = UNSET

    def read(self) -> UserFields:
        parts = {
            "firstName": self.first_name,
            "fatherName": self.father_name,
            "grandfatherName": self.grandfather_name,
            "familyName": self.family_name,
        }
        told = {part: word.strip() if word else None for part, word in parts.items() if word is not UNSET}
        return UserFields(
            login=self.login.strip() if self.login else self.login,
            email=self.email.strip() if self.email else self.email,
            name=self.display_name.strip() if self.display_name else self.display_name,
            name_parts=told or UNSET,
            manager_id=as_id_if_said(self.manager_id),
            status=self.status,
            metadata=self.metadata,
            preferences=self.preferences,
        )

    @property
    def secret(self) -> str | None:
        return self.password or None


class NewUser(ChangedUser, frozen=True, kw_only=True, rename="camel"):
    """A user to make. `login` is the email address unless said; without a password nobody signs in with one."""

    email: Email
    status: Literal["active", "inactive"] | UnsetType = UNSET

    def read(self) -> UserFields:
        fields = super().read()
        return fields if fields.login is not UNSET else UserFields(**_fields(fields) | {"login": fields.email})


class RoleGiven(Struct, frozen=True, rename="camel"):
    """The role to assign."""

    role_id: Name


class AccountShown(MeShown, frozen=True, rename="camel", kw_only=True):
    """A user."""

    login: str | None


class UserList(Struct, frozen=True, rename="camel"):
    users: list[AccountShown]
    total: int


async def list_all(http: Call) -> Response:
    wanted = query(http, UserFilter)

    search = Search(status=wanted.status, text=wanted.search)
    found, total = await http.services.users.page(http.actor, search, wanted.limit, wanted.offset)

    return given(UserList([_shown(http, one) for one in found], total))


async def read(http: Call) -> Response:
    return _whole(http, await http.services.users.read(http.actor, as_id(http.path["id"])))


async def create(http: Call) -> Response:
    new = await body(http, NewUser)

    made = await http.services.users.create(http.actor, new.read(), new.secret)

    return _whole(http, made, 201)


async def update(http: Call) -> Response:
    change = await body(http, ChangedUser, optional=True)
    if_match = http.headers.get("if-match")
    matches(if_match, "")  # What is no entity tag is refused before anything is looked up.

    changed = await http.services.users.update(
        http.actor,
        as_id(http.path["id"]),
        change.read(),
        change.secret,
        lambda now: matches(if_match, _tag(now)),
    )

    return _whole(http, changed)


async def delete(http: Call) -> Response:
    await http.services.users.delete(http.actor, as_id(http.path["id"]))

    return said("User deleted")


async def suspend(http: Call) -> Response:
    return _whole(http, await http.services.users.suspend(http.actor, as_id(http.path["id"])))


async def reactivate(http: Call) -> Response:
    return _whole(http, await http.services.users.reactivate(http.actor, as_id(http.path["id"])))


async def assign(http: Call) -> Response:
    wanted = await body(http, RoleGiven)

    await http.services.roles.add_member(http.actor, as_id(wanted.role_id), as_id(http.path["id"]))

    return said("Role assigned")


async def revoke(http: Call) -> Response:
    await http.services.roles.remove_member(http.actor, as_id(http.path["roleId"]), as_id(http.path["id"]))

    return said("Role revoked")


def _fields(fields: UserFields) -> dict[str, Any]:
    return {name: getattr(fields, name) for name in fields.__struct_fields__}


def _whole(http: Call, one: Account, status: int = 200) -> Response:
    return answer(Ok(data=_shown(http, one)), status, {"ETag": _tag(one)})


def _shown(http: Call, one: Account) -> AccountShown:
    now = one.standing
    keys = account_shown(http.actor.tenant, one.principal, now.roles, now.permissions, mfa=now.has_second_factor)
    return AccountShown(login=one.principal.login, **keys)


def _tag(one: Account) -> str:
    """Tell versions apart by all that is shown: roles come and go without the user's own row, some with time."""
    row, now = one.principal, one.standing
    return etag(row.id, row.version, row.updated_at, now.has_second_factor, *now.roles, "", *now.permissions)
