"""An example of every body, by the name of its struct, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

_EXAMPLES: Final[Mapping[str, Any]] = {
    "Decision": {"approverComment": "Agreed in the stand-up"},
    "Revocation": {
        "approvals": ["3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"],
        "revokerComment": "The work is done",
        "killSession": True,
    },
    "Asking": {"justification": "The quarter ends", "ticketId": "OPS-7", "ticketType": "jira"},
    "StepUp": {"otp": "123456"},
}


def example_of(body: Any) -> Any:
    """Give the example of a body's struct; None where there is no body."""
    return None if body is None else _EXAMPLES[body.__name__]
