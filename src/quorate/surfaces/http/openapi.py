"""Writes a surface's OpenAPI 3.1 document from its route table and the structs that decode."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from quorate import __version__
from quorate.surfaces.http.answering import JSON
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.routing import parameters
from quorate.surfaces.http.surface import Route, Surface, Who

_REF = "#/components/schemas/{name}"
_FORM = "application/x-www-form-urlencoded"
_SIGNED_IN = (401, 403)
_TAG = '(W/)?"[^"]*"'
_HEADERS: Mapping[str, Any] = {
    "Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "If-Match": {"type": "string", "pattern": rf"^(\*|{_TAG}( *, *{_TAG})*)$"},
    "X-Tenant-ID": {"type": "string", "format": "uuid"},
}


def document(surface: Surface[Any]) -> dict[str, Any]:
    """Make the document. The same table gives the same document, byte for byte."""
    kinds = _kinds(surface)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in surface.routes:
        operations = paths.setdefault(surface.base + route.path, {})
        operations[route.method.lower()] = _operation(surface, route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": surface.title,
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": surface.security,
            "schemas": dict(sorted(components.items())),
        },
    }


def text(surface: Surface[Any]) -> bytes:
    """Make the document as JSON text."""
    return msgspec.json.encode(document(surface), order="deterministic")


def serving(surface: Surface[Any], path: str) -> Route[Any]:
    """Make the route that gives the surface's document out. It is made once."""
    data = text(surface)

    async def openapi(_: Http[Any]) -> Response:
        return Response(data, media_type=JSON)

    return Route(method="GET", path=path, handler=openapi, summary="This document", who=Who.ANYONE)


def _operation(surface: Surface[Any], route: Route[Any], schemas: Mapping[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": _operation_id(route), "summary": route.summary}
    if route.tag:
        operation["tags"] = [route.tag]
    if route.who is Who.ANYONE:
        operation["security"] = []
    else:
        operation["security"] = [{name: []} for name in surface.security]
    if isinstance(route.who, str):
        operation["x-permission"] = route.who
    given = [
        *(
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in parameters(surface.base + route.path)
        ),
        *_query(route.query),
        *(_header(name, about) for name, about in route.headers.items()),
        *(_header(name, about) | {"required": True} for name, about in route.demands.items()),
    ]
    if given:
        operation["parameters"] = given
    if route.body is not None:
        media = _FORM if route.body_is_form else JSON
        content = {"schema": schemas[id(route.body)]}
        if route.example is not None:
            content["example"] = route.example
        operation["requestBody"] = {"required": not route.body_optional, "content": {media: content}}
    operation["responses"] = _responses(surface, route, schemas)
    return operation


def _header(name: str, about: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": about, "schema": _HEADERS.get(name, {"type": "string"})}


def _query(kind: Any) -> Iterable[dict[str, Any]]:
    if kind is None:
        return
    (_,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    schema = components[kind.__name__]
    for name, inner in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": inner}


def _responses(surface: Surface[Any], route: Route[Any], schemas: Mapping[int, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": _phrase(route.status)}
    if route.answer is not None:
        success["content"] = {JSON: {"schema": schemas[id(route.answer)]}}
    responses = {str(route.status): success}
    errors = set(route.errors) | (set() if route.who is Who.ANYONE else set(_SIGNED_IN))
    if route.body is not None or route.query is not None or route.headers or route.demands:
        errors.add(400)
    for status in sorted(errors):
        responses[str(status)] = {"description": _phrase(status)}
        if surface.error is not None:
            responses[str(status)]["content"] = {JSON: {"schema": schemas[id(surface.error)]}}
    return responses


def _kinds(surface: Surface[Any]) -> list[Any]:
    kinds: dict[int, Any] = {}
    for kind in (
        surface.error,
        *(kind for route in surface.routes for kind in (route.body, route.query, route.answer)),
    ):
        if kind is not None:
            kinds[id(kind)] = kind
    return list(kinds.values())


def _operation_id(route: Route[Any]) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.path)
    return route.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
