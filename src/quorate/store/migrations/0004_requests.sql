-- The aggregate, what approvers see of it, its history, and what time and the world are owed because of it.
--
-- A decision that leaves a request open changes no indexed column, and a page keeps room for the new row version,
-- so that such an update touches no index at all.
--
-- A foreign key was measured at 10 to 18 µs where the row with all its indexes takes 55, and one to a workflow makes
-- everybody who files lock the same row. Two are worth it, to the people who may not decide. Whoever filed it and the
-- workflow are read in the same transaction and can never be removed: no program has the right to delete them.
CREATE TABLE request (
    tenant_id      uuid        NOT NULL,
    id             uuid        NOT NULL,
    kind           text        NOT NULL CONSTRAINT a_request_asks_for_access_an_operation_or_neither
                               CHECK (kind IN ('access', 'operation', 'generic')),
    status         text        NOT NULL CONSTRAINT the_states_of_a_request
                               CHECK (status IN ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
    requester_id   uuid,
    beneficiary_id uuid,
    filed_by       uuid        NOT NULL,
    workflow_id    uuid,
    target_type    text,
    target_id      text,
    duplicate_key  text,
    filing         jsonb       NOT NULL,
    route          jsonb       NOT NULL,
    progress       jsonb       NOT NULL,
    step_index     int         NOT NULL,
    current_step   int,
    due_at         timestamptz,
    expires_at     timestamptz,
    closed_at      timestamptz,
    version        int         NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT request_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT the_requester_exists FOREIGN KEY (tenant_id, requester_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT the_beneficiary_exists FOREIGN KEY (tenant_id, beneficiary_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT access_is_access_to_something CHECK (kind <> 'access' OR (target_type IS NOT NULL AND target_id IS NOT NULL)),
    CONSTRAINT access_is_for_somebody
        CHECK (kind <> 'access' OR (requester_id IS NOT NULL AND beneficiary_id IS NOT NULL)),
    CONSTRAINT a_request_is_closed_once_it_is_final CHECK ((status = 'pending') = (closed_at IS NULL)),
    CONSTRAINT time_does_nothing_to_a_closed_request CHECK (status = 'pending' OR due_at IS NULL)
) WITH (fillfactor = 80);
-- One open request per person and resource; the native API answers 409 CONFLICT to a second.
CREATE UNIQUE INDEX one_pending_per_resource ON request (tenant_id, duplicate_key) WHERE status = 'pending';
-- May this workflow be deleted? Not while one of these is there.
CREATE INDEX pending_of_workflow ON request (tenant_id, workflow_id) WHERE status = 'pending';
CREATE INDEX request_newest_first ON request (tenant_id, created_at DESC, id DESC);
CREATE INDEX request_by_requester ON request (tenant_id, requester_id, created_at DESC, id DESC);
CREATE INDEX request_by_status ON request (tenant_id, status, created_at DESC, id DESC);
CREATE INDEX request_by_target_type ON request (tenant_id, target_type, created_at DESC, id DESC);
CREATE INDEX request_by_workflow ON request (tenant_id, workflow_id, created_at DESC, id DESC);
CALL keep_tenants_apart('request');

CREATE TABLE task (
    tenant_id          uuid        NOT NULL,
    id                 uuid        NOT NULL,
    request_id         uuid        NOT NULL,
    step_index         int         NOT NULL,
    status             text        NOT NULL CONSTRAINT the_states_of_a_task
                                   CHECK (status IN ('open', 'approved', 'rejected', 'closed', 'expired')),
    opened_at          timestamptz NOT NULL,
    due_at             timestamptz,
    askers             uuid[]      NOT NULL DEFAULT '{}',
    closed_to          uuid[]      NOT NULL DEFAULT '{}',
    request_created_at timestamptz NOT NULL,
    CONSTRAINT task_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_task_per_step UNIQUE (tenant_id, request_id, step_index),
    CONSTRAINT the_request_exists FOREIGN KEY (tenant_id, request_id) REFERENCES request (tenant_id, id)
) WITH (fillfactor = 80);
CALL keep_tenants_apart('task');

-- Open tasks by whose they may be: user:<id>, service:<id>, group:<id>, role:<name>, holder:<permission>,
-- manager:<beneficiary id>; with fallback: before it where they joined because nobody could decide. Written and
-- removed with the task, in one statement, so no foreign key is paid for.
CREATE TABLE inbox (
    tenant_id          uuid        NOT NULL,
    key                text        NOT NULL,
    task_id            uuid        NOT NULL,
    request_created_at timestamptz NOT NULL,
    CONSTRAINT inbox_key PRIMARY KEY (tenant_id, key, task_id)
);
CREATE INDEX inbox_newest_first ON inbox (tenant_id, key, request_created_at DESC, task_id DESC);
CREATE INDEX inbox_by_task ON inbox (tenant_id, task_id);
CALL keep_tenants_apart('inbox');

-- Everything that happens, to requests and to the directory alike. `id` is the order in which rows were written.
CREATE TABLE event (
    tenant_id     uuid        NOT NULL,
    subject_kind  text        NOT NULL,
    subject_id    uuid        NOT NULL,
    seq           int         NOT NULL,
    id            bigint      GENERATED ALWAYS AS IDENTITY,
    command_id    uuid        NOT NULL,
    command_seq   int         NOT NULL,
    at            timestamptz NOT NULL,
    type          text        NOT NULL,
    actor_id      uuid,
    credential_id uuid,
    surface       text,
    address       text,
    body          jsonb       NOT NULL,
    CONSTRAINT event_key PRIMARY KEY (tenant_id, subject_kind, subject_id, seq),
    CONSTRAINT a_command_is_recorded_once UNIQUE (tenant_id, command_id, command_seq)
);
CREATE INDEX event_in_order ON event (tenant_id, id);
CREATE INDEX event_newest_first ON event (tenant_id, at DESC, id DESC);
CALL keep_tenants_apart('event');

-- What an Idempotency-Key was answered.
CREATE TABLE replay (
    tenant_id   uuid        NOT NULL,
    caller_id   uuid        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    answer      jsonb       NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT one_answer_per_idempotency_key PRIMARY KEY (tenant_id, caller_id, key)
);
CREATE INDEX replay_oldest_first ON replay (created_at);
CALL keep_tenants_apart('replay');

CREATE TABLE timer (
    tenant_id  uuid        NOT NULL,
    kind       text        NOT NULL,
    subject_id uuid        NOT NULL,
    due_at     timestamptz NOT NULL,
    CONSTRAINT one_timer_per_subject PRIMARY KEY (tenant_id, kind, subject_id)
);
CREATE INDEX timer_due ON timer (kind, due_at, tenant_id);
CALL keep_tenants_apart('timer');

CREATE TABLE outbox (
    tenant_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    kind         text        NOT NULL,
    subject_kind text        NOT NULL,
    subject_id   uuid        NOT NULL,
    event_type   text        NOT NULL,
    body         jsonb       NOT NULL,
    due_at       timestamptz NOT NULL,
    attempts     int         NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    sent_at      timestamptz,
    dead_at      timestamptz,
    CONSTRAINT outbox_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT a_message_is_not_both_sent_and_dead CHECK (sent_at IS NULL OR dead_at IS NULL)
);
CREATE INDEX outbox_due ON outbox (due_at, tenant_id) WHERE sent_at IS NULL AND dead_at IS NULL;
CALL keep_tenants_apart('outbox');

-- How many requests there are, as differences: nobody waits for anybody to count. '' is the type of what has none.
CREATE TABLE request_count (
    tenant_id   uuid        NOT NULL,
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    status      text        NOT NULL,
    kind        text        NOT NULL,
    target_type text        NOT NULL DEFAULT '',
    delta       int         NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT request_count_key PRIMARY KEY (tenant_id, id)
);
CREATE INDEX request_count_by_what ON request_count (tenant_id, status, kind, target_type) INCLUDE (delta);
CALL keep_tenants_apart('request_count');

-- Replace the differences of one tenant by their sums, where there is more than one to add up. One statement, so
-- that whoever counts meanwhile sees either all of the old rows or the new one. Answers how many rows it spared.
CREATE FUNCTION fold_request_count(of_tenant uuid) RETURNS bigint LANGUAGE sql AS $$
    WITH crowded AS (
        SELECT status, kind, target_type
          FROM request_count
         WHERE tenant_id = of_tenant
         GROUP BY status, kind, target_type
        HAVING count(*) > 1
    ), taken AS (
        DELETE FROM request_count
         WHERE tenant_id = of_tenant AND (status, kind, target_type) IN (SELECT status, kind, target_type FROM crowded)
        RETURNING status, kind, target_type, delta
    ), put AS (
        INSERT INTO request_count (tenant_id, status, kind, target_type, delta)
        SELECT of_tenant, status, kind, target_type, sum(delta)
          FROM taken
         GROUP BY status, kind, target_type
        HAVING sum(delta) <> 0
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM taken) - (SELECT count(*) FROM put)
$$;
REVOKE ALL ON FUNCTION fold_request_count FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_request_count TO quorate_worker;

-- What was asked and the route it walks are frozen: nobody but the owner may change those columns.
GRANT SELECT, INSERT, UPDATE (status, progress, step_index, current_step, due_at, expires_at, closed_at, version, updated_at)
    ON request TO quorate_server, quorate_worker;
GRANT SELECT, INSERT, UPDATE (status, due_at, closed_to) ON task TO quorate_server, quorate_worker;
GRANT SELECT, INSERT, DELETE ON inbox TO quorate_server, quorate_worker;
GRANT SELECT, INSERT ON event TO quorate_server, quorate_worker;
GRANT SELECT, INSERT ON request_count TO quorate_server, quorate_worker;
GRANT SELECT, INSERT, UPDATE (fingerprint, answer, created_at) ON replay TO quorate_server, quorate_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON timer TO quorate_server, quorate_worker;
GRANT SELECT, INSERT ON outbox TO quorate_server, quorate_worker;

GRANT UPDATE (due_at, attempts, sent_at, dead_at), DELETE ON outbox TO quorate_worker;
GRANT DELETE ON replay, request_count TO quorate_worker;
