"""Users and services: what they are, what they are in, what they sign in with."""

from collections.abc import Mapping
from typing import Any, Final, Literal
from uuid import UUID

from msgspec.structs import replace

from quorate.app.declare.draft import Draft, differing
from quorate.app.declare.names import values
from quorate.app.declare.schema import Entry
from quorate.app.declare.secret_values import Settled
from quorate.app.declare.wanted import Change, Membership, Minted
from quorate.app.keys import mint, mint_secret, secret_hash
from quorate.store.credentials import StoredCredential
from quorate.store.people import Password, Principal

_COLUMNS: Final[Mapping[str, tuple[str, Any]]] = {
    "login": ("login", None),
    "name": ("name", None),
    "email": ("email", None),
    "status": ("status", "active"),
    "permissions": ("permissions", ()),
}
_WORDS: Final = {"manager_id": "manager", "owner_id": "owner"}


def plan_people(draft: Draft, settled: Mapping[str, Settled]) -> None:
    """Plan users and services, with their memberships, passwords and credentials."""
    for entry in draft.entries("users") + draft.entries("services"):
        id = draft.names.ids[entry.path]
        old = draft.state.principals.get(id)
        new = _principal(draft, entry, id, old)
        more = _memberships(draft, entry, id) + _password(draft, settled.get(entry.path), id)
        if draft.compare(entry, old, new, _WORDS, more):
            draft.rows.principals.append(replace(new, updated_at=draft.at))
        _credentials(draft, entry, id)
    for section, kind in (("users", "user"), ("services", "service")):
        of_kind = {id: one for id, one in draft.state.principals.items() if one.kind == kind}
        for one in draft.pruned(section, of_kind):
            if one.status != "inactive":
                draft.removed(kind, one.id, one.login or one.name, "inactive")
                draft.rows.principals.append(replace(one, status="inactive", updated_at=draft.at))


def _principal(draft: Draft, entry: Entry, id: UUID, old: Principal | None) -> Principal:
    kind: Any = entry.kind
    base = old or Principal(
        id=id,
        kind=kind,
        name=entry.name,
        login=entry.name if kind == "user" else None,
        created_at=draft.at,
        updated_at=draft.at,
    )
    found = values(entry.said, _COLUMNS)
    if found.get("name") is None:
        found["name"] = base.name
    if "manager" in entry.said:
        found["manager_id"] = draft.names.lookup("user", entry.said["manager"], f"{entry.path}.manager")
        if found["manager_id"] == id:
            draft.wrong(f"{entry.path}.manager", "nobody is their own manager")
    if "owner" in entry.said:
        found["owner_id"] = draft.names.lookup("user", entry.said["owner"], f"{entry.path}.owner")
    return replace(base, **found)


def _memberships(draft: Draft, entry: Entry, id: UUID) -> tuple[str, ...]:
    """Note the roles and groups that differ; answers how, in words."""
    details: list[str] = []
    kinds: tuple[Literal["role", "group"], ...] = ("role", "group")
    for kind in kinds:
        section = f"{kind}s"
        if section not in entry.said:
            continue
        wanted: dict[UUID, str] = {}
        for index, name in enumerate(entry.said[section] or ()):
            found = draft.names.lookup(kind, name, f"{entry.path}.{section}[{index}]")
            if found is not None:
                wanted[found] = name
        stored: Mapping[UUID, Any] = draft.state.roles if kind == "role" else draft.state.groups
        now = draft.state.roles_of if kind == "role" else draft.state.groups_of
        before = frozenset(one for one in now.get(id, ()) if one in stored)
        if before != frozenset(wanted):
            (draft.rows.roles_of if kind == "role" else draft.rows.groups_of)[id] = frozenset(wanted)
            gone = {one: stored[one].name for one in sorted(before - frozenset(wanted))}
            come = {one: name for one, name in wanted.items() if one not in before}
            draft.rows.joined += [Membership(kind, one, name, id, entry.kind) for one, name in come.items()]
            draft.rows.left += [Membership(kind, one, name, id, entry.kind) for one, name in gone.items()]
            details += [f"+{kind} {name}" for name in come.values()]
            details += [f"-{kind} {name}" for name in gone.values()]
    return tuple(details)


