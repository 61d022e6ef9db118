-- Definitions: what a request will walk through, and the rules beside it.
CREATE TABLE workflow (
    tenant_id          uuid        NOT NULL REFERENCES tenant (id),
    id                 uuid        NOT NULL,
    name               text        NOT NULL,
    description        text,
    status             text        NOT NULL CONSTRAINT a_workflow_is_draft_active_or_inactive
                                   CHECK (status IN ('draft', 'active', 'inactive')),
    version            int         NOT NULL DEFAULT 1,
    steps              jsonb       NOT NULL,
    resource_types     text[],
    auto_approve       text        NOT NULL DEFAULT 'none',
    fallback_approvers jsonb,
    activated_at       timestamptz,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    deleted_at         timestamptz,
    CONSTRAINT workflow_key PRIMARY KEY (tenant_id, id)
);
-- A deleted workflow gives its name back; running requests keep their frozen route.
CREATE UNIQUE INDEX one_live_workflow_per_name ON workflow (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX active_workflows ON workflow (tenant_id, activated_at) WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX workflow_newest_first ON workflow (tenant_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CALL keep_tenants_apart('workflow');

CREATE TABLE policy (
    tenant_id  uuid        NOT NULL REFERENCES tenant (id),
    id         uuid        NOT NULL,
    name       text        NOT NULL,
    enabled    boolean     NOT NULL,
    priority   int         NOT NULL DEFAULT 0,
    body       jsonb       NOT NULL,
    version    bigint      NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT policy_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_policy_per_name UNIQUE (tenant_id, name)
);
CALL keep_tenants_apart('policy');

GRANT SELECT, INSERT, UPDATE ON workflow TO quorate_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON policy TO quorate_server;
GRANT SELECT ON workflow, policy TO quorate_worker;
