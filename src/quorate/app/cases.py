"""All use cases of one process, as `wiring` connected them and surfaces are handed them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from quorate.app.actor import Actor
from quorate.app.audit import Audit
from quorate.app.catalogue import Groups, Resources, Roles
from quorate.app.cedar.policies import Policies
from quorate.app.challenges import Challenges
from quorate.app.credentials import Credentials
from quorate.app.cursors import Cursors
from quorate.app.defaults import ApprovalDefaults
from quorate.app.delegations import Delegations
from quorate.app.factors import Factors
from quorate.app.founding import Founding
from quorate.app.grants import Grants
from quorate.app.keyring import Keyring
from quorate.app.listing import Listing
from quorate.app.me import Me
from quorate.app.offers import Offers
from quorate.app.oidc.flow import ProviderSignIn
from quorate.app.oidc.providers import Providers
from quorate.app.operations.use import Operations
from quorate.app.panel import Panels
from quorate.app.people import Users
from quorate.app.requests import Requests
from quorate.app.search import Search
from quorate.app.services import Services as Programs
from quorate.app.sessions import Sessions
from quorate.app.signin import SignIn
from quorate.app.tenants import Tenants
from quorate.app.webhooks import Webhooks
from quorate.app.workflows import Workflows


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases, and the clock that says what a status is right now."""

    credentials: Credentials
    signin: SignIn
    sessions: Sessions
    providers: Providers
    provider_signin: ProviderSignIn
    workflows: Workflows
    requests: Requests
    challenges: Challenges
    factors: Factors
    search: Search
    listing: Listing
    operations: Operations
    panels: Panels
    grants: Grants
    policies: Policies
    webhooks: Webhooks
    users: Users
    programs: Programs
    roles: Roles
    groups: Groups
    resources: Resources
    offers: Offers
    keys: Keyring
    delegations: Delegations
    defaults: ApprovalDefaults
    audit: Audit
    me: Callable[[Actor], Awaitable[Me]]
    tenants: Tenants
    founding: Founding
    cursors: Cursors
    clock: Callable[[], datetime]
