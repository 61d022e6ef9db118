-- What a tenant has settled for steps beside its workflows. The door reads them with the tenant's settings.
CREATE TABLE approval_default (
    tenant_id  uuid        NOT NULL REFERENCES tenant (id),
    scope      text        NOT NULL CONSTRAINT what_defaults_are_for CHECK (scope IN ('tenant', 'type', 'target')),
    subject    text        NOT NULL CONSTRAINT only_the_tenants_have_no_subject CHECK ((scope = 'tenant') = (subject = '')),
    defaults   jsonb       NOT NULL,
    shown      jsonb       NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT one_default_per_subject PRIMARY KEY (tenant_id, scope, subject)
);
CALL keep_tenants_apart('approval_default');
GRANT SELECT, INSERT, UPDATE, DELETE ON approval_default TO quorate_server;
GRANT SELECT ON approval_default TO quorate_worker;
