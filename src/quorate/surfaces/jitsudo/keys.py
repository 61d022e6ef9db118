"""API keys for automation: each a service of its own. Source: JITSudo contract b.1; (d) 2, 4."""

from msgspec import Struct
from starlette.responses import Response

from quorate.surfaces.http.answering import answer, moment
from quorate.surfaces.http.reading import body
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.reading import NewKey
from quorate.surfaces.jitsudo.services import Call


class KeyShown(Struct, frozen=True):
    """A new API key. `key` is what `X-API-Key` carries; nobody is shown it again."""

    id: shown.Id
    name: str
    key: str
    permissions: list[str]
    created_at: shown.Moment


async def create(http: Call) -> Response:
    asked = await body(http, NewKey)
    permissions = tuple(dict.fromkeys(asked.permissions))

    made = await http.services.keys.create_with_service(http.actor, asked.name.strip(), permissions)

    return answer(
        KeyShown(str(made.key.id), made.key.name, made.secret, list(permissions), moment(made.key.created_at)), 201
    )
