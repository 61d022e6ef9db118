"""Brings tenants to what a file says: each in one transaction, one apply at a time."""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from quorate.app import grants
from quorate.app.declare.names import Names
from quorate.app.declare.plan import plan
from quorate.app.declare.report import FiledRequest, Report, TenantReport
from quorate.app.declare.schema import File, TenantEntry
from quorate.app.declare.secret_values import Secrets, Settled, in_thread, settle
from quorate.app.declare.state import State, load
from quorate.app.declare.told import entries
from quorate.app.declare.wanted import Plan, ProviderRow, RequestToFile
from quorate.app.oidc.providers import purpose
from quorate.app.operations.calling import opened_headers, sealed_headers
from quorate.app.seal import BadSecretKey, Sealer
from quorate.app.tell import tell
from quorate.app.verify import Passwords
from quorate.domain.refusals import Refusal
from quorate.domain.workflows import Problem
from quorate.store import (
    accounts,
    credentials,
    declare,
    defaults,
    directory,
    events,
    members,
    people,
    providers,
    tenants,
)
from quorate.store.database import Database
from quorate.store.declare import OperationRow
from quorate.store.providers import Provider
from quorate.store.tx import CommitUnknown, Retryable, Tx

ATTEMPTS: Final = 5

FileRequest = Callable[[RequestToFile], Awaitable[None]]
"""Files a request through the door. Raises a `Refusal` when the rules say no."""


class CannotApply(Exception):
    """The database does not take it; nothing of this tenant was changed. The text is one line for the operator."""


class _Moved(Exception):
    """What was looked at before the transaction has changed since."""


class Order(Struct, frozen=True, kw_only=True):
    """How to apply. `mint` makes ids; `environ` is where `passwordEnv` and `secretEnv` look.

    `seal` is asked for only where headers of an operation, or the secret of a provider's client, are sealed or opened.
    """

    at: datetime
    passwords: Passwords
    seal: Callable[[], Sealer]
    prune: bool = False
    yes: bool = False
    mint: Callable[[], UUID] = uuid4
    environ: Mapping[str, str] = os.environ


class _Look(Struct, frozen=True):
    """A tenant and its passwords, looked at before the transaction: hashing is too slow to do inside."""

    id: UUID
    settled: Mapping[str, Settled]


async def dry_run(owner: Database, file: File, order: Order) -> Report:
    """Say what `apply` would do.

    Raises:
        Problems: everything that is wrong with the file, or does not fit the tenants.
    """
    secrets = await in_thread(file, order.environ)
    found = await _plan_all(owner, file, secrets, order)
    reports = []
    for made, _ in found:
        new = await _not_yet_filed(owner, made)
        requests = tuple(FiledRequest(one.id, one.label) for one in new)
        reports.append(TenantReport(made.slug, made.tenant, made.changes, requests, made.minted))
    return Report(tuple(reports), is_dry=True)


async def apply(owner: Database, file: File, order: Order, file_request: FileRequest | None = None) -> Report:
    """Bring tenants to what the file says. Doing it again changes nothing.

    `owner` is the database as the role that owns it: only that may make tenants. `file_request` is for the
    file's requests, each filed after its tenant is written, unless its id is there already.

    Raises:
        Problems: something is wrong with the file, or does not fit a tenant. Nothing was changed.
        CannotApply: the database refused one tenant; those before it in the file are done.
    """
    secrets = await in_thread(file, order.environ)
    found = await _plan_all(owner, file, secrets, order)
    reports = []
    for tenant, (_, look) in zip(file.tenants, found, strict=True):
        made = await _write(owner, file, tenant, secrets, look, order)
        requests = await _file(owner, made, file_request)
        reports.append(TenantReport(made.slug, made.tenant, made.changes, requests, made.minted))
    return Report(tuple(reports))


async def _plan_all(owner: Database, file: File, secrets: Secrets, order: Order) -> list[tuple[Plan, _Look]]:
    """Plan every tenant before any is written, so that all problems are said at once and nothing is half done."""
    found, problems = [], []
    for tenant in file.tenants:
        look, state = await _look(owner, tenant, secrets, order)
        made, wrong = _planned(tenant, look, state, secrets, order)
        found.append((made, look))
        problems += wrong
    file.refuse(problems)
    return found


