"""An example of every body, by the name of its struct, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

_EXAMPLES: Final[Mapping[str, Any]] = {
    "NewRequest": {
        "resource": {"type": "aws_account", "id": "123456789012"},
        "action": "request_access",
        "reason": "The quarter ends",
        "duration_seconds": 3600,
        "break_glass": False,
        "metadata": {"ticket": "OPS-7"},
    },
    "Decision": {"reasoning": "Agreed in the stand-up"},
    "NewMessage": {"content": "Which database is it about?", "metadata": {}},
    "Ensuring": {
        "entitlements": [{"target": "AWS::Account::123456789012", "role": "ReadOnly", "duration_seconds": 900}],
        "justification": {"reason": "The quarter ends", "attachments": ["OPS-7"]},
        "dry_run": True,
    },
    "NewPolicy": {
        "name": "accounts",
        "description": "Everybody may ask for accounts",
        "enabled": True,
        "priority": 10,
        "max_duration_seconds": 14400,
        "default_duration_seconds": 3600,
        "cedar_policy_set": "permit(principal, action, resource is AwsAccount);",
    },
    "ChangedPolicy": {"priority": 20, "enabled": True},
    "NewRule": {
        "effect": "forbid",
        "action_scope_type": "eq",
        "action_ids": ["admin"],
        "resource_scope_type": "eq",
        "resource_entity_type": "AwsAccount",
        "resource_entity_id": "123456789012",
        "conditions": "unless { context.has_reason }",
        "notice": "Say why",
    },
    "Evaluation": {
        "principal": "5d0c6a0e-7f0b-4a8e-9d53-0d1c5d2f6b11",
        "groups": ["Platform"],
        "resource": "aws_account:123456789012",
        "action": "request_access",
    },
    "NewChannel": {
        "name": "chat",
        "url": "https://hooks.acme.example/jitsudo",
        "headers": {},
        "enabled": True,
        "event_filters": ["request.pending", "grant.active"],
    },
    "NewTenant": {
        "name": "Globex",
        "slug": "globex",
        "owner_email": "grace@globex.example",
        "owner_name": "Grace Ott",
        "locale": "en-GB",
        "sso_start_url": "https://globex.awsapps.com/start",
        "sso_region": "eu-west-1",
    },
    "OidcSettings": {
        "issuer_url": "https://login.acme.example",
        "client_id": "quorate",
        "client_secret": "kept-by-nobody",
        "scopes": ["openid", "email"],
    },
    "NewKey": {"name": "release job", "permissions": ["request:approve"]},
}


def example_of(body: Any) -> Any:
    """Give an example of a body; None for none."""
    return None if body is None else _EXAMPLES[body.__name__]
