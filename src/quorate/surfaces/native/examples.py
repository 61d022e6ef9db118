"""An example of every body, by the name of its struct, for the OpenAPI document.

A test sends each one, with ids of its own in the place of these.
"""

from collections.abc import Mapping
from typing import Any, Final

PERSON: Final = "5d0c6a0e-7f0b-4a8e-9d53-0d1c5d2f6b11"
COLLEAGUE: Final = "c1a4f3de-2b86-4c0f-8a55-6c7b3f1e9a22"
GROUP: Final = "8e7d2c41-90ab-4f3c-b1de-52f0a6c84d33"
ROLE: Final = "2f9b8a70-1c5e-4d6b-a3f8-7e4d0b9c6a44"
REFRESH_TOKEN: Final = (
    "qr_5d0c6a0e7f0b4a8e9d530d1c5d2f6b11_c1a4f3de2b864c0f8a556c7b3f1e9a22_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"  # noqa: S105  # Nobody's.
)
MFA_TOKEN: Final = (
    "qm_5d0c6a0e7f0b4a8e9d530d1c5d2f6b11_c1a4f3de2b864c0f8a556c7b3f1e9a22_8e7d2c4190ab4f3cb1de52f0a6c84d33_ABCDEFG"  # noqa: S105  # Nobody's.
)

_ACCOUNTS: Final = {
    "Login": {"email": "ana@acme.example", "password": "correct horse battery staple", "rememberMe": True},
    "Refresh": {"refreshToken": REFRESH_TOKEN},
    "Reauthentication": {"password": "correct horse battery staple"},
    "NewPasskey": {
        "name": "blue key",
        "credential": {
            "id": "mDkzXc8wTt6m0l2YQ3qv5g",
            "rawId": "mDkzXc8wTt6m0l2YQ3qv5g",
            "type": "public-key",
            "response": {
                "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4ifQ",
                "attestationObject": "o2NmbXRkbm9uZQ",
            },
            "clientExtensionResults": {},
        },
    },
    "FirstCode": {"code": "492039"},
    "SecondStepGiven": {"mfaToken": MFA_TOKEN, "code": "492039"},
    "ProviderGiven": {
        "issuer": "https://login.acme.example",
        "clientId": PERSON,
        "clientSecret": "kept-by-nobody",
        "scopes": ["openid", "email"],
        "tenantClaim": None,
    },
    "NewUser": {
        "email": "noor@acme.example",
        "firstName": "Noor",
        "familyName": "Haddad",
        "displayName": "Noor Haddad",
        "managerId": PERSON,
        "metadata": {"costCentre": "4711"},
    },
    "ChangedUser": {"displayName": "Ana Ott", "managerId": COLLEAGUE},
    "RoleGiven": {"roleId": ROLE},
    "NewService": {"name": "release job", "ownerId": PERSON, "permissions": ["request:for-others"]},
    "ChangedService": {"name": "nightly release job"},
    "NewKey": {"name": "laptop", "expiresAt": "2099-12-31T23:59:59Z"},
}

_DIRECTORY: Final = {
    "NewRole": {"name": "on call", "description": "May look at everything", "permissions": ["workflow:read"]},
    "ChangedRole": {"description": "Closes the books"},
    "NewGroup": {"name": "Platform", "description": "Who runs the clusters"},
    "ChangedGroup": {"description": "Looks after everybody's safety"},
    "MemberGiven": {"userId": COLLEAGUE},
    "NewResource": {
        "type": "database",
        "name": "billing",
        "externalId": "arn:aws:rds:eu-central-1:123456789012:db:billing",
        "attributes": {"environment": "production"},
    },
    "ChangedResource": {"description": "Holds every invoice", "attributes": {"environment": "production"}},
    "NewDelegation": {"to": COLLEAGUE, "startsAt": "2098-07-01T00:00:00Z", "endsAt": "2098-07-15T00:00:00Z"},
}

_WORKFLOWS: Final = {
    "NewWorkflow": {
        "name": "Roles that touch production",
        "description": "A colleague who knows the work, then two of the security group",
        "resourceTypes": ["role"],
        "steps": [
            {"order": 1, "name": "Colleague", "approverType": "user", "approverValue": PERSON, "timeoutHours": 24},
            {"order": 2, "name": "Security", "quorum": {"n": 2, "members": [{"group": GROUP}]}, "timeoutHours": 48},
        ],
    },
    "ChangedWorkflow": {"description": "Two of the security group, since last quarter"},
    "NewInstance": {"subject": {"change": "CHG-1042", "risk": "low"}, "metadata": {"from": "the release job"}},
}

_REQUESTS: Final = {
    "NewRequest": {
        "resourceType": "role",
        "resourceId": ROLE,
        "justification": "The quarter ends, and the books must be closed",
        "duration": {"value": 8, "unit": "hours"},
    },
    "Approval": {"note": "The approver is away; agreed by telephone"},
    "Rejection": {"reason": "This is what the read-only role is for"},
    "Cancellation": {"reason": "No longer needed"},
    "NewComment": {"text": "It is about ticket 1042"},
    "Decision": {"decision": "approve", "note": "Until the books are closed"},
    "Reassignment": {"to": COLLEAGUE, "note": "I am away until Monday"},
    "Revocation": {"reason": "The books are closed"},
}

_RULES: Final = {
    "NewOperation": {
        "method": "POST",
        "path": f"/api/v1/users/{PERSON}/roles",
        "body": {"roleId": ROLE},
        "description": "Covers for the head of security in July",
    },
    "NewPolicy": {
        "name": "Security, for an hour",
        "cedar": '@id("short") permit(principal in Group::"Security", action, resource) '
        "when { context has duration_seconds && context.duration_seconds <= 3600 };",
        "priority": 10,
        "approvalMode": "require",
    },
    "ChangedPolicy": {"enabled": False},
    "Evaluation": {"userId": PERSON, "resourceType": "role", "resourceId": ROLE, "durationSeconds": 3600},
    "NewWebhook": {
        "name": "chat",
        "url": "https://hooks.acme.example/quorate",
        "events": ["access_request.*", "grant.*"],
    },
}

EXAMPLES: Final[Mapping[str, Any]] = {**_ACCOUNTS, **_DIRECTORY, **_WORKFLOWS, **_REQUESTS, **_RULES}


def example_of(body: Any) -> Any:
    """Find the example of a body's struct; None when there is no body, or none is written down."""
    return None if body is None else EXAMPLES.get(body.__name__)
