-- Every tenant has its sums folded and what has had its time removed, now and then: a timer of kind 'tidy', whose
-- subject is the tenant itself and which is only ever put off. A trigger, because no program can then forget it.
CREATE FUNCTION tidy_from_now_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO timer (tenant_id, kind, subject_id, due_at) VALUES (NEW.id, 'tidy', NEW.id, now());
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tidy_from_now_on FROM PUBLIC;
CREATE TRIGGER tidy_from_now_on AFTER INSERT ON tenant FOR EACH ROW EXECUTE FUNCTION tidy_from_now_on();

-- Row security holds the owner too, so the tenants that are there already are named first.
SELECT set_config('quorate.tenants', (SELECT coalesce(array_agg(id), '{}')::text FROM tenant), true);
INSERT INTO timer (tenant_id, kind, subject_id, due_at) SELECT id, 'tidy', id, now() FROM tenant;

GRANT SELECT (tenant_id, id, expires_at, ended_at), DELETE ON session TO quorate_worker;
