"""One row of every table, for tests that must hold of all tables alike."""

from uuid import UUID, uuid4

from quorate.store.database import Tx

# In an order that satisfies foreign keys. $1 is the tenant; $2 to $4 are ids, made anew for each tenant.
SPECIMENS = {
    "workflow": """INSERT INTO workflow (tenant_id, id, name, status, steps, created_at, updated_at)
                   VALUES ($1, $2, 'w', 'active', '[]', now(), now())""",
    "approval_default": """INSERT INTO approval_default (tenant_id, scope, subject, defaults, shown, updated_at)
                           VALUES ($1, 'type', 'access', '{}', '{}', now())""",
    "identity_provider": """INSERT INTO identity_provider (tenant_id, issuer, client_id, scopes, stamp,
                                                           created_at, updated_at)
                            VALUES ($1, 'https://' || $2, 'c', '{openid}', $2, now(), now())""",
    "taken_sign_in": "INSERT INTO taken_sign_in (tenant_id, id, expires_at) VALUES ($1, $2, now())",
    "policy": """INSERT INTO policy (tenant_id, id, name, enabled, body, created_at, updated_at)
                 VALUES ($1, $2, 'p', true, '{}', now(), now())""",
    "principal": """INSERT INTO principal (tenant_id, id, kind, login, name, created_at, updated_at)
                    VALUES ($1, $3, 'user', 'ana', 'Ana', now(), now()),
                           ($1, $4, 'user', 'ben', 'Ben', now(), now())""",
    "role": "INSERT INTO role (tenant_id, id, name, created_at, updated_at) VALUES ($1, $2, 'r', now(), now())",
    "role_member": "INSERT INTO role_member (tenant_id, role_id, principal_id) VALUES ($1, $2, $3)",
    "user_group": """INSERT INTO user_group (tenant_id, id, name, created_at, updated_at)
                     VALUES ($1, $2, 'g', now(), now())""",
    "group_member": "INSERT INTO group_member (tenant_id, group_id, principal_id) VALUES ($1, $2, $3)",
    "resource": """INSERT INTO resource (tenant_id, id, type, name, created_at, updated_at)
                   VALUES ($1, $2, 'db', 'prod', now(), now())""",
    "credential": """INSERT INTO credential (tenant_id, id, principal_id, kind, secret_hash, created_at)
                     VALUES ($1, $2, $3, 'key', sha256($2::text::bytea), now())""",
    "session": """INSERT INTO session (tenant_id, id, principal_id, secret_hash, password_stamp, created_at, expires_at)
                  VALUES ($1, $2, $3, sha256(''), $2, now(), now())""",
    "challenge": """INSERT INTO challenge (tenant_id, principal_id, purpose, subject_id, random, snapshot, expires_at)
                    VALUES ($1, $3, 'decide', $2, '', '', now())""",
    "recovery_code": """INSERT INTO recovery_code (tenant_id, principal_id, code_hash, created_at)
                        VALUES ($1, $3, sha256(''), now())""",
    "wrong_try": """INSERT INTO wrong_try (tenant_id, what, subject_id, tries, at)
                    VALUES ($1, 'evidence', $3, 1, now())""",
    "request_number": "INSERT INTO request_number (tenant_id, next) VALUES ($1, 1)",
    "delegation": """INSERT INTO delegation (tenant_id, id, from_id, to_id, starts_at, ends_at, created_at)
                     VALUES ($1, $2, $3, $4, now(), now() + interval '1 day', now())""",
    "operation": """INSERT INTO operation (tenant_id, id, method, path, workflow_id, execute, created_at, updated_at)
                    VALUES ($1, $2, 'POST', 'x', $2, '{}', now(), now())""",
    "request": """INSERT INTO request (tenant_id, id, kind, status, requester_id, beneficiary_id, filed_by, workflow_id,
                                       duplicate_key, filing, route, progress, step_index, version,
                                       created_at, updated_at)
                  VALUES ($1, $2, 'generic', 'pending', $3, $3, $3, $2, 'd', '{}', '[]', '{}', 0, 1, now(), now())""",
    "task": """INSERT INTO task (tenant_id, id, request_id, step_index, status, opened_at, request_created_at)
               VALUES ($1, $2, $2, 0, 'open', now(), now())""",
    "inbox": "INSERT INTO inbox (tenant_id, key, task_id, request_created_at) VALUES ($1, 'user:' || $3, $2, now())",
    "past_approver": """INSERT INTO past_approver (tenant_id, person_id, has_acted, request_created_at, request_id)
                        VALUES ($1, $3, true, now(), $2)""",
    "event": """INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, body)
                VALUES ($1, 'request', $2, 1, $2, 0, now(), 'submitted', '{}')""",
    "replay": """INSERT INTO replay (tenant_id, caller_id, key, fingerprint, answer, created_at)
                 VALUES ($1, $3, 'k', '', '{}', now())""",
    "timer": "INSERT INTO timer (tenant_id, kind, subject_id, due_at) VALUES ($1, 'step', $2, now())",
    "webhook": """INSERT INTO webhook (tenant_id, id, name, url, events, sealed, created_at)
                  VALUES ($1, $2, 'h', 'https://hooks.example/', '{*}', '', now())""",
    "outbox": """INSERT INTO outbox (tenant_id, id, kind, subject_kind, subject_id, event_type, body,
                                     due_at, created_at, webhook_id)
                 VALUES ($1, $2, 'webhook', 'request', $2, 'closed', '{}', now(), now(), $2)""",
    "delivery_attempt": """INSERT INTO delivery_attempt (tenant_id, message_id, at, took_ms, status)
                           VALUES ($1, $2, now(), 12, 204)""",
    "access_grant": """INSERT INTO access_grant (tenant_id, id, request_id, principal_id, target_type, target_id,
                                              target_name, starts_at)
                       VALUES ($1, $2, $2, $3, 'role', $2, 'r', now())""",
    "execution": """INSERT INTO execution (tenant_id, id, request_id, state, created_at)
                    VALUES ($1, $2, $2, 'waiting', now())""",
    "request_count": """INSERT INTO request_count (tenant_id, status, kind, delta)
                        VALUES ($1, 'pending', 'generic', 1)""",
}


async def one_of_each(tx: Tx, tenant: UUID) -> dict[str, UUID]:
    """Insert one row into every table; answers the ids by what they stand for."""
    thing, ana, ben = uuid4(), uuid4(), uuid4()
    for sql in SPECIMENS.values():
        places = {"$1": tenant, "$2": thing, "$3": ana, "$4": ben}
        for place, value in places.items():
            sql = sql.replace(place, f"'{value}'::uuid")
        await tx.run(sql)
    return {"thing": thing, "ana": ana, "ben": ben}
