"""Policies: made, read, changed and removed, and asked without anything following from it.

Source: native contract b.7. What can be said in one: docs/policies.md.
"""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from quorate.app.cedar.policies import Asked, Change, Draft
from quorate.app.cedar.schema import REQUEST_ACCESS
from quorate.app.cedar.text import MAX_TEXT
from quorate.domain.policy import (
    MAX_DURATION_S,
    MAX_PRIORITY,
    MAX_TIMEOUT_S,
    Because,
    Mode,
    Outcome,
    Policy,
    Verdict,
)
from quorate.surfaces.http.answering import answer, etag, matches, moment
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native.calls import given, said
from quorate.surfaces.native.services import SURFACE, Call
from quorate.surfaces.native.shapes import Name, Note, as_id
from quorate.surfaces.native.shown import Id, Moment, Ok

Priority = Annotated[int, Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY)]
Seconds = Annotated[int, Meta(ge=1, le=MAX_DURATION_S)]
Timeout = Annotated[int, Meta(ge=1, le=MAX_TIMEOUT_S)]
Cedar = Annotated[str, Meta(max_length=MAX_TEXT)]

FIRST_YEAR, LAST_YEAR = 1970, 9998  # A moment in any time zone is then one in UTC, too.


class NewPolicy(Struct, frozen=True, rename="camel"):
    """A policy to make: rules in Cedar, and what beside them shall hold."""

    name: Name
    cedar: Cedar
    description: Note | None = None
    enabled: bool = True
    priority: Priority = 0
    approval_mode: Mode = Mode.REQUIRE
    max_duration_seconds: Seconds | None = None
    default_duration_seconds: Seconds | None = None
    approval_timeout_seconds: Timeout | None = None
    notification_channel: Name | None = None

    def read(self) -> Draft:
        return Draft(
            name=self.name.strip(),
            description=self.description,
            enabled=self.enabled,
            priority=self.priority,
            max_duration_seconds=self.max_duration_seconds,
            default_duration_seconds=self.default_duration_seconds,
            mode=self.approval_mode,
            approval_timeout_seconds=self.approval_timeout_seconds,
            notification_channel=self.notification_channel,
            cedar=self.cedar,
        )


class ChangedPolicy(Struct, frozen=True, rename="camel"):
    """What shall change; what is not said stays."""

    name: Name | UnsetType = UNSET
    cedar: Cedar | UnsetType = UNSET
    description: Note | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    approval_mode: Mode | UnsetType = UNSET
    max_duration_seconds: Seconds | UnsetType | None = UNSET
    default_duration_seconds: Seconds | UnsetType | None = UNSET
    approval_timeout_seconds: Timeout | UnsetType | None = UNSET
    notification_channel: Name | UnsetType | None = UNSET

    def read(self) -> Change:
        return Change(
            name=UNSET if self.name is UNSET else self.name.strip(),
            description=self.description,
            enabled=self.enabled,
            priority=self.priority,
            max_duration_seconds=self.max_duration_seconds,
            default_duration_seconds=self.default_duration_seconds,
            mode=self.approval_mode,
            approval_timeout_seconds=self.approval_timeout_seconds,
            notification_channel=self.notification_channel,
            cedar=self.cedar,
        )


class Evaluation(Struct, frozen=True, rename="camel"):
    """May somebody do this to that? `userId`: oneself if not said; `groups`: more of them, by id or name; `at`: now.

    `resourceType`: `role`, `group`, `resource`, `operation`, or a resource's own type, whose `resourceId` may be its
    external id. An operation's id is its method and path.
    """

    resource_type: Name
    resource_id: Name
    action: Name = REQUEST_ACCESS
    user_id: Name | None = None
    groups: Annotated[list[Name], Meta(max_length=100)] = []
    duration_seconds: Seconds | None = None
    reason: Note | None = None
    requester_id: Name | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    address: Name | None = None

    def read(self, caller: str) -> Asked:
        """Raises `BadInput` when the moment is none we could write."""
        if self.at is not None and not FIRST_YEAR <= self.at.year <= LAST_YEAR:
            raise BadInput.at("at", f"must be in the years {FIRST_YEAR} to {LAST_YEAR}")
        return Asked(
            principal=self.user_id or caller,
            groups=tuple(self.groups),
            type=self.resource_type,
            target=self.resource_id,
            action=self.action,
            duration_seconds=self.duration_seconds,
            reason=self.reason,
            requester=self.requester_id,
            at=self.at,
            surface=SURFACE,
            address=self.address or "",
        )


