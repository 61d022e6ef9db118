-- The two roles the programs act as, the fence between tenants, and the tenants themselves.
--
-- Whoever runs the migrations owns the tables. The server and the workers connect with `role=…` and own nothing.
-- Roles belong to the whole cluster, so another database may have made them already, or be making them right now.
DO $$
DECLARE
    wanted text;
    -- From 16 on, who makes a role is its member without being allowed to become it.
    may_become text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['quorate_server', 'quorate_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT pg_has_role(current_user, wanted, may_become) THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO quorate_server, quorate_worker;
GRANT SELECT ON schema_migration TO quorate_server, quorate_worker;

-- Every table with tenants' rows is handed to this procedure. The setting holds an array literal of UUIDs; the
-- sub-select makes PostgreSQL read it once per statement, and unset or empty admits no row at all.
CREATE PROCEDURE keep_tenants_apart(of_table regclass, tenant_column name DEFAULT 'tenant_id')
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', of_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', of_table);
    EXECUTE format(
        'CREATE POLICY only_admitted_tenants ON %s USING (%I = ANY '
        '((SELECT nullif(current_setting(''quorate.tenants'', true), '''')::uuid[])::uuid[]))',
        of_table, tenant_column
    );
END
$$;
REVOKE ALL ON PROCEDURE keep_tenants_apart FROM PUBLIC;

CREATE TABLE tenant (
    id                uuid        CONSTRAINT tenant_key PRIMARY KEY,
    slug              text        NOT NULL CONSTRAINT one_tenant_per_slug UNIQUE
                                  CONSTRAINT a_slug_is_lower_case_letters_digits_and_dashes
                                  CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    name              text        NOT NULL,
    issuer            text        CONSTRAINT one_tenant_per_issuer UNIQUE,
    settings          jsonb       NOT NULL DEFAULT '{}',
    directory_version bigint      NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);
CALL keep_tenants_apart('tenant', 'id');

-- Tenants are made by the operator's commands, which connect as the owner.
GRANT SELECT, UPDATE (name, issuer, settings, directory_version, updated_at) ON tenant TO quorate_server;
GRANT SELECT ON tenant TO quorate_worker;
