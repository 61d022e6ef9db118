-- What somebody is asked to prove, once, and for a short time: the random bytes that a security key is to sign.
-- There is at most one for each purpose and subject, so a new one voids the old. Whoever takes it deletes it.
CREATE TABLE challenge (
    tenant_id    uuid        NOT NULL,
    principal_id uuid        NOT NULL,
    purpose      text        NOT NULL CONSTRAINT a_challenge_is_for_a_decision CHECK (purpose IN ('decide')),
    subject_id   uuid        NOT NULL,
    step_index   int         NOT NULL DEFAULT 0,
    protocol     text        NOT NULL DEFAULT '',
    random       bytea       NOT NULL,
    snapshot     bytea       NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT challenge_key PRIMARY KEY (tenant_id, principal_id, purpose, subject_id),
    CONSTRAINT the_holder_exists FOREIGN KEY (tenant_id, principal_id) REFERENCES principal (tenant_id, id)
);
CALL keep_tenants_apart('challenge');

-- Wrong passwords, codes and signatures in a row, and when the last one came. No foreign key: a login that does not
-- exist is counted like one that does, under an id made from it.
CREATE TABLE wrong_try (
    tenant_id  uuid        NOT NULL,
    what       text        NOT NULL,
    subject_id uuid        NOT NULL,
    tries      int         NOT NULL CONSTRAINT a_try_is_counted_from_one CHECK (tries >= 1),
    at         timestamptz NOT NULL,
    CONSTRAINT wrong_try_key PRIMARY KEY (tenant_id, what, subject_id)
);
CREATE INDEX wrong_try_by_age ON wrong_try (tenant_id, at);
CALL keep_tenants_apart('wrong_try');

GRANT SELECT, INSERT, UPDATE, DELETE ON challenge, wrong_try TO quorate_server;
