-- What somebody was asked to sign, and whose time is over, is removed by the workers. They see neither the random bytes
-- nor the secrets of new apps.
CREATE INDEX challenge_by_age ON challenge (tenant_id, expires_at);
GRANT SELECT (tenant_id, principal_id, purpose, subject_id, expires_at), DELETE ON challenge TO quorate_worker;
