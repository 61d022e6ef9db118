"""An approval in its two shapes. Source: SailPoint contract §4, objects; §9 row 6: what is not there is left out."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

Text = str | UnsetType


class Said(Struct, frozen=True):
    """A text in a language."""

    value: str
    locale: str = "en-US"


class Identity(Struct, frozen=True):
    """Somebody, in the first shape."""

    id: str
    type: str
    name: Text = UNSET


class Reference(Struct, frozen=True):
    id: str
    type: str
    name: Text = UNSET


class Batch(Struct, frozen=True, rename="camel"):
    batch_id: str
    batch_size: int


class Remark(Struct, frozen=True, rename="camel"):
    """A comment, in the first shape."""

    author: Identity
    comment: str
    created_date: str


class First(Struct, frozen=True, kw_only=True, rename="camel"):
    """The first shape."""

    approval_id: str
    approvers: list[Identity]
    created_date: str
    type: str
    name: list[Said]
    batch_request: Batch | UnsetType = UNSET
    description: list[Said]
    priority: str
    requester: Identity | UnsetType = UNSET
    comments: list[Remark]
    approved_by: list[Identity]
    rejected_by: list[Identity]
    completed_date: Text = UNSET
    approval_criteria: str
    status: str
    additional_attributes: str
    reference_data: list[Reference]


class Person(Struct, frozen=True, rename="camel"):
    """Somebody, in the current shape."""

    identity_id: str = field(name="identityID")
    type: str
    name: Text = UNSET
    email: Text = UNSET
    serial_order: int | UnsetType = UNSET


class Decider(Struct, frozen=True, rename="camel"):
    """Who has decided, and as what."""

    identity_id: str = field(name="identityID")
    type: str
    decision_date: Text = UNSET
    name: Text = UNSET
    email: Text = UNSET
    actioned_as: list[Reference] = []
    members: list[Reference] = []


class Comment(Struct, frozen=True, rename="camel"):
    author: Person
    comment: str
    created_date: str
    comment_id: str


class Reassignment(Struct, frozen=True, rename="camel"):
    comment_id: str = field(name="commentID")
    reassignment_date: str
    reassignment_type: str
    reassigned_from: Person | UnsetType = UNSET
    reassigned_to: Person | UnsetType = UNSET
    reassigner: Person | UnsetType = UNSET


class Calculation(Struct, frozen=True, rename="camel"):
    calculation_type: str
    value: int


class Criteria(Struct, frozen=True):
    type: str
    approval: Calculation
    rejection: Calculation


class Target(Struct, frozen=True, rename="camel"):
    id: str
    name: str
    target_type: str
    request_type: str
    reauth_required: bool


class Current(Struct, frozen=True, kw_only=True, rename="camel"):
    """The current shape. Lists leave out what they were not asked for."""

    id: str
    tenant_id: str
    type: str
    status: str
    created_date: str
    modified_date: str
    due_date: Text = UNSET
    completed_date: Text = UNSET
    escalation_step: str
    serial_step: int
    is_escalated: bool
    name: list[Said]
    description: list[Said]
    priority: str
    approvers: list[Person] | UnsetType = UNSET
    assigned_to: list[Person]
    requester: Person | UnsetType = UNSET
    requestee: Person | UnsetType = UNSET
    approved_by: list[Decider]
    rejected_by: list[Decider]
    comments: list[Comment] | UnsetType = UNSET
    batch_request: Batch | UnsetType = UNSET
    approval_config: dict[str, Any] | UnsetType = UNSET
    approval_criteria: Criteria
    additional_attributes: str
    reference_data: list[Reference]
    reassignment_history: list[Reassignment] | UnsetType = UNSET
    static_attributes: dict[str, Any] | UnsetType = UNSET
    requested_target: list[Target]
