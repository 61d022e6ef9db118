"""Policies, their rules, and what they would say. Source: JITSudo contract b.7; (d) 16, 18, 38."""

from typing import Any, Final
from uuid import UUID, uuid5

from msgspec import UNSET, Struct
from starlette.responses import Response

from quorate.app.cedar.parts import Part, Parts, annotated, apart, together
from quorate.app.cedar.policies import Asked, Change, Draft, rules_of
from quorate.domain.policy import Effect, Mode, NoSuchPolicy, Policy, Rule
from quorate.surfaces.http.answering import answer, moment
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.calls import listed
from quorate.surfaces.jitsudo.reading import (
    ChangedPolicy,
    Evaluation,
    Listing,
    NewPolicy,
    NewRule,
    Scope,
    account,
    demand_named,
    id_of,
    place,
)
from quorate.surfaces.jitsudo.services import SURFACE, Call

OWN: Final = ("role", "group", "operation")


class RuleShown(Struct, frozen=True):
    """A rule: its parts, and the Cedar statement they make. What is not of the head or the notice is in the text."""

    id: shown.Id
    policy_id: shown.Id
    effect: Effect
    principal_scope_type: Scope
    principal_entity_type: str | None
    principal_entity_id: str | None
    action_scope_type: Scope
    action_ids: list[str]
    resource_scope_type: Scope
    resource_entity_type: str | None
    resource_entity_id: str | None
    conditions: str | None
    ordinal: int
    notice: str | None
    audit_session: bool
    approval_mode: Mode | None
    approval_timeout_seconds: int | None
    policy_text: str


class PolicyShown(Struct, frozen=True):
    id: shown.Id
    name: str
    description: str | None
    enabled: bool
    priority: int
    max_duration_seconds: int | None
    default_duration_seconds: int | None
    notification_channel: str | None
    approval_mode: Mode
    approval_timeout_seconds: int | None
    rules: list[RuleShown]
    created_at: shown.Moment
    updated_at: shown.Moment


class EvaluationShown(Struct, frozen=True):
    permitted: bool
    matching_policy_ids: list[shown.Id]
    reason: str
    notices: list[str]


async def create(http: Call) -> Response:
    asked = await body(http, NewPolicy)

    made = await http.services.policies.create(
        http.actor,
        Draft(
            name=asked.name.strip(),
            description=asked.description,
            enabled=asked.enabled,
            priority=asked.priority,
            max_duration_seconds=asked.max_duration_seconds,
            default_duration_seconds=asked.default_duration_seconds,
            notification_channel=asked.notification_channel,
            mode=asked.approval_mode,
            approval_timeout_seconds=asked.approval_timeout_seconds,
            cedar=asked.cedar_policy_set or "",
        ),
    )

    return answer(_policy(made), 201)


async def update(http: Call) -> Response:
    asked = await body(http, ChangedPolicy, optional=True)
    change = Change(
        name=asked.name if asked.name is UNSET else asked.name.strip(),
        description=asked.description,
        enabled=asked.enabled,
        priority=asked.priority,
        max_duration_seconds=asked.max_duration_seconds,
        default_duration_seconds=asked.default_duration_seconds,
        notification_channel=asked.notification_channel,
        mode=asked.approval_mode,
        approval_timeout_seconds=asked.approval_timeout_seconds,
    )

    changed = await http.services.policies.update(http.actor, _id(http), change)

    return answer(_policy(changed))


async def add_rule(http: Call) -> Response:
    text = _text(await body(http, NewRule))

    policy, rule = await http.services.policies.add_rule(http.actor, _id(http), text)

    return answer(_rule(policy, rule, len(rules_of(policy)) - 1), 201)


async def list_rules(http: Call) -> Response:
    wanted, id = query(http, Listing), _id(http)
    of = f"rules {id}"
    after = place(http, wanted, of, int, int)

    policy = await http.services.policies.read(http.actor, id)

    seen = after or (-1, -1)
    rules = sorted((rule.ordinal, number, rule) for number, rule in enumerate(_rules(policy)))
    found = [one for one in rules if one[:2] > seen]
    return listed(http, wanted, of, found[: wanted.limit + 1], lambda one: one[:2], lambda one: one[2])


