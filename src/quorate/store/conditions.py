"""Conditions as SQL, about the row `r` of `request`. Each part is true or false, never null."""

from collections.abc import Mapping, Sequence
from typing import assert_never
from uuid import UUID

from msgspec import Struct

from quorate.domain.conditions import DEFAULT_PRIORITY, Compare, Condition, Detail, Every, Field, Not, Of, Says, Some
from quorate.store.bound import Bound, Way


class Person(Struct, frozen=True):
    """Somebody whom a list asks about: the account, the human being behind it, and which open tasks may be theirs."""

    id: UUID
    human: UUID
    ways: tuple[Way, ...] = ()


People = Mapping[UUID, Person]

_MOMENTS = {Field.CREATED_AT: "created_at", Field.UPDATED_AT: "updated_at", Field.DUE_AT: "due_at"}
_TEXTS = {
    Field.ID: "r.id::text",
    Field.KIND: "r.kind",
    Field.TITLE: "coalesce(r.filing #>> '{details,title}', r.filing #>> '{target,name}', r.filing ->> 'workflow_name')",
    Field.DESCRIPTION: "coalesce(r.filing #>> '{details,description}', r.filing ->> 'justification')",
    Field.PRIORITY: f"coalesce(r.filing #>> '{{details,priority}}', '{DEFAULT_PRIORITY}')",
    Field.REQUESTER: "r.requester_id::text",
    Field.BENEFICIARY: "r.beneficiary_id::text",
    Field.TARGET_TYPE: "r.target_type",
    Field.TARGET_ID: "r.target_id",
    Field.TARGET_NAME: "r.filing #>> '{target,name}'",
    Field.TARGET_OWN_TYPE: "r.filing #>> '{target,own_type}'",
    Field.TARGET_WITHIN: "r.filing #>> '{target,within}'",
    Field.TARGET_WITHIN_NAME: "r.filing #>> '{target,within_name}'",
    Field.TARGET_PATH: """concat_ws('/', r.filing #>> '{target,within}',
                                    coalesce(r.filing #>> '{target,external_id}', r.target_id))""",
    Field.REQUESTER_LOGIN: """(SELECT coalesce(p.login, p.name) FROM principal p
                                WHERE p.tenant_id = r.tenant_id AND p.id = r.requester_id)""",
    Field.JUSTIFICATION: "r.filing ->> 'justification'",
    Field.WAIVED: "r.filing ->> 'waived'",
    Field.TRACKING: "'REQ-' || (r.filing ->> 'number')",
}
_DECIDED_AT = "SELECT (made #>> '{}')::timestamptz FROM jsonb_path_query(r.progress, '$.walk[*].decisions[*].at') made"


def shown_status(bound: Bound) -> str:
    """Give the status shown now."""
    return f"CASE WHEN r.status = 'pending' AND r.expires_at <= {bound.moment()} THEN 'expired' ELSE r.status END"


def text_of(field: Field, bound: Bound) -> str:
    """Give a field as it is compared and sorted."""
    if field.is_moment:
        return _moment(field, bound)
    match field:
        case Field.STATUS:
            return shown_status(bound)
        case Field.ACCESS:
            return _access(bound)
        case _:
            return _TEXTS[field]


def _access(bound: Bound) -> str:
    """Give what has become by now of the access that was given."""
    return f"""
        (SELECT CASE WHEN g.revoked_at <= {bound.moment()} THEN 'revoked'
                     WHEN g.ends_at <= {bound.moment()} THEN 'expired' ELSE 'active' END
           FROM access_grant g WHERE g.tenant_id = r.tenant_id AND g.request_id = r.id)
    """


def sort_key(field: Field, bound: Bound) -> str:
    """Give what a field is sorted by: texts without regard to case, a low priority before a high one."""
    text = text_of(field, bound)
    if field is Field.PRIORITY:
        return f"array_position(ARRAY['low', 'medium', 'high'], lower({text}))"
    return text if field.is_moment else f"lower({text})"


def holds(condition: Condition, people: People, bound: Bound) -> str:
    """Say that a condition holds of `r`. `people`: those it asks about, by the id it knows them by."""
    match condition:
        case Every(members):
            return f"({' AND '.join(holds(one, people, bound) for one in members) or 'true'})"
        case Some(members):
            return f"({' OR '.join(holds(one, people, bound) for one in members) or 'false'})"
        case Not(member):
            return f"NOT {holds(member, people, bound)}"
        case Of(party, person):
            assert person is not None, "whoever asks was named before"
            return f"({' OR '.join(has_to_do(party.value, people[person], bound))})"
        case Says():
            return _test(condition, bound)
        case _:
            assert_never(condition)


