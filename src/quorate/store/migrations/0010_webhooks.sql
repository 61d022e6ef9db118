-- Who outside wants to hear, and what became of every attempt to tell them.

-- Disabled: its receiver answered 410 and is not called again. The secret is sealed (AES-256-GCM) under a key that is
-- not in this database.
CREATE TABLE webhook (
    tenant_id    uuid        NOT NULL REFERENCES tenant (id),
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    url          text        NOT NULL,
    events       text[]      NOT NULL CONSTRAINT a_webhook_hears_something CHECK (cardinality(events) > 0),
    sealed       bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    disabled_at  timestamptz,
    disabled_why text,
    CONSTRAINT webhook_key PRIMARY KEY (tenant_id, id)
);
CALL keep_tenants_apart('webhook');

-- Whom a message is for, and since when it has been tried: the span after which it is given up counts from there.
-- No foreign key: whoever decides a request would hold the webhook's row. A message whose webhook is gone is buried.
ALTER TABLE outbox
    ADD COLUMN webhook_id uuid,
    ADD COLUMN tried_since timestamptz,
    ADD CONSTRAINT a_webhook_message_names_its_webhook CHECK (kind <> 'webhook' OR webhook_id IS NOT NULL);
CREATE INDEX outbox_of_webhook ON outbox (tenant_id, webhook_id, created_at DESC, id DESC)
    WHERE webhook_id IS NOT NULL;
CREATE INDEX outbox_due_of_webhook ON outbox (tenant_id, webhook_id, due_at)
    WHERE webhook_id IS NOT NULL AND sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_sent ON outbox (tenant_id, sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX outbox_dead ON outbox (tenant_id, dead_at) WHERE dead_at IS NOT NULL;

-- `status` is the receiver's, null where there was no answer; then `trouble` says why. `answer` is how it began.
CREATE TABLE delivery_attempt (
    tenant_id  uuid        NOT NULL,
    message_id uuid        NOT NULL,
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL,
    took_ms    int         NOT NULL,
    status     int,
    answer     text,
    trouble    text,
    CONSTRAINT delivery_attempt_key PRIMARY KEY (tenant_id, message_id, id),
    CONSTRAINT the_message_exists FOREIGN KEY (tenant_id, message_id) REFERENCES outbox (tenant_id, id)
        ON DELETE CASCADE
);
CALL keep_tenants_apart('delivery_attempt');

GRANT SELECT, INSERT, DELETE ON webhook TO quorate_server;
GRANT SELECT, UPDATE (disabled_at, disabled_why) ON webhook TO quorate_worker;
GRANT SELECT ON delivery_attempt TO quorate_server;
GRANT SELECT, INSERT ON delivery_attempt TO quorate_worker;
-- The server sends a message again when somebody asks; the courier does the rest.
GRANT UPDATE (due_at, attempts, tried_since, sent_at, dead_at) ON outbox TO quorate_server;
GRANT UPDATE (tried_since) ON outbox TO quorate_worker;