async def evaluate(http: Call) -> Response:
    asked = await body(http, Evaluation)
    type, _, id = asked.resource.partition(":")
    if type not in OWN:
        demand_named(await http.services.tenants.naming(http.actor.tenant), type, id)
    principal = await account(http, asked.principal)

    outcome = await http.services.policies.dry_run(
        http.actor,
        Asked(
            principal=str(principal) if principal else asked.principal,
            groups=tuple(asked.groups or ()),
            type=type,
            target=id,
            action=asked.action,
            surface=SURFACE,
        ),
    )

    return answer(
        EvaluationShown(
            permitted=outcome.is_permitted,
            matching_policy_ids=[str(one) for one in outcome.policies],
            reason=outcome.reason,
            notices=list(outcome.notices),
        )
    )


def _id(http: Call) -> UUID:
    return id_of(http, "policyId", NoSuchPolicy)


def _text(asked: NewRule) -> str:
    """Write the rule that is asked for. Raises: BadInput, BadPolicy."""
    said: dict[str, Any] = {
        "notice": asked.notice,
        "ordinal": asked.ordinal,
        "audit_session": None if asked.audit_session is not False else "false",
        "approval_mode": asked.approval_mode.value if asked.approval_mode else None,
        "approval_timeout": asked.approval_timeout_seconds,
    }
    annotations = {name: str(value) for name, value in said.items() if value is not None}
    if asked.policy_text is not None and asked.policy_text.strip():
        return annotated(asked.policy_text, annotations)
    if asked.effect is None:
        raise BadInput.at("effect", "is needed where there is no policy_text")
    return together(
        Parts(
            asked.effect,
            Part(asked.principal_scope_type, asked.principal_entity_type, asked.principal_entity_id),
            Part(asked.action_scope_type, ids=tuple(asked.action_ids or ())),
            Part(asked.resource_scope_type, asked.resource_entity_type, asked.resource_entity_id),
            asked.conditions or "",
            annotations,
        )
    )


def _policy(one: Policy) -> PolicyShown:
    return PolicyShown(
        id=str(one.id),
        name=one.name,
        description=one.description,
        enabled=one.enabled,
        priority=one.priority,
        max_duration_seconds=one.max_duration_seconds,
        default_duration_seconds=one.default_duration_seconds,
        notification_channel=one.notification_channel,
        approval_mode=one.mode,
        approval_timeout_seconds=one.approval_timeout_seconds,
        rules=_rules(one),
        created_at=moment(one.created_at),
        updated_at=moment(one.updated_at),
    )


def _rules(policy: Policy) -> list[RuleShown]:
    return [_rule(policy, rule, number) for number, rule in enumerate(rules_of(policy))]


def _rule(policy: Policy, rule: Rule, number: int) -> RuleShown:
    parts = apart(rule)
    ordinal = rule.annotations.get("ordinal", "")
    return RuleShown(
        id=str(uuid5(policy.id, rule.id)),
        policy_id=str(policy.id),
        effect=rule.effect,
        principal_scope_type=parts.principal.scope,  # type: ignore[arg-type]  # The same words.
        principal_entity_type=parts.principal.type,
        principal_entity_id=parts.principal.id,
        action_scope_type=parts.action.scope,  # type: ignore[arg-type]  # The same words.
        action_ids=list(parts.action.ids),
        resource_scope_type=parts.resource.scope,  # type: ignore[arg-type]  # The same words.
        resource_entity_type=parts.resource.type,
        resource_entity_id=parts.resource.id,
        conditions=parts.conditions or None,
        ordinal=int(ordinal[:9]) if ordinal.isascii() and ordinal.isdecimal() else number,
        notice=rule.notice or None,
        audit_session=rule.annotations.get("audit_session") != "false",
        approval_mode=rule.mode,
        approval_timeout_seconds=rule.approval_timeout_seconds,
        policy_text=rule.text,
    )