def has_to_do(party: str, person: Person, bound: Bound) -> list[str]:
    """Say what somebody can have to do with `r` for this, one way each."""
    match party:
        case "requester":
            return [f"coalesce(r.requester_id = {bound(person.id, 'uuid')}, false)"]
        case "beneficiary":
            return [f"coalesce(r.beneficiary_id = {bound(person.id, 'uuid')}, false)"]
        case "can_decide":
            return [_can_decide(way, bound) for way in person.ways] or ["false"]
        case "approver":
            was = """EXISTS (SELECT FROM past_approver p
                              WHERE p.tenant_id = $1 AND p.person_id = {} AND p.has_acted = {}
                                AND p.request_created_at = r.created_at AND p.request_id = r.id)"""
            acted = was.format(bound(person.human, "uuid"), "true")
            late = was_named(person.id, bound)
            return [*has_to_do("can_decide", person, bound), late, acted, was.format(bound(person.id, "uuid"), "false")]
        case _:
            every = ("requester", "beneficiary", "approver")
            return [way for one in every for way in has_to_do(one, person, bound)]


def was_named(person: UUID, bound: Bound) -> str:
    """Say that time has ended `r`, as nobody has written yet, while somebody was named for it as user or service."""
    keys = [f"user:{person}", f"service:{person}"]
    return f"""
        (r.status = 'pending' AND r.expires_at <= {bound.moment()} AND EXISTS (
            SELECT FROM task t JOIN inbox i ON i.tenant_id = t.tenant_id AND i.task_id = t.id
             WHERE t.tenant_id = $1 AND t.request_id = r.id AND i.key = ANY ({bound(keys, "text[]")})))
    """


def _can_decide(way: Way, bound: Bound) -> str:
    return f"""
        (r.status = 'pending' AND (r.expires_at IS NULL OR r.expires_at > {bound.moment()}) AND EXISTS (
            SELECT FROM task t JOIN inbox i ON i.tenant_id = t.tenant_id AND i.task_id = t.id
             WHERE t.tenant_id = $1 AND t.request_id = r.id AND i.key = ANY ({bound(list(way.keys), "text[]")})
               AND {is_open_to(way, bound)}))
    """


def is_open_to(way: Way, bound: Bound) -> str:
    """Say that the task `t` is open to those who come this way."""
    barred = f" AND NOT t.askers && {bound(list(way.barred), 'uuid[]')}" if way.barred else ""
    return f"NOT t.closed_to && {bound(list(way.shut), 'uuid[]')}{barred}"


def _test(test: Says, bound: Bound) -> str:
    if isinstance(test.field, Detail):
        values = f"SELECT v #>> '{{}}' FROM jsonb_path_query(r.filing -> 'details', {_path(test.field, bound)}) v"
        return f"EXISTS (SELECT FROM ({values}) AS found (one) WHERE {_compare('one', test, bound)})"
    if test.field is Field.DECIDED_AT:
        return f"EXISTS (SELECT FROM ({_DECIDED_AT}) AS found (one) WHERE {_compare('one', test, bound)})"
    return f"coalesce({_compare(text_of(test.field, bound), test, bound)}, false)"


def _path(detail: Detail, bound: Bound) -> str:
    """Bind a JSON path; lax, so that it goes into lists by itself."""
    return bound("$" + "".join(f'."{name}"' for name in detail.path), "jsonpath")


def _compare(what: str, test: Says, bound: Bound) -> str:
    if test.compare is Compare.PRESENT:
        return f"{what} IS NOT NULL"
    is_moment = isinstance(test.field, Field) and test.field.is_moment
    if is_moment and test.compare in (Compare.CONTAINS, Compare.STARTS):
        what = f"""to_char({what} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    elif is_moment:
        operator, kind, what = test.compare.value, "timestamptz", f"date_trunc('milliseconds', {what})"
        parts = [f"{what} {operator} {bound(value, kind)}" for value in test.values]
        return " AND ".join(parts) if test.compare is Compare.DIFFERS else _any(parts)
    what = f"lower({what})"
    match test.compare:
        case Compare.EQUAL:
            return f"{what} = ANY ({bound([str(value).lower() for value in test.values], 'text[]')})"
        case Compare.DIFFERS:
            return f"{what} <> ALL ({bound([str(value).lower() for value in test.values], 'text[]')})"
        case Compare.CONTAINS:
            return _any([f"position({_lower(value, bound)} IN {what}) > 0" for value in test.values])
        case Compare.STARTS:
            return _any([f"starts_with({what}, {_lower(value, bound)})" for value in test.values])
        case other:
            return _any([f"{what} {other.value} {_lower(value, bound)}" for value in test.values])


def _any(parts: Sequence[str]) -> str:
    return f"({' OR '.join(parts) or 'false'})"


def _lower(value: object, bound: Bound) -> str:
    return f"lower({bound(str(value), 'text')})"


def _moment(field: Field, bound: Bound) -> str:
    if field is Field.CLOSED_AT:  # What time has ended was ended at that moment, written or not.
        is_late = f"r.status = 'pending' AND r.expires_at <= {bound.moment()}"
        return f"CASE WHEN {is_late} THEN r.expires_at ELSE r.closed_at END"
    return f"r.{_MOMENTS[field]}"