def _password(draft: Draft, settled: Settled | None, id: UUID) -> tuple[str, ...]:
    if settled is None or settled.new is None:
        return ()
    draft.rows.passwords.append(Password(id, settled.new, draft.mint()))
    return ("password",)


def _credentials(draft: Draft, entry: Entry, id: UUID) -> None:
    """Bring keys, clients and passkeys to what is listed; a list that is not there leaves them alone."""
    for section, kind in (("keys", "key"), ("clients", "client"), ("passkeys", "passkey")):
        if section not in entry.said:
            continue
        stored = [one for one in draft.state.credentials.get(id, ()) if one.kind == kind]
        kept: set[UUID] = set()
        for index, said in enumerate(entry.said[section] or ()):
            path = f"{entry.path}.{section}[{index}]"
            old = _same(kind, said, [one for one in stored if one.id not in kept])
            new = _credential(draft, entry, kind, id, said, path, old)
            kept.add(new.id)
            _note(draft, entry, kind, old, new)
        for one in stored:
            if one.id not in kept:
                gone = Change("remove", kind, one.id, _label(one, entry), ("revoked",), _about(entry, one))
                draft.changes.append(gone)
                draft.rows.revoked.append(one.id)


def _same(kind: str, said: Mapping[str, Any], stored: list[StoredCredential]) -> StoredCredential | None:
    """Find the credential an entry means: by its id, else by its name."""
    for one in stored:
        match kind:
            case "key" if one.id == said.get("id"):
                return one
            case "client" if said.get("id") is not None and one.client_id == said["id"]:
                return one
            case "passkey" if (one.public or {}).get("id") == said.get("id"):
                return one
            case _:
                pass
    if said.get("id") is not None:
        return None
    return next((one for one in stored if one.name == said.get("name")), None)


def _credential(
    draft: Draft,
    entry: Entry,
    kind: str,
    holder: UUID,
    said: Mapping[str, Any],
    path: str,
    old: StoredCredential | None,
) -> StoredCredential:
    of_kind: Any = kind
    given_id = said.get("id") if kind == "key" else None
    base = old or StoredCredential(id=given_id or draft.mint(), principal_id=holder, kind=of_kind, created_at=draft.at)
    found: dict[str, Any] = {}
    if said.get("name") is not None:
        found["name"] = said["name"]
    if "expiresAt" in said:
        found["expires_at"] = said["expiresAt"]
    if kind == "passkey":
        found["public"] = {"id": said["id"], "publicKey": said["publicKey"]}
        if old is None:
            found["sign_count"] = said.get("signCount") or 0
        return replace(base, **found)
    if kind == "client":
        found["client_id"] = said.get("id") or base.client_id or base.id.hex
    digest = draft.secrets.hashes.get(path)
    if digest is None and old is None:
        secret = mint(base.id) if kind == "key" else mint_secret()
        digest = secret_hash(secret)
        name = str(said.get("name") or found.get("client_id"))
        client = found.get("client_id")
        draft.minted.append(Minted(draft.entry.slug, "client" if client else "key", entry.name, name, secret, client))
    if digest is not None:
        found["secret_hash"] = digest
    return replace(base, **found)


def _note(draft: Draft, entry: Entry, kind: str, old: StoredCredential | None, new: StoredCredential) -> None:
    if old is None:
        draft.changes.append(Change("create", kind, new.id, _label(new, entry), about=_about(entry, new)))
        draft.rows.credentials.append(new)
    elif changed := differing(old, new):
        words = {"secret_hash": "secret", "expires_at": "expiresAt", "public": "publicKey", "client_id": "id"}
        details = tuple(words.get(field, field) for field in changed)
        draft.changes.append(Change("update", kind, new.id, _label(new, entry), details, _about(entry, new)))
        draft.rows.credentials.append(new)


def _about(entry: Entry, one: StoredCredential) -> dict[str, str | None]:
    """What the history keeps of a credential."""
    until = one.expires_at.isoformat() if one.expires_at else None
    return {"name": one.name, f"{entry.kind}Id": str(one.principal_id), "expiresAt": until}


def _label(credential: StoredCredential, entry: Entry) -> str:
    public = (credential.public or {}).get("id")
    return f"{credential.name or credential.client_id or public} of {entry.name}"
