"""SailPoint's surface: five layouts of one table of routes, and the surface made of it.

Source: SailPoint contract §1, §3, §4.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from quorate.app.cases import UseCases
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.surface import Route, Surface
from quorate.surfaces.sailpoint import approvals, bulk, config, reading
from quorate.surfaces.sailpoint.approvals import CURRENT, FIRST, Layout
from quorate.surfaces.sailpoint.services import SURFACE, Call, Services, services
from quorate.surfaces.sailpoint.shapes import Current, First
from quorate.surfaces.sailpoint.words import ErrorShown, words

Table: TypeAlias = Sequence[Route[Services]]

_FIRST_SHAPE: Final = ("/generic-approvals", "/beta/generic-approvals", "/v2024/generic-approvals")
_CURRENT: Final = ("/generic-approvals/v1", "/v2025/generic-approvals", "/v2026/generic-approvals")
_COMMON: Final = (401, 403, 429)


def surface(cases: UseCases) -> Surface[Services]:
    """Make the surface."""
    return Surface(
        SURFACE,
        [
            Route(method="GET", path="/oauth/info", handler=info, summary="Read which tenant this is", tag="OAuth"),
            *(route for base in _FIRST_SHAPE for route in _first(base)),
            *(route for base in _CURRENT for route in _current(base)),
        ],
        services=services(cases),
        words=words,
        sign_in=reading.sign_in,
        prefixes=("/generic-approvals", "/beta", "/v2024", "/v2025", "/v2026", "/oauth"),
        title="Quorate: SailPoint's generic approvals",
        error=ErrorShown,
    )


async def info(http: Call) -> Response:
    me = await http.services.cases.me(http.actor)

    return answer(
        {
            "tenantId": str(http.actor.tenant),
            "tenantName": me.tenant_name,
            "tokenEndpoint": f"{http.origin}/oauth/token",
        }
    )


def _first(base: str) -> Iterator[Route[Services]]:
    yield from _reading(base, FIRST, First)


def _current(base: str) -> Iterator[Route[Services]]:
    yield from _reading(base, CURRENT, Current)
    one = f"{base}/{{id}}"
    yield _route("POST", f"{one}/approve", approvals.approve, "Approve", body=reading.Approve, answer=Current)
    yield _route("POST", f"{one}/reject", approvals.reject, "Reject", body=reading.Reject, status=204)
    yield _route("POST", f"{one}/cancel", approvals.cancel, "Cancel", body=reading.Cancel, status=204)
    yield _needs("POST", f"{one}/comments", approvals.comment, "Comment", body=reading.Remark, answer=Current)
    yield _needs(
        "POST",
        f"{one}/attributes",
        approvals.attributes,
        "Change the additional attributes",
        body=reading.Annotation,
        answer=Current,
    )
    yield _needs("POST", f"{one}/reassign", approvals.reassign, "Reassign", body=reading.Reassign, status=204)
    for method, handler, summary in (
        ("PUT", config.put, "Settle what counts for approvals of a scope"),
        ("DELETE", config.remove, "Settle it no more"),
    ):
        yield Route(
            method=method,
            path=f"{base}/config/{{id}}/{{scope}}",
            handler=handler,
            summary=summary,
            body=config.ApprovalConfig if method == "PUT" else None,
            answer=config.ApprovalConfig if method == "PUT" else None,
            status=200 if method == "PUT" else 204,
            errors=(*_COMMON, 404),
            tag=base,
        )
    yield Route(
        method="GET",
        path=f"{base}/config/{{id}}",
        handler=config.read,
        summary="Read what is settled for a scope",
        answer=config.ApprovalConfig,
        errors=(*_COMMON, 404),
        tag=base,
    )
    for what, handler, kind in (
        ("approve", bulk.approve, reading.BulkApprove),
        ("reject", bulk.reject, reading.Bulk),
        ("cancel", bulk.cancel, reading.Bulk),
        ("reassign", bulk.reassign, reading.BulkReassign),
    ):
        yield Route(
            method="POST",
            path=f"{base}/bulk-{what}",
            handler=handler,
            summary=f"{what.capitalize()} many",
            body=kind,
            status=202,
            errors=_COMMON,
            tag=base,
        )


def _reading(base: str, layout: Layout, shape: Any) -> Iterator[Route[Services]]:
    yield Route(
        method="GET",
        path=base,
        handler=layout.list_all,
        summary="List approvals",
        query=reading.ListFilter,
        answer=list[shape],
        errors=_COMMON,
        tag=base,
    )
    yield Route(
        method="GET",
        path=f"{base}/{{id}}",
        handler=layout.read,
        summary="Read an approval",
        answer=shape,
        errors=(*_COMMON, 404),
        tag=base,
    )


def _route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route[Services]:
    return _needs(method, path, handler, summary, body_optional=True, **more)


def _needs(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route[Services]:
    errors, tag = (*_COMMON, 404), path.partition("/{")[0]
    return Route(method=method, path=path, handler=handler, summary=summary, errors=errors, tag=tag, **more)
