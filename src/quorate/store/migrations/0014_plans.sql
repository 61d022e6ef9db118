-- Lookups that stay lookups, whatever the planner believes about the size of a table.

-- The fence between tenants is a filter and no way to find rows. As `tenant_id = ANY (…)` the planner took it for part
-- of an index condition and multiplied the price of every lookup by the number of tenants it guessed: whole tables
-- were read where one row was meant. Every statement names its tenants itself.
CREATE OR REPLACE PROCEDURE keep_tenants_apart(of_table regclass, tenant_column name DEFAULT 'tenant_id')
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', of_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', of_table);
    EXECUTE format('DROP POLICY IF EXISTS only_admitted_tenants ON %s', of_table);
    EXECUTE format(
        'CREATE POLICY only_admitted_tenants ON %s USING (array_position('
        '(SELECT nullif(current_setting(''quorate.tenants'', true), '''')::uuid[]), %I) IS NOT NULL)',
        of_table, tenant_column
    );
END
$$;

DO $$
DECLARE
    fenced record;
BEGIN
    FOR fenced IN SELECT schemaname, tablename FROM pg_policies
                   WHERE policyname = 'only_admitted_tenants' AND schemaname = current_schema() LOOP
        CALL keep_tenants_apart(
            format('%I.%I', fenced.schemaname, fenced.tablename)::regclass,
            CASE WHEN fenced.tablename = 'tenant' THEN 'id' ELSE 'tenant_id' END
        );
    END LOOP;
END
$$;

-- One entry of an index for each thing given, and one for each of its holders, however many grants there are of it.
CREATE INDEX live_grant_by_holder
    ON access_grant (tenant_id, principal_id, target_type, target_id, coalesce(ends_at, 'infinity'))
 WHERE revoked_at IS NULL;
CREATE INDEX live_grant_by_target
    ON access_grant (tenant_id, target_type, target_id, principal_id, coalesce(ends_at, 'infinity'))
 WHERE revoked_at IS NULL;
DROP INDEX grant_by_target;

-- Few roles carry permissions, and these are looked for whenever a step opens.
CREATE INDEX role_with_permissions ON role (tenant_id) WHERE permissions <> '{}' AND deleted_at IS NULL;
DROP INDEX role_by_permission;
CREATE INDEX service_with_permissions ON principal (tenant_id)
 WHERE kind = 'service' AND permissions <> '{}' AND deleted_at IS NULL;

-- A task changes once or twice and none of its indexes does: with room left on its page, they need not be touched.
ALTER TABLE task SET (fillfactor = 85);
