-- One-time codes of an authenticator app: their secret must be read back, so it is sealed (AES-256-GCM) under a key
-- that is not in this database. `sign_count` is the last period a code was used of: none counts twice.
ALTER TABLE credential
    ADD COLUMN sealed bytea,
    ADD CONSTRAINT only_a_totp_keeps_a_sealed_secret CHECK ((kind = 'totp') = (sealed IS NOT NULL));
CREATE UNIQUE INDEX one_live_totp_per_user ON credential (tenant_id, principal_id)
    WHERE kind = 'totp' AND revoked_at IS NULL;

-- Registering a key, beginning with an app (`random` is then its sealed secret), and the second step of a sign-in.
ALTER TABLE challenge
    DROP CONSTRAINT a_challenge_is_for_a_decision,
    ADD CONSTRAINT a_challenge_is_for_something_known
        CHECK (purpose IN ('decide', 'register', 'enrol', 'sign-in'));

-- What stands in for a second factor that was lost: random, so a SHA-256 is enough. Each is deleted when it is used.
CREATE TABLE recovery_code (
    tenant_id    uuid        NOT NULL,
    principal_id uuid        NOT NULL,
    code_hash    bytea       NOT NULL CONSTRAINT a_recovery_code_is_kept_as_a_sha256 CHECK (octet_length(code_hash) = 32),
    created_at   timestamptz NOT NULL,
    CONSTRAINT recovery_code_key PRIMARY KEY (tenant_id, principal_id, code_hash),
    CONSTRAINT the_holder_exists FOREIGN KEY (tenant_id, principal_id) REFERENCES principal (tenant_id, id)
);
CALL keep_tenants_apart('recovery_code');

GRANT SELECT, INSERT, DELETE ON recovery_code TO quorate_server;
