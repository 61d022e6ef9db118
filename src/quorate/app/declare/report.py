"""What an apply did, for people and as JSON."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from quorate.app.declare.wanted import Change, Minted


class FiledRequest(Struct, frozen=True):
    """A request of the file that was not there yet. `refused` says why it was not filed, None that it was."""

    id: UUID
    label: str
    refused: str | None = None

    def line(self) -> str:
        return f"+ request {self.label}" if self.refused is None else f"! request {self.label}: {self.refused}"


class TenantReport(Struct, frozen=True):
    slug: str
    id: UUID
    changes: tuple[Change, ...] = ()
    requests: tuple[FiledRequest, ...] = ()
    minted: tuple[Minted, ...] = ()

    @property
    def lines(self) -> list[str]:
        return [change.line() for change in self.changes] + [request.line() for request in self.requests]


class Report(Struct, frozen=True):
    """What was changed, tenant by tenant; of a dry run, what would be. Secrets that were minted are only here."""

    tenants: tuple[TenantReport, ...]
    is_dry: bool = False

    @property
    def is_clean(self) -> bool:
        """Say whether every request was filed."""
        return not any(request.refused for tenant in self.tenants for request in tenant.requests)

    @property
    def minted(self) -> list[Minted]:
        return [] if self.is_dry else [one for tenant in self.tenants for one in tenant.minted]

    def lines(self) -> list[str]:
        """Say it for people, the minted secrets last."""
        found = []
        for tenant in self.tenants:
            prefix = f"{tenant.slug}: " if len(self.tenants) > 1 else ""
            found += [prefix + line for line in tenant.lines]
        if not found:
            return ["nothing to change"]
        if self.minted:
            found += ["", "Secrets that were made, shown only now:"]
            found += [f"  {_described(one)}: {one.secret}" for one in self.minted]
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "dryRun": self.is_dry,
            "tenants": [
                {
                    "slug": tenant.slug,
                    "id": str(tenant.id),
                    "changes": [_change(change) for change in tenant.changes],
                    "requests": [
                        {"id": str(one.id), "name": one.label, "filed": one.refused is None, "reason": one.refused}
                        for one in tenant.requests
                    ],
                }
                for tenant in self.tenants
            ],
            "secrets": [_secret(one) for one in self.minted],
        }


def _change(change: Change) -> Mapping[str, Any]:
    return {
        "action": change.verb,
        "kind": change.kind,
        "id": str(change.id),
        "name": change.name,
        "details": list(change.details),
    }


def _secret(minted: Minted) -> Mapping[str, Any]:
    found = {"tenant": minted.tenant, "kind": minted.kind, "of": minted.of, "name": minted.name}
    return found | ({"clientId": minted.client} if minted.client else {}) | {"secret": minted.secret}


def _described(minted: Minted) -> str:
    client = f" (client id {minted.client})" if minted.client else ""
    return f"{minted.tenant}: {minted.kind} {minted.name} of {minted.of}{client}"
