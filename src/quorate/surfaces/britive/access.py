"""What there is to ask for, and asking for it. Source: Britive contract §2, §4."""

from typing import Final

from msgspec import Struct
from starlette.responses import Response

from quorate.app.asking import AskAccess, Terms
from quorate.domain import refusals as no
from quorate.surfaces.britive import approvals
from quorate.surfaces.britive.reading import Asking
from quorate.surfaces.britive.services import Call
from quorate.surfaces.britive.shown import app_and_profile, goes_by
from quorate.surfaces.britive.words import ENVIRONMENT, SECRET
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.reading import body

TERMS: Final = Terms(built_in_step=True, must_end=True)


class EnvironmentShown(Struct, frozen=True, rename="camel"):
    environment_id: str
    environment_name: str


class ProfileShown(Struct, frozen=True, rename="camel"):
    profile_id: str
    profile_name: str
    environments: list[EnvironmentShown]


class AppShown(Struct, frozen=True, rename="camel"):
    """An application, and its profiles with the environments one can have access to."""

    app_name: str
    profiles: list[ProfileShown]


class MyResourceShown(Struct, frozen=True, rename="camel"):
    """A resource in a profile."""

    profile_id: str
    profile_name: str
    resource_id: str
    resource_name: str


async def profiles(http: Call) -> Response:
    offers = await http.services.offers.all(http.actor)

    apps: dict[str, dict[str, ProfileShown]] = {}
    for one in offers:
        if one.inner.type == ENVIRONMENT:
            app, name = app_and_profile(one.outer)
            new = ProfileShown(goes_by(one.outer), name, [])
            profile = apps.setdefault(app, {}).setdefault(new.profile_id, new)
            profile.environments.append(EnvironmentShown(goes_by(one.inner), one.inner.name))
    return answer([AppShown(app, list(found.values())) for app, found in sorted(apps.items())])


async def my_resources(http: Call) -> Response:
    offers = await http.services.offers.all(http.actor)

    return answer(
        [
            MyResourceShown(goes_by(one.outer), app_and_profile(one.outer)[1], goes_by(one.inner), one.inner.name)
            for one in offers
            if one.inner.type not in (ENVIRONMENT, SECRET)
        ]
    )


async def ask_for_environment(http: Call) -> Response:
    return await _ask(http, http.path["environmentId"], is_environment=True)


async def ask_for_resource(http: Call) -> Response:
    return await _ask(http, http.path["resourceId"], is_environment=False)


async def _ask(http: Call, inner: str, *, is_environment: bool) -> Response:
    asked = await body(http, Asking, optional=True)
    for name, given, other in (
        ("ticketType", asked.ticket_type, asked.ticket_id),
        ("ticketId", asked.ticket_id, asked.ticket_type),
    ):
        if other and not given:
            raise no.BadReference(name, "is missing")
    thing = await http.services.offers.find(http.actor, http.path["profileId"], inner)
    if (thing.type == ENVIRONMENT) is not is_environment:
        raise no.NoSuchTarget("resource", inner)
    held = await http.services.grants.access(http.actor, http.actor.principal)
    if any(one.type == "resource" and one.id == thing.id for one in held):
        return Response(status_code=204)  # There is a valid approval: nothing need be asked.

    ticket = {"ticketId": asked.ticket_id, "ticketType": asked.ticket_type} if asked.ticket_id else {}
    done = await http.services.requests.ask(
        http.actor, AskAccess("resource", str(thing.id), asked.justification, metadata=ticket, terms=TERMS)
    )

    return answer(await approvals.show(http, done.request, done.request.created_at))