def _planned(
    tenant: TenantEntry, look: _Look, state: State, secrets: Secrets, order: Order
) -> tuple[Plan, list[Problem]]:
    return plan(
        tenant,
        look.id,
        state,
        secrets,
        look.settled,
        mint=order.mint,
        at=order.at,
        prune=order.prune,
        yes=order.yes,
    )


async def _look(owner: Database, tenant: TenantEntry, secrets: Secrets, order: Order) -> tuple[_Look, State]:
    id = await tenants.tenant_by(owner, slug=tenant.slug) or tenant.id or order.mint()
    async with owner.tx([id]) as tx:
        state = _opened(await load(tx, id), id, order)
    names = Names(tenant, state, order.mint)
    users = [(entry.path, names.ids[entry.path]) for entry in tenant.sections.get("users", ())]
    return _Look(id, await settle(order.passwords, users, secrets, state.password_hashes)), state


async def _write(owner: Database, file: File, tenant: TenantEntry, secrets: Secrets, look: _Look, order: Order) -> Plan:
    """Write one tenant, again if somebody was faster.

    After a COMMIT whose outcome is unknown the next attempt tells: if it finds nothing to change, the one
    before was done, and its secrets are the ones to show.
    """
    unsure: Plan | None = None
    for attempt in range(ATTEMPTS):
        made: Plan | None = None
        try:
            if attempt:
                look, _ = await _look(owner, tenant, secrets, order)
            async with owner.tx([look.id]) as tx:
                await declare.lock(tx, tenant.slug)
                await members.hold_directory(tx, look.id)
                made = await _plan_inside(tx, file, tenant, secrets, look, order)
                await _put(tx, made, order)
                await _tell(tx, made, order)
        except CommitUnknown:
            unsure = made
        except (Retryable, _Moved):
            continue
        except asyncpg.IntegrityConstraintViolationError as error:
            rule = str(error.constraint_name or "a rule").replace("_", " ")
            raise CannotApply(f"tenant {tenant.slug}: the database refuses it: {rule}") from error
        else:
            assert made is not None
            return unsure if unsure is not None and not made.changes else made
    raise CannotApply(
        f"tenant {tenant.slug}: somebody else keeps changing it, or the database does not answer; try again"
    )


async def _plan_inside(tx: Tx, file: File, tenant: TenantEntry, secrets: Secrets, look: _Look, order: Order) -> Plan:
    """Plan again, on what is there now that nobody else applies."""
    now = await tx.one("SELECT id FROM tenant_by($1)", tenant.slug)
    if now is not None and now["id"] != look.id:
        raise _Moved
    state = _opened(await load(tx, look.id), look.id, order)
    ids = Names(tenant, state, order.mint).ids
    if any(state.password_hashes.get(ids[path]) != settled.stored for path, settled in look.settled.items()):
        raise _Moved
    made, problems = _planned(tenant, look, state, secrets, order)
    file.refuse(problems)
    return made


def _opened(state: State, tenant: UUID, order: Order) -> State:
    """Open the headers of operations, so that they can be compared with what the file says.

    What another secret key has sealed stays closed, and stays what it is unless the file gives headers.
    """
    operations = {}
    for one in state.operations.values():
        sealed = one.execute.get("headers") if isinstance(one.execute, Mapping) else None
        execute = one.execute
        if isinstance(sealed, str):
            with suppress(BadSecretKey):
                execute = {**execute, "headers": opened_headers(order.seal(), tenant, one.id, sealed)}
        operations[one.id] = replace(one, execute=execute)
    return replace(state, operations=operations, provider_secret=_secret_of(state.provider, tenant, order))


def _secret_of(provider: Provider | None, tenant: UUID, order: Order) -> str | None:
    if provider is None or provider.sealed is None:
        return None
    with suppress(BadSecretKey):
        return order.seal().open(provider.sealed, tenant=tenant, purpose=purpose(provider.issuer)).decode()
    return None


async def _put_provider(tx: Tx, tenant: UUID, row: ProviderRow, order: Order) -> None:
    new = row.provider
    if row.secret is not None:
        sealed = order.seal().seal(row.secret.encode(), tenant=tenant, purpose=purpose(new.issuer))
        new = replace(new, sealed=sealed)
    await providers.put(tx, tenant, new)


def _sealed(one: OperationRow, tenant: UUID, order: Order) -> OperationRow:
    headers = one.execute.get("headers") if isinstance(one.execute, Mapping) else None
    if not isinstance(headers, Mapping):
        return one
    return replace(one, execute={**one.execute, "headers": sealed_headers(order.seal(), tenant, one.id, headers)})


