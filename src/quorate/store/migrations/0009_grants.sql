-- The access that an approval gave: from when until when, and whether it was taken back. What holds at a moment is
-- computed from these columns in every query; the timer only tells the world.
CREATE TABLE access_grant (
    tenant_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    request_id   uuid        NOT NULL,
    principal_id uuid        NOT NULL,
    target_type  text        NOT NULL CONSTRAINT a_grant_is_of_a_role_group_or_resource
                             CHECK (target_type IN ('role', 'group', 'resource')),
    target_id    uuid        NOT NULL,
    target_name  text        NOT NULL,
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz,
    revoked_at   timestamptz,
    revoked_by   uuid,
    reason       text,
    told_at      timestamptz,  -- When its end was told to the world: not before it, and perhaps late.
    version      int         NOT NULL DEFAULT 1,
    CONSTRAINT access_grant_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_grant_per_request UNIQUE (tenant_id, request_id),
    CONSTRAINT the_request_of_a_grant_exists FOREIGN KEY (tenant_id, request_id) REFERENCES request (tenant_id, id),
    CONSTRAINT the_holder_of_a_grant_exists
        FOREIGN KEY (tenant_id, principal_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT a_grant_ends_after_it_starts CHECK (ends_at > starts_at)
);
CREATE INDEX grant_by_holder ON access_grant (tenant_id, principal_id, starts_at DESC, id DESC);
CREATE INDEX grant_newest_first ON access_grant (tenant_id, starts_at DESC, id DESC);
CREATE INDEX grant_by_target ON access_grant (tenant_id, target_id) WHERE revoked_at IS NULL;
CALL keep_tenants_apart('access_grant');

-- Who is in a role or a group, by right of what until when: standing membership has no end. Whoever asks compares
-- `starts_at` and `ends_at` with the moment meant.
CREATE VIEW role_holder WITH (security_invoker = true) AS
    SELECT tenant_id, role_id, principal_id, NULL::uuid AS grant_id,
           '-infinity'::timestamptz AS starts_at, 'infinity'::timestamptz AS ends_at
      FROM role_member
     UNION ALL
    SELECT tenant_id, target_id, principal_id, id, starts_at, coalesce(ends_at, 'infinity')
      FROM access_grant
     WHERE target_type = 'role' AND revoked_at IS NULL;
CREATE VIEW group_holder WITH (security_invoker = true) AS
    SELECT tenant_id, group_id, principal_id, NULL::uuid AS grant_id,
           '-infinity'::timestamptz AS starts_at, 'infinity'::timestamptz AS ends_at
      FROM group_member
     UNION ALL
    SELECT tenant_id, target_id, principal_id, id, starts_at, coalesce(ends_at, 'infinity')
      FROM access_grant
     WHERE target_type = 'group' AND revoked_at IS NULL;

-- A grant that ends may take a say with it.
CREATE FUNCTION recheck_after_grants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM recheck_keys(ended.tenant_id, ended.keys)
       FROM (SELECT o.tenant_id, array_agg(DISTINCT touched.key) AS keys
               FROM before o
               JOIN after n ON n.tenant_id = o.tenant_id AND n.id = o.id
               CROSS JOIN LATERAL (
                    SELECT 'group:' || o.target_id WHERE o.target_type = 'group'
                    UNION ALL
                    SELECT unnest(ARRAY['role:' || r.name, 'role:' || r.id] ||
                                  ARRAY(SELECT 'holder:' || unnest(r.permissions)) ||
                                  ARRAY(SELECT i.key FROM inbox i
                                         WHERE i.tenant_id = r.tenant_id AND i.key >= 'holder:' AND i.key < 'holder;'
                                           AND 'admin' = ANY (r.permissions)))
                      FROM role r
                     WHERE o.target_type = 'role' AND r.tenant_id = o.tenant_id AND r.id = o.target_id
                    ) AS touched (key)
              WHERE (o.revoked_at, o.told_at) IS DISTINCT FROM (n.revoked_at, n.told_at)
              GROUP BY o.tenant_id) AS ended;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION recheck_after_grants FROM PUBLIC;
CREATE TRIGGER recheck_after_grants AFTER UPDATE ON access_grant
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION recheck_after_grants();

GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_by, reason, told_at, version) ON access_grant
    TO quorate_server, quorate_worker;
GRANT SELECT ON role_holder, group_holder TO quorate_server, quorate_worker;
