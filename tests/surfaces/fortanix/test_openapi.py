"""The surface describes itself."""

import json

from tests.surfaces.fortanix.story import Story


async def test_the_document_names_every_path_of_the_contract(story: Story) -> None:
    answer = await story.call(None, "GET", "/openapi/fortanix.json")
    document = json.loads(answer.content)

    assert {(method, path) for path, methods in document["paths"].items() for method in methods} == {
        ("post", "/sys/v1/approval_requests"),
        ("get", "/sys/v1/approval_requests"),
        ("get", "/sys/v1/approval_requests/{id}"),
        ("delete", "/sys/v1/approval_requests/{id}"),
        ("post", "/sys/v1/approval_requests/{id}/approve"),
        ("post", "/sys/v1/approval_requests/{id}/deny"),
        ("post", "/sys/v1/approval_requests/{id}/challenge"),
        ("post", "/sys/v1/approval_requests/{id}/result"),
        ("post", "/sys/v1/session/auth"),
        ("post", "/sys/v1/session/auth/2fa/fido2"),
        ("post", "/sys/v1/session/auth/2fa/u2f"),
        ("post", "/sys/v1/session/select_account"),
        ("post", "/sys/v1/session/refresh"),
        ("post", "/sys/v1/session/terminate"),
        ("post", "/sys/v1/session/reauth"),
        ("get", "/sys/v1/health"),
        ("get", "/sys/v1/version"),
    }
    approve = document["paths"]["/sys/v1/approval_requests/{id}/approve"]["post"]
    assert approve["security"] == [{"bearerToken": []}, {"apiKeyAuth": []}]
    assert approve["requestBody"]["required"] is False
    listed = document["paths"]["/sys/v1/approval_requests"]["get"]
    assert [one["name"] for one in listed["parameters"]] == ["requester", "reviewer", "subject", "status"]
    assert listed["responses"]["200"]["content"]["application/json"]["schema"]["type"] == "array"
