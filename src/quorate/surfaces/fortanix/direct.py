"""Calls that are none of ours. One that waits for approval is told so, in the very words that clients wait for.

Source: Fortanix contract §4, last row.
"""

from starlette.responses import Response

from quorate.app.cases import UseCases
from quorate.surfaces.fortanix.sessions import sign_in
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.problems import NoSuchPath


async def call(http: Http[UseCases]) -> Response:
    """Refuse the call. Raises: NoSuchPath; ApprovalRequired; for who shows a credential, what signing in raises."""
    if "authorization" not in http.headers:
        raise NoSuchPath
    actor = await sign_in(http)
    await http.services.operations.demand_none_governs(actor, http.method, str(http.scope["path"]))
    raise NoSuchPath
