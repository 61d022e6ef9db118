"""How steps are described in the OpenAPI document. What decides is `definitions.read_steps`, which explains itself."""

from typing import Any, Final

from quorate.app.definitions import COUNT_WORDS, MAX_ORDER, MAX_TIMEOUT_HOURS
from quorate.domain.workflows import MAX_REMINDERS, MAX_TIMEOUT_S, Kind, OnTimeout, Wants

_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_LEAF: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Exactly one of these.",
    "properties": {kind.value: _TEXT for kind in Kind},
}
_APPROVER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"approverType": {"enum": ["user", "role", "group"]}, "approverValue": _TEXT, **_LEAF["properties"]},
}
_QUORUM: Final[dict[str, Any]] = {
    "type": ["object", "null"],
    "description": "n of members; a member is an approver or a quorum of its own, at most five levels deep.",
    "properties": {
        "n": {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[0-9]{1,3}%$"},
                {"enum": list(COUNT_WORDS)},
            ]
        },
        "members": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "requirePassword": {"type": "boolean"},
        "requireSecondFactor": {"type": "boolean"},
        "overlap": {"type": "boolean"},
    },
    "required": ["n", "members"],
}

_CADENCE: Final[dict[str, Any]] = {
    "afterSeconds": {"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_S},
    "schedule": {"type": "string", "description": "Five fields of cron, @daily and its like, or @every and a span."},
    "timeZone": {"type": "string", "description": "An IANA name or an offset.", "default": "UTC"},
}

LEAVES_SCHEMA: Final[dict[str, Any]] = {"items": _APPROVER}

STEP_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "One stage: approverType and approverValue, or a quorum.",
    "properties": {
        "order": {"type": "integer", "minimum": 1, "maximum": MAX_ORDER},
        "name": _TEXT,
        "approverType": {"enum": ["user", "role", "group", None]},
        "approverValue": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
        "quorum": _QUORUM,
        "timeoutHours": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_TIMEOUT_HOURS, "default": 72},
        "timeoutSeconds": {"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_S},
        "rejection": {
            "anyOf": [
                {"enum": ["any", "unreachable"]},
                {"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}, "required": ["count"]},
            ]
        },
        "requiresComment": {"enum": [word.value for word in Wants]},
        "override": {"type": "boolean"},
        "onTimeout": {"enum": [word.value for word in OnTimeout]},
        "escalateTo": _APPROVER,
        "fallbackApprovers": {"type": "array", "items": _APPROVER},
        "reminders": {
            "type": "object",
            "description": "Those who can decide are reminded: after so long, else as scheduled, and again by that.",
            "properties": {
                **_CADENCE,
                "most": {"type": "integer", "minimum": 1, "maximum": MAX_REMINDERS, "default": 20},
            },
        },
        "escalations": {
            "type": "object",
            "description": "These join one after another: the first after so long, each next by the schedule.",
            "properties": {**_CADENCE, "to": {"type": "array", "minItems": 1, "maxItems": 20, "items": _APPROVER}},
            "required": ["afterSeconds", "to"],
        },
    },
    "required": ["order", "name"],
}

STEPS_SCHEMA: Final[dict[str, Any]] = {"minItems": 1, "items": STEP_SCHEMA}