async def _put(tx: Tx, made: Plan, order: Order) -> None:
    rows, of = made.rows, made.tenant
    if rows.tenant:
        await tenants.put_tenants(tx, [rows.tenant])
    if rows.workflows:
        await declare.put_workflows(tx, of, rows.workflows)
    if rows.principals:
        await people.put_principals(tx, of, rows.principals)
        for one in rows.principals:
            if one.status != "active":
                await accounts.end_sessions(tx, of, one.id, made.at)
        gone = [one.id for one in rows.principals if one.status == "inactive"]
        await grants.revoke_all(tx, of, gone, made.at, "the account was deactivated", order.mint)
    if rows.passwords:
        await people.put_passwords(tx, of, rows.passwords, made.at)
    if rows.roles:
        await directory.put_roles(tx, of, rows.roles)
    if rows.groups:
        await directory.put_groups(tx, of, rows.groups)
    if rows.resources:
        await directory.put_resources(tx, of, rows.resources)
    if rows.roles_of:
        await people.set_roles(tx, of, rows.roles_of)
    if rows.groups_of:
        await people.set_groups(tx, of, rows.groups_of)
    await _revoke_supporting(tx, made, order)
    if rows.revoked:
        await credentials.revoke_credentials(tx, of, rows.revoked, made.at)
    if rows.credentials:
        await _put_credentials(tx, made)
    if rows.policies:
        await declare.put_policies(tx, of, rows.policies)
    if rows.operations_gone:
        await declare.remove_operations(tx, of, rows.operations_gone)
    if rows.operations:
        await declare.put_operations(tx, of, [_sealed(one, of, order) for one in rows.operations])
    for key in rows.defaults_gone:
        await defaults.remove(tx, of, *key)
    for one_settled in rows.defaults:
        await defaults.put(tx, of, one_settled.scope, one_settled.subject, one_settled.defaults, None, made.at)
    if rows.delegations:
        await people.put_delegations(tx, of, rows.delegations)
    if rows.provider:
        await _put_provider(tx, of, rows.provider, order)
    if rows.provider_gone:
        await providers.remove(tx, of)
    if rows.delegations_gone:
        await people.remove_delegations(tx, of, rows.delegations_gone)


async def _put_credentials(tx: Tx, made: Plan) -> None:
    written = await credentials.put_credentials(tx, made.tenant, made.rows.credentials)
    for one in made.rows.credentials:
        if one.id not in written:
            raise CannotApply(
                f"tenant {made.slug}: the id {one.id} was that of a credential which is revoked or somebody else's"
            )


async def _revoke_supporting(tx: Tx, made: Plan, order: Order) -> None:
    """End the grants that would keep alive what the file has taken away: memberships, and what is deleted."""
    of = made.tenant
    for one in made.rows.left:
        reason = f"put out of the {one.what}"
        await grants.revoke_supporting(tx, of, one.holder, (one.what, one.id), made.at, reason, order.mint)
    things = (("role", made.rows.roles), ("group", made.rows.groups), ("resource", made.rows.resources))
    for what, rows in things:
        for target in [(what, row.id) for row in rows if row.deleted_at is not None]:
            for holder in await members.granted(tx, of, target, made.at):
                await grants.revoke_supporting(tx, of, holder, target, made.at, f"the {what} was deleted", order.mint)


async def _tell(tx: Tx, made: Plan, order: Order) -> None:
    heard, kept = entries(made, order.mint)
    await events.add(tx, made.tenant, kept)
    await tell(tx, made.tenant, heard, order.mint)


async def _file(owner: Database, made: Plan, file_request: FileRequest | None) -> tuple[FiledRequest, ...]:
    filed = []
    for one in await _not_yet_filed(owner, made):
        refused: str | None = None
        try:
            if file_request is None:
                refused = "requests cannot be filed here"
            else:
                await file_request(one)
        except Refusal as refusal:
            refused = str(refusal)
        filed.append(FiledRequest(one.id, one.label, refused))
    return tuple(filed)


async def _not_yet_filed(owner: Database, made: Plan) -> list[RequestToFile]:
    if not made.requests:
        return []
    async with owner.tx([made.tenant]) as tx:
        there = await declare.filed(tx, made.tenant, [one.id for one in made.requests])
    return [one for one in made.requests if one.id not in there]
