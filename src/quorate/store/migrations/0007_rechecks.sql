-- A step that nobody can decide any more must not wait unseen: whatever takes somebody's say away has the open
-- requests it touches looked at again, as timers of kind 'recheck' that are due at once. Triggers, because no program
-- can then forget it.
CREATE FUNCTION recheck_keys(of_tenant uuid, touched text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO timer (tenant_id, kind, subject_id, due_at)
    SELECT DISTINCT t.tenant_id, 'recheck', t.request_id, to_timestamp(0)
      FROM inbox i
      JOIN task t ON t.tenant_id = i.tenant_id AND t.id = i.task_id
     WHERE i.tenant_id = of_tenant
       AND i.key = ANY (touched || ARRAY(SELECT 'fallback:' || key FROM unnest(touched) AS key))
    ON CONFLICT (tenant_id, kind, subject_id) DO NOTHING
$$;

-- Every inbox that these people look into by themselves (but for where they have joined as a fallback).
CREATE FUNCTION inbox_keys_of(of_tenant uuid, people uuid[]) RETURNS text[] LANGUAGE sql STABLE AS $$
    WITH roles AS (
        SELECT r.id, r.name, r.permissions
          FROM role_member m JOIN role r ON r.tenant_id = m.tenant_id AND r.id = m.role_id
         WHERE m.tenant_id = of_tenant AND m.principal_id = ANY (people)
    ), held AS (
        SELECT unnest(permissions) AS permission FROM roles
         UNION
        SELECT unnest(p.permissions) FROM principal p WHERE p.tenant_id = of_tenant AND p.id = ANY (people)
    )
    SELECT array_agg(key)
      FROM (SELECT kind || id AS key FROM unnest(people) AS id, unnest(ARRAY['user:', 'service:']) AS kind
             UNION
            SELECT 'group:' || m.group_id FROM group_member m WHERE m.tenant_id = of_tenant AND m.principal_id = ANY (people)
             UNION
            SELECT unnest(ARRAY['role:' || name, 'role:' || id]) FROM roles
             UNION
            SELECT 'holder:' || permission FROM held
             UNION
            SELECT DISTINCT i.key FROM inbox i
             WHERE i.tenant_id = of_tenant AND i.key >= 'holder:' AND i.key < 'holder;'
               AND EXISTS (SELECT FROM held WHERE permission = 'admin')
             UNION
            SELECT 'manager:' || p.id FROM principal p WHERE p.tenant_id = of_tenant AND p.manager_id = ANY (people)
             UNION
            SELECT 'manager:' || s.id
              FROM principal p JOIN principal s ON s.tenant_id = p.tenant_id AND s.owner_id = p.id
             WHERE p.tenant_id = of_tenant AND p.manager_id = ANY (people)
           ) AS keys (key)
$$;

CREATE FUNCTION recheck_after_principals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What a service belongs to, and whose report somebody is, is looked up from the other side.
    PERFORM recheck_keys(changed.tenant_id, inbox_keys_of(changed.tenant_id, changed.people) || changed.reports)
       FROM (SELECT o.tenant_id, array_agg(DISTINCT touched.id) AS people,
                    array_agg(DISTINCT 'manager:' || touched.id) AS reports
               FROM before o
               JOIN after n ON n.tenant_id = o.tenant_id AND n.id = o.id
               CROSS JOIN LATERAL (SELECT o.id UNION SELECT o.manager_id UNION
                                   SELECT s.id FROM principal s WHERE s.tenant_id = o.tenant_id AND s.owner_id = o.id
                                  ) AS touched (id)
              WHERE (o.status, o.deleted_at, o.owner_id, o.manager_id, o.permissions)
                    IS DISTINCT FROM (n.status, n.deleted_at, n.owner_id, n.manager_id, n.permissions)
                AND touched.id IS NOT NULL
              GROUP BY o.tenant_id) AS changed;
    RETURN NULL;
END
$$;
CREATE TRIGGER recheck_after_principals AFTER UPDATE ON principal
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION recheck_after_principals();

CREATE FUNCTION recheck_after_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM recheck_keys(changed.tenant_id, changed.keys)
       FROM (SELECT o.tenant_id, array_agg(DISTINCT touched.key) AS keys
               FROM before o
               JOIN after n ON n.tenant_id = o.tenant_id AND n.id = o.id
               CROSS JOIN LATERAL (SELECT unnest(ARRAY['role:' || o.name, 'role:' || o.id]) UNION
                                   SELECT 'holder:' || unnest(o.permissions) UNION
                                   SELECT i.key FROM inbox i
                                    WHERE i.tenant_id = o.tenant_id AND i.key >= 'holder:' AND i.key < 'holder;'
                                      AND 'admin' = ANY (o.permissions)) AS touched (key)
              WHERE (o.name, o.permissions, o.deleted_at) IS DISTINCT FROM (n.name, n.permissions, n.deleted_at)
              GROUP BY o.tenant_id) AS changed;
    RETURN NULL;
END
$$;
CREATE TRIGGER recheck_after_roles AFTER UPDATE ON role
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION recheck_after_roles();

CREATE FUNCTION recheck_after_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM recheck_keys(changed.tenant_id, changed.keys)
       FROM (SELECT o.tenant_id, array_agg('group:' || o.id) AS keys
               FROM before o JOIN after n ON n.tenant_id = o.tenant_id AND n.id = o.id
              WHERE o.deleted_at IS DISTINCT FROM n.deleted_at
              GROUP BY o.tenant_id) AS changed;
    RETURN NULL;
END
$$;
CREATE TRIGGER recheck_after_groups AFTER UPDATE ON user_group
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION recheck_after_groups();

CREATE FUNCTION recheck_after_role_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM recheck_keys(gone.tenant_id, gone.keys)
       FROM (SELECT b.tenant_id, array_agg(DISTINCT touched.key) AS keys
               FROM before b
               JOIN role r ON r.tenant_id = b.tenant_id AND r.id = b.role_id
               CROSS JOIN LATERAL (SELECT unnest(ARRAY['role:' || r.name, 'role:' || r.id]) UNION
                                   SELECT 'holder:' || unnest(r.permissions) UNION
                                   SELECT i.key FROM inbox i
                                    WHERE i.tenant_id = b.tenant_id AND i.key >= 'holder:' AND i.key < 'holder;'
                                      AND 'admin' = ANY (r.permissions)) AS touched (key)
              GROUP BY b.tenant_id) AS gone;
    RETURN NULL;
END
$$;
CREATE TRIGGER recheck_after_role_members AFTER DELETE ON role_member
    REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION recheck_after_role_members();

CREATE FUNCTION recheck_after_group_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM recheck_keys(gone.tenant_id, gone.keys)
       FROM (SELECT tenant_id, array_agg(DISTINCT 'group:' || group_id) AS keys FROM before GROUP BY tenant_id) AS gone;
    RETURN NULL;
END
$$;
CREATE TRIGGER recheck_after_group_members AFTER DELETE ON group_member
    REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION recheck_after_group_members();

REVOKE ALL ON FUNCTION recheck_keys, inbox_keys_of, recheck_after_principals, recheck_after_roles, recheck_after_groups,
    recheck_after_role_members, recheck_after_group_members FROM PUBLIC;
GRANT EXECUTE ON FUNCTION recheck_keys, inbox_keys_of TO quorate_server, quorate_worker;
