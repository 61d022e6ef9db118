"""Gives out the OpenAPI documents, and the page on which people browse them and try them. Nothing comes from elsewhere.

The page may load scripts, styles and data from this origin alone, and holds no inline script; so its
`Content-Security-Policy` needs no exception.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, Final

from starlette.responses import Response

from quorate.surfaces.http import openapi
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.surface import Route, Surface, Who

_ASSETS: Final[Mapping[str, tuple[str, str]]] = {
    "/page.js": ("page.js", "text/javascript"),
    "/swagger-ui-bundle.js": ("vendor/swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "/swagger-ui.css": ("vendor/swagger-ui/swagger-ui.css", "text/css"),
}
# The style sheet draws its icons from data: addresses within it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def surface(described: Sequence[Surface[Any]]) -> Surface[None]:
    """Make the surface that describes others; the first says what goes wrong here, and is `/openapi.json` too."""
    first = described[0]
    page = _file("page.html").replace(b"{links}", _links(described).encode())
    return Surface(
        "documents",
        [
            openapi.serving(first, "/openapi.json"),
            *(openapi.serving(one, _document(one)) for one in described),
            _asset("/docs", page, "text/html"),
            *(_asset(f"/docs{path}", _file(file), kind) for path, (file, kind) in _ASSETS.items()),
        ],
        services=None,
        words=first.words,
        prefixes=("/openapi.json$", "/openapi", "/docs"),
    )


def _document(one: Surface[Any]) -> str:
    return f"/openapi/{one.name}.json"


def _links(described: Sequence[Surface[Any]]) -> str:
    return " ".join(
        f'<a href="/docs?api={escape(one.name)}" data-document="{escape(_document(one))}">{escape(one.name)}</a>'
        for one in described
    )


def _file(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()


def _asset(path: str, data: bytes, kind: str) -> Route[None]:
    """Make the route of one file. A browser asks each time whether its copy is still the newest."""
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

    return Route(method="GET", path=path, handler=give, summary="A file of the page", who=Who.ANYONE)
