-- What one request and one decision cost when the database does them one at a time: see limit.py.
CREATE SCHEMA IF NOT EXISTS bench;
CREATE UNLOGGED TABLE IF NOT EXISTS bench.to_decide (n int PRIMARY KEY, tenant uuid, task uuid, approver uuid);
CREATE UNLOGGED TABLE IF NOT EXISTS bench.to_ask (n int PRIMARY KEY, tenant uuid, requester uuid, thing uuid, approver uuid);

-- File a request; answers its task.
CREATE OR REPLACE FUNCTION bench.ask(of_tenant uuid, asker uuid, thing uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    person principal; wanted resource; flow workflow; made uuid := gen_random_uuid(); its_task uuid := gen_random_uuid();
    command uuid := gen_random_uuid(); now_at timestamptz := clock_timestamp(); late_at timestamptz; only_one text;
    filing jsonb; route jsonb;
BEGIN
    SELECT * INTO STRICT person FROM principal
     WHERE tenant_id = of_tenant AND id = asker AND status = 'active' AND deleted_at IS NULL;
    SELECT * INTO STRICT wanted FROM resource WHERE tenant_id = of_tenant AND id = thing AND deleted_at IS NULL;
    SELECT * INTO STRICT flow FROM workflow
     WHERE tenant_id = of_tenant AND id = wanted.workflow_id AND status = 'active' AND deleted_at IS NULL;
    PERFORM FROM group_member
      WHERE tenant_id = of_tenant AND group_id = (flow.steps #>> '{0,approvers,members,0,value}')::uuid
        AND principal_id <> asker;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nobody can decide it';
    END IF;
    only_one := format('%s:resource:%s', asker, thing);
    late_at := now_at + (flow.steps #>> '{0,timeout_s}')::int * interval '1 second';
    filing := jsonb_build_object(
        'kind', 'access', 'target', jsonb_build_object('id', thing, 'name', wanted.name, 'type', 'resource'),
        'subject', jsonb_build_object('reason', 'Quarter-end close, INC-4711', 'userId', asker), 'surface', 'native',
        'duration', jsonb_build_object('unit', 'days', 'value', 5), 'filed_by', asker, 'workflow', flow.id,
        'requester', asker, 'beneficiary', asker, 'duplicate_key', only_one,
        'justification', 'Quarter-end close, INC-4711', 'workflow_name', flow.name, 'requester_name', person.name,
        'requester_email', person.email);
    route := jsonb_build_object('steps', flow.steps);
    INSERT INTO request (tenant_id, id, kind, status, requester_id, beneficiary_id, filed_by, workflow_id, target_type,
                         target_id, duplicate_key, filing, route, progress, step_index, current_step, due_at, expires_at,
                         version, created_at, updated_at)
    VALUES (of_tenant, made, 'access', 'pending', asker, asker, asker, flow.id, 'resource', thing::text, only_one,
            filing, route,
            jsonb_build_object('walk', jsonb_build_array(jsonb_build_object(
                'index', 0, 'needs', '[1]'::jsonb, 'due_at', late_at, 'opened_at', now_at)),
                'tasks', jsonb_build_array(its_task)),
            0, 1, late_at, late_at, 2, now_at, now_at);
    INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, actor_id,
                       credential_id, surface, address, body)
    VALUES (of_tenant, 'request', made, 1, command, 0, now_at, 'Submitted', asker, made, 'native', '127.0.0.1',
            jsonb_build_object('at', now_at, 'type', 'Submitted', 'route', route, 'filing', filing)),
           (of_tenant, 'request', made, 2, command, 1, now_at, 'StepOpened', asker, made, 'native', '127.0.0.1',
            jsonb_build_object('at', now_at, 'step', 0, 'type', 'StepOpened', 'needs', '[1]'::jsonb, 'due_at', late_at));
    INSERT INTO task (tenant_id, id, request_id, step_index, status, opened_at, due_at, askers, request_created_at)
    VALUES (of_tenant, its_task, made, 0, 'open', now_at, late_at, ARRAY[asker], now_at);
    INSERT INTO inbox (tenant_id, key, task_id, request_created_at)
    VALUES (of_tenant, 'group:' || (flow.steps #>> '{0,approvers,members,0,value}'), its_task, now_at);
    INSERT INTO timer (tenant_id, kind, subject_id, due_at) VALUES (of_tenant, 'request', made, late_at);
    INSERT INTO request_count (tenant_id, status, kind, target_type, delta)
    VALUES (of_tenant, 'pending', 'access', 'resource', 1);
    RETURN its_task;
END
$$;

-- Approve in the only step of a request: it is approved, and gives access.
CREATE OR REPLACE FUNCTION bench.decide(of_tenant uuid, of_task uuid, approver uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    held request; leaf jsonb; command uuid := gen_random_uuid(); given uuid := gen_random_uuid();
    now_at timestamptz := clock_timestamp(); ends_at timestamptz; decided jsonb;
BEGIN
    SELECT r.* INTO STRICT held
      FROM task t JOIN request r ON r.tenant_id = t.tenant_id AND r.id = t.request_id
     WHERE t.tenant_id = of_tenant AND t.id = of_task
       FOR UPDATE OF r;
    IF held.status <> 'pending' OR held.due_at < now_at OR approver IN (held.requester_id, held.beneficiary_id) THEN
        RAISE EXCEPTION 'it may not be decided';
    END IF;
    leaf := held.route #> '{steps,0,approvers,members,0}';
    PERFORM FROM group_member m JOIN principal p ON p.tenant_id = m.tenant_id AND p.id = m.principal_id
      WHERE m.tenant_id = of_tenant AND m.group_id = (leaf ->> 'value')::uuid AND m.principal_id = approver
        AND p.status = 'active' AND p.deleted_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'it is not theirs to decide';
    END IF;
    ends_at := now_at + (held.filing #>> '{duration,value}')::int * interval '1 day';
    decided := jsonb_build_object('at', now_at, 'by', approver, 'note', 'Checked with the owner', 'step', 0, 'type',
                                  'Decided', 'human', approver, 'choice', 'approve', 'leaves', jsonb_build_array(leaf));
    UPDATE request
       SET status = 'approved',
           progress = jsonb_set(held.progress, '{walk,0,decisions}', jsonb_build_array(decided))
                      || jsonb_build_object('closed_by', approver, 'closing_note', 'Checked with the owner'),
           step_index = 0, current_step = 1, due_at = NULL, expires_at = NULL, closed_at = now_at, version = 4,
           updated_at = now_at
     WHERE tenant_id = of_tenant AND id = held.id;
    INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, actor_id,
                       credential_id, surface, address, body)
    VALUES (of_tenant, 'request', held.id, 3, command, 0, now_at, 'Decided', approver, given, 'native', '127.0.0.1',
            decided),
           (of_tenant, 'request', held.id, 4, command, 1, now_at, 'Closed', approver, given, 'native', '127.0.0.1',
            jsonb_build_object('at', now_at, 'by', approver, 'note', 'Checked with the owner', 'type', 'Closed',
                               'cause', 'decision', 'status', 'approved'));
    UPDATE task SET status = 'approved', closed_to = ARRAY[approver] WHERE tenant_id = of_tenant AND id = of_task;
    DELETE FROM inbox WHERE tenant_id = of_tenant AND task_id = of_task;
    INSERT INTO past_approver (tenant_id, person_id, has_acted, request_created_at, request_id)
    VALUES (of_tenant, approver, true, held.created_at, held.id)
    ON CONFLICT DO NOTHING;
    DELETE FROM timer WHERE tenant_id = of_tenant AND kind = 'request' AND subject_id = held.id;
    INSERT INTO request_count (tenant_id, status, kind, target_type, delta)
    VALUES (of_tenant, 'pending', 'access', 'resource', -1), (of_tenant, 'approved', 'access', 'resource', 1);
    INSERT INTO access_grant (tenant_id, id, request_id, principal_id, target_type, target_id, target_name, starts_at,
                              ends_at)
    VALUES (of_tenant, given, held.id, held.beneficiary_id, 'resource', held.target_id::uuid,
            held.filing #>> '{target,name}', now_at, ends_at);
    INSERT INTO timer (tenant_id, kind, subject_id, due_at) VALUES (of_tenant, 'grant', given, ends_at);
    INSERT INTO event (tenant_id, subject_kind, subject_id, seq, command_id, command_seq, at, type, actor_id, surface,
                       body)
    VALUES (of_tenant, 'grant', given, 1, gen_random_uuid(), 0, now_at, 'Granted', approver, 'native',
            jsonb_build_object('at', now_at, 'type', 'Granted', 'grant', jsonb_build_object(
                'id', given, 'holder', held.beneficiary_id, 'reason', NULL, 'target', held.filing -> 'target',
                'tenant', of_tenant, 'ends_at', ends_at, 'request', held.id, 'told_at', NULL, 'version', 1,
                'starts_at', now_at, 'revoked_at', NULL, 'revoked_by', NULL)));
END
$$;
