import re
from dataclasses import replace
from enum import Enum
from typing import Generic, TypeVar

import msgspec

from quorate.surfaces.http import openapi
from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.surface import Surface
from tests.surfaces.http.tiny import ROUTES, Services, Thing, caller, sign_in, surface, words

T = TypeVar("T")


def test_the_document_is_the_same_every_time() -> None:
    assert openapi.text(surface(Services())) == openapi.text(surface(Services()))


def test_every_route_stands_in_the_document_with_who_may_call_it() -> None:
    tiny = surface(Services())
    document = openapi.document(tiny)

    written = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert written == {(tiny.base + route.path, route.method) for route in tiny.routes}
    assert document["paths"]["/api/v1/hello"]["get"]["security"] == []
    assert document["paths"]["/api/v1/things"]["post"]["x-permission"] == "thing:write"


def test_the_structs_that_decode_are_the_schemas() -> None:
    document = openapi.document(surface(Services()))
    make = document["paths"]["/api/v1/things"]["post"]

    assert make["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert document["components"]["schemas"]["Step"]["properties"]["order"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
    }
    assert sorted(make["responses"]) == ["201", "400", "401", "403"]
    listing = document["paths"]["/api/v1/things"]["get"]["parameters"]
    assert [(one["name"], one["in"], one["required"]) for one in listing] == [
        ("page", "query", False),
        ("open", "query", False),
    ]
    reading = document["paths"]["/api/v1/things/{id}"]["get"]["parameters"]
    assert [(one["name"], one["in"]) for one in reading] == [("id", "path")]


class Status(Enum):
    OPEN = "open"
    CLOSED = "closed"


class ByStatus(Paging, frozen=True):
    status: Status | None = None


class One(msgspec.Struct, Generic[T]):
    data: T


def test_every_reference_leads_somewhere_generics_and_filters_included() -> None:
    route = replace(ROUTES[1], query=ByStatus, answer=One[Thing])
    text = openapi.text(Surface("tiny", [route], services=Services(), words=words, sign_in=sign_in))
    document = msgspec.json.decode(text)

    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text.decode()))
    assert "$defs" not in text.decode()
    assert {"Status", "Thing"} <= references <= set(document["components"]["schemas"])


def test_operation_ids_are_all_different() -> None:
    document = openapi.document(surface(Services()))
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]

    assert len(set(ids)) == len(ids)


def test_a_surface_says_which_credentials_it_takes_and_which_headers_it_demands() -> None:
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
    routes = [replace(route, demands={"X-Tenant-ID": "whose"}) for route in ROUTES]
    document = openapi.document(
        Surface("tiny", routes, services=Services(), words=words, sign_in=sign_in, security=schemes)
    )
    reading = document["paths"]["/things/{id}"]["get"]

    assert document["components"]["securitySchemes"] == schemes
    assert reading["security"] == [{"key": []}]
    assert [(one["name"], one["required"]) for one in reading["parameters"]] == [("id", True), ("X-Tenant-ID", True)]
    assert "400" in reading["responses"]


async def test_the_document_is_given_out_to_anyone() -> None:
    described = surface(Services())
    served = Surface(
        "tiny",
        [*ROUTES, openapi.serving(described, "/openapi.json")],
        services=Services(),
        words=words,
        sign_in=sign_in,
    )
    async with caller(Origin([served], Peers(None, ())), key=None) as http:
        got = await http.get("/openapi.json")

    assert got.status_code == 200
    assert msgspec.json.decode(got.content)["openapi"] == "3.1.0"
