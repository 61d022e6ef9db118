"""Configuration by scope. What would have no effect here is refused. Source: SailPoint contract §4, ApprovalConfig."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field
from starlette.responses import Response

from quorate.domain.defaults import Defaults, Scope
from quorate.domain.events import RequestKind
from quorate.domain.workflows import ASKER, REQUESTER, TARGET, Kind, Leaf, OnTimeout, OwnSay, Wants
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body
from quorate.surfaces.sailpoint import timing
from quorate.surfaces.sailpoint.reading import as_id, is_admin
from quorate.surfaces.sailpoint.services import Call
from quorate.surfaces.sailpoint.timing import Escalation, Reminder, Somebody, Timeout, Zone
from quorate.surfaces.sailpoint.vocabulary import ACCESS_TYPE, GENERIC_TYPE
from quorate.surfaces.sailpoint.words import AdminOnly, Unseen

_OF_TARGETS: Final = frozenset({"ACCOUNT", "ROLE", "ENTITLEMENT", "ACCESS_PROFILE", "DOMAIN_OBJECT"})
_WANTS: Final = {"APPROVAL": Wants.APPROVAL, "REJECTION": Wants.REJECTION, "ALL": Wants.ALL, "OFF": Wants.NONE}
_OWN_SAY: Final = {"OFF": OwnSay.NEVER, "DIRECT": OwnSay.DIRECT, "INDIRECT": OwnSay.INDIRECT}
_TYPES: Final = {ACCESS_TYPE: RequestKind.ACCESS.value, GENERIC_TYPE: RequestKind.GENERIC.value}

MOST_IN_CHAIN: Final = 20


class Fallback(Struct, frozen=True, omit_defaults=True):
    type: str
    identity_id: str | None = field(name="identityID", default=None)


class ApprovalConfig(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What we can do of the vendor's configuration, and what we must recognise to refuse."""

    reminder_config: Reminder | None = None
    escalation_config: Escalation | None = None
    timeout_config: Timeout | None = None
    cron_timezone: Zone | None = None
    serial_chain: Annotated[list[Somebody], Meta(max_length=MOST_IN_CHAIN)] | None = None
    requires_comment: Literal["APPROVAL", "REJECTION", "ALL", "OFF"] | None = None
    fallback_approver: Fallback | None = None
    auto_approve: Literal["OFF", "DIRECT", "INDIRECT"] | None = None
    circumvent_approval_process: bool | None = None
    machine_identity_manager_assignment: Literal["MANAGER_OF_REQUESTER"] | UnsetType = UNSET


async def read(http: Call) -> Response:
    """Read what is settled for a tenant, a type or an object, by its id alone."""
    _demand_admin(http)
    for scope in Scope:
        subject = _subject(http, scope, http.path["id"])
        if subject is not None and (kept := await http.services.cases.defaults.read(http.actor, scope, subject)):
            return answer(_shown(kept.defaults) if kept.said is None else kept.said)
    raise Unseen


async def put(http: Call) -> Response:
    _demand_admin(http)
    scope, subject = _meant(http)
    asked = await body(http, ApprovalConfig)
    defaults, said = _defaults(asked), msgspec.to_builtins(asked)

    await http.services.cases.defaults.put(http.actor, scope, subject, defaults, said)

    return answer(said)


async def remove(http: Call) -> Response:
    _demand_admin(http)
    scope, subject = _meant(http)

    if not await http.services.cases.defaults.remove(http.actor, scope, subject):
        raise Unseen

    return Response(status_code=204)


def _demand_admin(http: Call) -> None:
    if not is_admin(http):
        raise AdminOnly


def _meant(http: Call) -> tuple[Scope, str]:
    """Read the scope and the id in the path. Raises `BadInput`."""
    word = http.path["scope"]
    known: Mapping[str, Scope] = {"TENANT": Scope.TENANT, "APPROVAL_TYPE": Scope.TYPE}
    scope = Scope.TARGET if word in _OF_TARGETS else known.get(word)
    if scope is None:
        raise BadInput.at("scope", "cannot be configured; an approval keeps what it was filed with")
    subject = _subject(http, scope, http.path["id"])
    if subject is None:
        raise BadInput.at("id", f"is nothing of the scope {word}")
    return scope, subject


