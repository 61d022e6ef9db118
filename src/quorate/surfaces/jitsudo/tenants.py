"""New tenants, made for the operator. Source: JITSudo contract b.8."""

from msgspec import Struct
from starlette.responses import Response

from quorate.app.founding import NewTenant
from quorate.surfaces.http.answering import answer, moment
from quorate.surfaces.http.reading import body
from quorate.surfaces.jitsudo import reading as given
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.services import Call


class TenantShown(Struct, frozen=True):
    """A new tenant. `owner_api_key` is how its owner begins; nobody is shown it again."""

    id: shown.Id
    name: str
    slug: str
    owner_id: shown.Id
    owner_email: str
    owner_name: str
    owner_api_key: str
    locale: str | None
    sso_start_url: str | None
    sso_region: str | None
    created_at: shown.Moment
    updated_at: shown.Moment


async def create(http: Call) -> Response:
    asked = await body(http, given.NewTenant)
    kept = {"locale": asked.locale, "ssoStartUrl": asked.sso_start_url, "ssoRegion": asked.sso_region}

    made = await http.services.founding.found(
        http.actor,
        NewTenant(
            slug=asked.slug,
            name=asked.name.strip(),
            owner_login=asked.owner_email,
            owner_name=(asked.owner_name or asked.owner_email).strip(),
            jitsudo={key: value for key, value in kept.items() if value is not None},
        ),
    )

    return answer(
        TenantShown(
            id=str(made.tenant.id),
            name=made.tenant.name,
            slug=made.tenant.slug,
            owner_id=str(made.owner),
            owner_email=asked.owner_email,
            owner_name=(asked.owner_name or asked.owner_email).strip(),
            owner_api_key=made.secret,
            locale=asked.locale,
            sso_start_url=asked.sso_start_url,
            sso_region=asked.sso_region,
            created_at=moment(made.tenant.created_at),
            updated_at=moment(made.tenant.updated_at),
        ),
        201,
    )