class PolicyShown(Struct, frozen=True, rename="camel"):
    """A policy as it is kept."""

    id: Id
    name: str
    description: str | None
    enabled: bool
    priority: int
    approval_mode: Mode
    max_duration_seconds: int | None
    default_duration_seconds: int | None
    approval_timeout_seconds: int | None
    notification_channel: str | None
    cedar: str
    version: int
    created_at: Moment
    updated_at: Moment


class PolicyList(Struct, frozen=True):
    policies: list[PolicyShown]
    total: Annotated[int, Meta(ge=0)]


class EvaluationShown(Struct, frozen=True, rename="camel"):
    """What the policies say. `rules`: those that decided, as `policy/rule`; `errors` deny, whatever else is said."""

    verdict: Verdict
    because: Because
    reason: str
    policies: list[Id]
    rules: list[str]
    notices: list[str]
    errors: list[str]
    max_duration_seconds: int | None
    default_duration_seconds: int | None
    approval_timeout_seconds: int | None


async def list_all(http: Call) -> Response:
    wanted = query(http, Paging)

    found, total = await http.services.policies.page(http.actor, wanted.limit, wanted.offset)

    return given(PolicyList([_shown(one) for one in found], total))


async def read(http: Call) -> Response:
    return _whole(await http.services.policies.read(http.actor, as_id(http.path["id"])))


async def create(http: Call) -> Response:
    draft = (await body(http, NewPolicy)).read()

    return _whole(await http.services.policies.create(http.actor, draft), 201)


async def update(http: Call) -> Response:
    change = (await body(http, ChangedPolicy, optional=True)).read()
    if_match = http.headers.get("if-match")
    matches(if_match, "")  # What is no entity tag is refused before anything is looked up.

    changed = await http.services.policies.update(
        http.actor, as_id(http.path["id"]), change, lambda now: matches(if_match, _tag(now))
    )

    return _whole(changed)


async def delete(http: Call) -> Response:
    if_match = http.headers.get("if-match")
    matches(if_match, "")

    await http.services.policies.delete(http.actor, as_id(http.path["id"]), lambda now: matches(if_match, _tag(now)))

    return said("Policy deleted")


async def evaluate(http: Call) -> Response:
    asked = (await body(http, Evaluation)).read(str(http.actor.principal))

    return given(_outcome(await http.services.policies.dry_run(http.actor, asked)))


def _whole(one: Policy, status: int = 200) -> Response:
    return answer(Ok(data=_shown(one)), status, {"ETag": _tag(one)})


def _tag(one: Policy) -> str:
    return etag(one.id, one.version)


def _shown(one: Policy) -> PolicyShown:
    return PolicyShown(
        id=str(one.id),
        name=one.name,
        description=one.description,
        enabled=one.enabled,
        priority=one.priority,
        approval_mode=one.mode,
        max_duration_seconds=one.max_duration_seconds,
        default_duration_seconds=one.default_duration_seconds,
        approval_timeout_seconds=one.approval_timeout_seconds,
        notification_channel=one.notification_channel,
        cedar=one.cedar,
        version=one.version,
        created_at=moment(one.created_at),
        updated_at=moment(one.updated_at),
    )


def _outcome(one: Outcome) -> EvaluationShown:
    return EvaluationShown(
        verdict=one.verdict,
        because=one.because,
        reason=one.reason,
        policies=[str(id) for id in one.policies],
        rules=list(one.rules),
        notices=list(one.notices),
        errors=list(one.errors),
        max_duration_seconds=one.max_duration_seconds,
        default_duration_seconds=one.default_duration_seconds,
        approval_timeout_seconds=one.approval_timeout_seconds,
    )
