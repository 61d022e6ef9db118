-- What became of an approved operation. It is made by the approval, in the same transaction.
CREATE TABLE execution (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL,
    request_id uuid        NOT NULL,
    state      text        NOT NULL CONSTRAINT the_states_of_an_execution
                           CHECK (state IN ('waiting', 'running', 'succeeded', 'failed', 'unknown')),
    attempts   int         NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at   timestamptz,
    status     int,   -- The HTTP status it produced.
    failure    text,  -- A sentence that says why there is none, or that its result was not kept.
    result     bytea, -- What it answered, as JSON, sealed: it may hold a new key.
    viewed_at  timestamptz,
    CONSTRAINT execution_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT an_operation_is_carried_out_once UNIQUE (tenant_id, request_id),
    CONSTRAINT the_request_of_an_execution_exists
        FOREIGN KEY (tenant_id, request_id) REFERENCES request (tenant_id, id),
    CONSTRAINT an_execution_that_has_ended_says_when
        CHECK ((state IN ('succeeded', 'failed', 'unknown')) = (ended_at IS NOT NULL)),
    CONSTRAINT an_http_status_has_three_digits CHECK (status BETWEEN 100 AND 999),
    CONSTRAINT a_result_is_bounded CHECK (octet_length(result) <= 2100000)
);
CALL keep_tenants_apart('execution');

GRANT SELECT, INSERT, UPDATE (state, attempts, started_at, ended_at, status, failure, result, viewed_at)
    ON execution TO quorate_server, quorate_worker;
