-- Whom a request has been in the hands of: who has used or given away a say in it (`has_acted`), and whom a step that
-- is over named as user or service. Written by the door; who can decide now stands in the inbox.
--
-- No foreign keys, as for the inbox: its writer holds the request.
CREATE TABLE past_approver (
    tenant_id          uuid        NOT NULL,
    person_id          uuid        NOT NULL,
    has_acted          boolean     NOT NULL,
    request_created_at timestamptz NOT NULL,
    request_id         uuid        NOT NULL,
    CONSTRAINT past_approver_key PRIMARY KEY (tenant_id, person_id, has_acted, request_created_at, request_id)
);
CALL keep_tenants_apart('past_approver');
GRANT SELECT, INSERT ON past_approver TO quorate_server, quorate_worker;

-- Mostly people ask for themselves, and are found as requesters.
CREATE INDEX request_for_another ON request (tenant_id, beneficiary_id, created_at DESC, id DESC)
    WHERE beneficiary_id IS DISTINCT FROM requester_id;

-- Those who have acted so far. Row security holds the owner too, so the tenants that are there already are named first.
SELECT set_config('quorate.tenants', (SELECT coalesce(array_agg(id), '{}')::text FROM tenant), true);
INSERT INTO past_approver (tenant_id, person_id, has_acted, request_created_at, request_id)
SELECT tenant_id, (who #>> '{}')::uuid, true, created_at, id
  FROM request,
       LATERAL (SELECT jsonb_path_query(progress, '$.walk[*].decisions[*].human')
                UNION SELECT jsonb_path_query(progress, '$.walk[*].decisions[*].on_behalf_of')
                UNION SELECT jsonb_path_query(progress, '$.walk[*].excluded[*]')) AS found (who);
