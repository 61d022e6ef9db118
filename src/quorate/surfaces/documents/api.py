"""Gives out the OpenAPI document, and the page on which people browse it and try it. Nothing comes from elsewhere.

The page may load scripts, styles and data from this origin alone, and holds no inline script; so its
`Content-Security-Policy` needs no exception.
"""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from starlette.responses import Response

from quorate.surfaces.http import openapi
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.surface import Route, Surface, Who, Words

_ASSETS: Final[Mapping[str, tuple[str, str]]] = {
    "": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/swagger-ui-bundle.js": ("vendor/swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "/swagger-ui.css": ("vendor/swagger-ui/swagger-ui.css", "text/css"),
}
# The style sheet draws its icons from data: addresses within it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def surface(described: Surface[Any], words: Words) -> Surface[None]:
    """Make the surface that describes another one. `words` says what goes wrong here."""
    return Surface(
        "documents",
        [
            openapi.serving(described, "/openapi.json"),
            *(_asset(f"/docs{path}", *asset) for path, asset in _ASSETS.items()),
        ],
        services=None,
        words=words,
        prefixes=("/openapi.json$", "/docs"),
    )


def _asset(path: str, file: str, kind: str) -> Route[None]:
    """Make the route of one file, read once. A browser asks each time whether its copy is still the newest."""
    data = files(__package__).joinpath(file).read_bytes()
    tag = f'"{sha256(data).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
    }

    async def give(http: Http[None]) -> Response:
        known = http.headers.get("if-none-match", "")
        if known.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=kind)

    return Route(method="GET", path=path, handler=give, summary=f"The page of the API: {file}", who=Who.ANYONE)