def _subject(http: Call, scope: Scope, id: str) -> str | None:
    """Name what an id means in a scope in our words; None if it can mean nothing there."""
    known = as_id(id)
    match scope:
        case Scope.TENANT:
            return "" if known == http.actor.tenant else None
        case Scope.TYPE:
            return _TYPES.get(id, id) if known is None and len(id) <= 255 else None
        case Scope.TARGET:
            return str(known) if known and known != http.actor.tenant else None


def _defaults(asked: ApprovalConfig) -> Defaults:
    """Say in our words what was asked. Raises `BadInput`: it would have no effect here, or none that is meant."""
    zone, (timeout_s, on_timeout) = timing.zone(asked.cron_timezone), timing.deadline(asked.timeout_config)
    escalation = asked.escalation_config or Escalation()
    to = tuple(
        _leaf("escalationConfig.escalationChain", one.identity_type, one.identity_id)
        for one in (escalation.escalation_chain or () if escalation.enabled else ())
    )
    fallback = asked.fallback_approver
    return Defaults(
        requires_comment=_WANTS[asked.requires_comment] if asked.requires_comment else None,
        timeout_s=timeout_s,
        on_timeout=on_timeout,
        fallback=(_leaf("fallbackApprover", fallback.type, fallback.identity_id),) if fallback else (),
        chain=tuple(_leaf("serialChain", one.identity_type, one.identity_id) for one in asked.serial_chain or ()),
        waived=asked.circumvent_approval_process,
        reminders=timing.reminders(asked.reminder_config, zone, timeout_s),
        escalations=timing.escalations(escalation, to, zone, timeout_s),
        own_say=_OWN_SAY[asked.auto_approve] if asked.auto_approve else None,
    )


def _shown(settled: Defaults) -> dict[str, Any]:
    """Say in the vendor's words what was settled in others; of several fallback approvers, the first."""
    found: dict[str, Any] = timing.shown(
        settled.timeout_s, settled.on_timeout or OnTimeout.EXPIRE, settled.reminders, settled.escalations
    )
    if settled.requires_comment is not None:
        found["requiresComment"] = next(word for word, wants in _WANTS.items() if wants is settled.requires_comment)
    if settled.fallback:
        who = timing.somebody(settled.fallback[0])
        id = {"identityID": who["identityId"]} if "identityId" in who else {}
        found["fallbackApprover"] = {"type": who["identityType"]} | id
    if settled.chain:
        found["serialChain"] = [timing.somebody(leaf) for leaf in settled.chain]
    if settled.waived is not None:
        found["circumventApprovalProcess"] = settled.waived
    if settled.own_say is not None:
        found["autoApprove"] = next(word for word, say in _OWN_SAY.items() if say is settled.own_say)
    return found


def _leaf(name: str, kind: str, id: str | None) -> Leaf:
    known = as_id(id) if id else None
    match kind:
        case "IDENTITY" if known is not None:
            return Leaf(Kind.USER, str(known))
        case "GOVERNANCE_GROUP" if known is not None:
            return Leaf(Kind.GROUP, str(known))
        case "MANAGER_OF" if id is None:  # Of the requestee, as ours is of the beneficiary.
            return Leaf(Kind.MANAGER, REQUESTER)
        case "MANAGER_OF_REQUESTER" if id is None:
            return Leaf(Kind.MANAGER, ASKER)
        case "REQUESTED_TARGET_OWNER" if id is None:
            return Leaf(Kind.OWNER, TARGET)
        case _:
            raise BadInput.at(
                name,
                "must be an IDENTITY or GOVERNANCE_GROUP with its id, or MANAGER_OF, MANAGER_OF_REQUESTER or"
                " REQUESTED_TARGET_OWNER without",
            )


def _refuse(when: bool, name: str, why: str) -> None:
    if when:
        raise BadInput.at(name, why)
