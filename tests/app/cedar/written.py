"""Policies, people and targets for the tests of Cedar."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from quorate.app.cedar.question import Question, What, Who
from quorate.domain.policy import Policy

AT = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)  # A Saturday.
ANY = "permit(principal, action, resource);"
RHEA = Who(id="rhea", name="Rhea", email="rhea@acme.example", groups=frozenset({"g1", "g2"}), roles=frozenset({"dev"}))
PROD = What(
    type="AwsAccount",
    id="123456789012",
    kind="aws_account",
    name="prod",
    external_id="123456789012",
    tags={"env": "prod", "odd key": "ü"},
    within=(("Resource", "r1"), ("AwsOrganizationalUnit", "ou-1")),
)


def policy(cedar: str, name: str = "p", **facts: Any) -> Policy:
    number = int.from_bytes(name.encode()[-8:], "big")
    return Policy(id=UUID(int=number), name=name, cedar=cedar, created_at=AT, updated_at=AT, **facts)


def asked(**facts: Any) -> Question:
    known: dict[str, Any] = {"who": RHEA, "what": PROD, "at": AT}
    return Question(**(known | facts))
