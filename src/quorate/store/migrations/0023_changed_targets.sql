-- A request is about what its approvers saw. When that is renamed, moved or removed, the open requests for it end: a
-- timer of kind 'target' says since when. It is set when the change commits, so that it misses none filed meanwhile and
-- is not held longer than it takes; whoever locks a request reads it, so no decision comes before it is heeded.
CREATE INDEX pending_of_target ON request (tenant_id, target_id) WHERE status = 'pending' AND target_id IS NOT NULL;

CREATE FUNCTION end_requests_for_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        INSERT INTO timer (tenant_id, kind, subject_id, due_at)
        SELECT r.tenant_id, 'target', r.id, $3
          FROM %s t
          JOIN request r ON r.tenant_id = t.tenant_id AND r.target_id = t.id::text
         WHERE t.tenant_id = $1 AND t.id = $2 AND r.status = 'pending' AND r.target_id IS NOT NULL
           AND r.target_type = $4 AND (t.deleted_at IS NOT NULL OR r.filing #>> '{target,name}' <> t.name)
        ON CONFLICT (tenant_id, kind, subject_id) DO NOTHING
        $sql$, TG_RELID::regclass)
    USING NEW.tenant_id, NEW.id, coalesce(NEW.deleted_at, NEW.updated_at), TG_ARGV[0];
    RETURN NULL;
END
$$;

-- Of a resource a request for access also keeps its type, what it goes by outside, and what it stands under.
CREATE FUNCTION end_requests_for_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO timer (tenant_id, kind, subject_id, due_at)
    SELECT r.tenant_id, 'target', r.id, coalesce(NEW.deleted_at, NEW.updated_at)
      FROM (SELECT t.* FROM resource t WHERE t.tenant_id = NEW.tenant_id AND t.id = NEW.id
             UNION ALL
            SELECT t.* FROM resource t WHERE t.tenant_id = NEW.tenant_id AND t.parent_id = NEW.id) t
      LEFT JOIN resource p ON p.tenant_id = t.tenant_id AND p.id = t.parent_id
      JOIN request r ON r.tenant_id = t.tenant_id AND r.target_id = t.id::text
     CROSS JOIN LATERAL (SELECT r.filing -> 'target' AS target) said
     WHERE r.status = 'pending' AND r.target_id IS NOT NULL AND r.target_type = 'resource'
       AND (t.deleted_at IS NOT NULL OR said.target ->> 'name' <> t.name
            OR (said.target ? 'own_type'
                AND (p.deleted_at IS NOT NULL
                     OR (said.target ->> 'own_type', said.target ->> 'external_id', said.target ->> 'within',
                         said.target ->> 'within_name')
                        IS DISTINCT FROM (t.type, t.external_id, coalesce(p.external_id, p.id::text), p.name))))
    ON CONFLICT (tenant_id, kind, subject_id) DO NOTHING;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION end_requests_for_named, end_requests_for_resources FROM PUBLIC;

CREATE CONSTRAINT TRIGGER end_requests AFTER UPDATE ON role DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN ((OLD.name, OLD.deleted_at) IS DISTINCT FROM (NEW.name, NEW.deleted_at))
    EXECUTE FUNCTION end_requests_for_named('role');
CREATE CONSTRAINT TRIGGER end_requests AFTER UPDATE ON user_group DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN ((OLD.name, OLD.deleted_at) IS DISTINCT FROM (NEW.name, NEW.deleted_at))
    EXECUTE FUNCTION end_requests_for_named('group');
CREATE CONSTRAINT TRIGGER end_requests AFTER UPDATE ON resource DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN ((OLD.type, OLD.name, OLD.external_id, OLD.parent_id, OLD.deleted_at)
                       IS DISTINCT FROM (NEW.type, NEW.name, NEW.external_id, NEW.parent_id, NEW.deleted_at))
    EXECUTE FUNCTION end_requests_for_resources();
