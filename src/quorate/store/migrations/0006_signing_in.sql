-- What signing in needs beside the credentials: the keys that sign tokens, and the sessions that passwords open.

-- Of the whole installation, not of a tenant: a token is signed for one, but anybody may verify it. The private
-- part is sealed (AES-256-GCM) under a key that is not in this database. The newest key signs; that it is the newest
-- is all there is to rotating, so that two servers which make one at the same time do not undo each other's work.
CREATE TABLE signing_key (
    id         text        CONSTRAINT signing_key_key PRIMARY KEY,
    algorithm  text        NOT NULL CONSTRAINT tokens_are_signed_with_rs256 CHECK (algorithm = 'RS256'),
    public     jsonb       NOT NULL,
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL
);

-- A refresh token is a session's id and a secret that changes with every use; of the secret only the SHA-256 is kept.
-- The one before is kept too: whoever shows it has a copy of a token that was used, which ends the session.
CREATE TABLE session (
    tenant_id      uuid        NOT NULL,
    id             uuid        NOT NULL,
    principal_id   uuid        NOT NULL,
    secret_hash    bytea       NOT NULL CONSTRAINT a_session_keeps_a_sha256 CHECK (octet_length(secret_hash) = 32),
    previous_hash  bytea,
    password_stamp uuid        NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    CONSTRAINT session_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT the_holder_exists FOREIGN KEY (tenant_id, principal_id) REFERENCES principal (tenant_id, id)
);
CREATE INDEX session_by_principal ON session (tenant_id, principal_id);
CREATE INDEX session_by_expiry ON session (tenant_id, expires_at);
CALL keep_tenants_apart('session');

GRANT SELECT, INSERT, UPDATE (sealed) ON signing_key TO quorate_server;
GRANT SELECT, INSERT, UPDATE (secret_hash, previous_hash, expires_at, ended_at), DELETE ON session TO quorate_server;
