-- Who there is, what they are in, what they sign in with, and what one can ask for.
CREATE TABLE principal (
    tenant_id      uuid        NOT NULL REFERENCES tenant (id),
    id             uuid        NOT NULL,
    kind           text        NOT NULL CONSTRAINT a_principal_is_a_user_or_a_service CHECK (kind IN ('user', 'service')),
    login          text,
    name           text        NOT NULL,
    email          text,
    name_parts     jsonb,
    status         text        NOT NULL DEFAULT 'active' CONSTRAINT a_principal_is_active_suspended_or_inactive
                               CHECK (status IN ('active', 'suspended', 'inactive')),
    manager_id     uuid,
    owner_id       uuid,
    password_hash  text,
    password_stamp uuid,
    permissions    text[]      NOT NULL DEFAULT '{}',
    metadata       jsonb       NOT NULL DEFAULT '{}',
    preferences    jsonb       NOT NULL DEFAULT '{}',
    version        bigint      NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    deleted_at     timestamptz,
    CONSTRAINT principal_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT a_manager_is_of_the_same_tenant
        FOREIGN KEY (tenant_id, manager_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT an_owner_is_of_the_same_tenant
        FOREIGN KEY (tenant_id, owner_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT only_a_user_has_a_login CHECK ((kind = 'user') = (login IS NOT NULL)),
    CONSTRAINT only_a_user_has_a_password CHECK (kind = 'user' OR password_hash IS NULL),
    CONSTRAINT a_password_has_a_stamp CHECK (password_hash IS NULL OR password_stamp IS NOT NULL),
    CONSTRAINT only_a_user_has_a_manager CHECK (kind = 'user' OR manager_id IS NULL),
    CONSTRAINT only_a_service_has_an_owner CHECK (kind = 'service' OR owner_id IS NULL),
    CONSTRAINT only_a_service_has_permissions_of_its_own CHECK (kind = 'service' OR permissions = '{}'),
    CONSTRAINT nobody_is_their_own_manager CHECK (manager_id <> id),
    CONSTRAINT nobody_is_their_own_owner CHECK (owner_id <> id)
);
CREATE UNIQUE INDEX one_live_user_per_login ON principal (tenant_id, lower(login)) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX one_live_service_per_name ON principal (tenant_id, name)
    WHERE kind = 'service' AND deleted_at IS NULL;
CREATE INDEX service_of_tenant ON principal (tenant_id) WHERE kind = 'service';
CREATE INDEX principal_by_manager ON principal (tenant_id, manager_id) WHERE manager_id IS NOT NULL;
CREATE INDEX principal_by_owner ON principal (tenant_id, owner_id) WHERE owner_id IS NOT NULL;
CALL keep_tenants_apart('principal');

CREATE TABLE role (
    tenant_id   uuid        NOT NULL REFERENCES tenant (id),
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    permissions text[]      NOT NULL DEFAULT '{}',
    is_system   boolean     NOT NULL DEFAULT false,
    workflow_id uuid,
    approval    jsonb,
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    deleted_at  timestamptz,
    CONSTRAINT role_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT the_workflow_of_a_role_exists FOREIGN KEY (tenant_id, workflow_id) REFERENCES workflow (tenant_id, id)
);
CREATE UNIQUE INDEX one_live_role_per_name ON role (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX role_by_permission ON role USING gin (permissions);
CALL keep_tenants_apart('role');

CREATE TABLE role_member (
    tenant_id    uuid NOT NULL,
    role_id      uuid NOT NULL,
    principal_id uuid NOT NULL,
    CONSTRAINT role_member_key PRIMARY KEY (tenant_id, role_id, principal_id),
    CONSTRAINT the_role_exists FOREIGN KEY (tenant_id, role_id) REFERENCES role (tenant_id, id),
    CONSTRAINT the_member_exists FOREIGN KEY (tenant_id, principal_id) REFERENCES principal (tenant_id, id)
);
CREATE INDEX role_member_by_principal ON role_member (tenant_id, principal_id, role_id);
CALL keep_tenants_apart('role_member');

CREATE TABLE user_group (
    tenant_id   uuid        NOT NULL REFERENCES tenant (id),
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    external_id text,
    workflow_id uuid,
    approval    jsonb,
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    deleted_at  timestamptz,
    CONSTRAINT user_group_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT the_workflow_of_a_group_exists FOREIGN KEY (tenant_id, workflow_id) REFERENCES workflow (tenant_id, id)
);
CREATE UNIQUE INDEX one_live_group_per_name ON user_group (tenant_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX one_live_group_per_external_id ON user_group (tenant_id, external_id) WHERE deleted_at IS NULL;
CALL keep_tenants_apart('user_group');

CREATE TABLE group_member (
    tenant_id    uuid NOT NULL,
    group_id     uuid NOT NULL,
    principal_id uuid NOT NULL,
    CONSTRAINT group_member_key PRIMARY KEY (tenant_id, group_id, principal_id),
    CONSTRAINT the_group_exists FOREIGN KEY (tenant_id, group_id) REFERENCES user_group (tenant_id, id),
    CONSTRAINT the_member_exists FOREIGN KEY (tenant_id, principal_id) REFERENCES principal (tenant_id, id)
);
CREATE INDEX group_member_by_principal ON group_member (tenant_id, principal_id, group_id);
CALL keep_tenants_apart('group_member');

CREATE TABLE resource (
    tenant_id   uuid        NOT NULL REFERENCES tenant (id),
    id          uuid        NOT NULL,
    type        text        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    external_id text,
    parent_id   uuid,
    workflow_id uuid,
    approval    jsonb,
    attributes  jsonb       NOT NULL DEFAULT '{}',
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    deleted_at  timestamptz,
    CONSTRAINT resource_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT the_parent_exists FOREIGN KEY (tenant_id, parent_id) REFERENCES resource (tenant_id, id),
    CONSTRAINT the_workflow_of_a_resource_exists FOREIGN KEY (tenant_id, workflow_id) REFERENCES workflow (tenant_id, id),
    CONSTRAINT nothing_is_its_own_parent CHECK (parent_id <> id)
);
CREATE UNIQUE INDEX one_live_resource_per_type_parent_and_name ON resource (tenant_id, type, parent_id, name)
    NULLS NOT DISTINCT WHERE deleted_at IS NULL;
CREATE INDEX resource_by_name ON resource (tenant_id, name);
CREATE INDEX resource_by_external_id ON resource (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX resource_by_parent ON resource (tenant_id, parent_id) WHERE parent_id IS NOT NULL;
CALL keep_tenants_apart('resource');

CREATE TABLE credential (
    tenant_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    principal_id uuid        NOT NULL,
    kind         text        NOT NULL CONSTRAINT a_credential_is_a_key_client_passkey_or_totp
                             CHECK (kind IN ('key', 'client', 'passkey', 'totp')),
    name         text        NOT NULL DEFAULT '',
    client_id    text,
    secret_hash  bytea,
    public       jsonb,
    sign_count   bigint      NOT NULL DEFAULT 0,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL,
    CONSTRAINT credential_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT the_holder_exists FOREIGN KEY (tenant_id, principal_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT keys_and_clients_keep_a_sha256
        CHECK ((kind IN ('key', 'client')) = (secret_hash IS NOT NULL) AND octet_length(secret_hash) = 32),
    CONSTRAINT only_a_client_has_a_client_id CHECK ((kind = 'client') = (client_id IS NOT NULL)),
    CONSTRAINT a_passkey_has_an_id_and_a_public_key CHECK (kind <> 'passkey' OR (public ? 'id' AND public ? 'publicKey'))
);
-- These two reach across tenants on purpose: a secret alone must say whose it is.
CREATE UNIQUE INDEX one_live_key_per_secret ON credential (secret_hash) WHERE kind = 'key' AND revoked_at IS NULL;
CREATE UNIQUE INDEX one_live_client_per_id_and_secret ON credential (client_id, secret_hash)
    WHERE kind = 'client' AND revoked_at IS NULL;
CREATE UNIQUE INDEX one_live_passkey_per_id ON credential (tenant_id, (public ->> 'id'))
    WHERE kind = 'passkey' AND revoked_at IS NULL;
CREATE INDEX credential_by_secret ON credential (secret_hash) WHERE secret_hash IS NOT NULL;
CREATE INDEX credential_by_principal ON credential (tenant_id, principal_id);
CALL keep_tenants_apart('credential');

CREATE TABLE delegation (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL,
    from_id    uuid        NOT NULL,
    to_id      uuid        NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT delegation_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT the_delegator_exists FOREIGN KEY (tenant_id, from_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT the_delegate_exists FOREIGN KEY (tenant_id, to_id) REFERENCES principal (tenant_id, id),
    CONSTRAINT nobody_delegates_to_themselves CHECK (from_id <> to_id),
    CONSTRAINT a_delegation_starts_before_it_ends CHECK (starts_at < ends_at)
);
CREATE INDEX delegation_by_delegate ON delegation (tenant_id, to_id, ends_at);
CREATE INDEX delegation_by_delegator ON delegation (tenant_id, from_id, ends_at);
CALL keep_tenants_apart('delegation');

CREATE TABLE operation (
    tenant_id   uuid        NOT NULL REFERENCES tenant (id),
    id          uuid        NOT NULL,
    method      text        NOT NULL,
    path        text        NOT NULL,
    workflow_id uuid        NOT NULL,
    resource_id uuid,
    execute     jsonb       NOT NULL,
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT operation_key PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_operation_per_method_and_path UNIQUE (tenant_id, method, path),
    CONSTRAINT the_workflow_of_an_operation_exists
        FOREIGN KEY (tenant_id, workflow_id) REFERENCES workflow (tenant_id, id),
    CONSTRAINT the_resource_of_an_operation_exists
        FOREIGN KEY (tenant_id, resource_id) REFERENCES resource (tenant_id, id)
);
CALL keep_tenants_apart('operation');

-- Principals, roles, groups, resources and credentials are never removed by a program: old requests still name them.
GRANT SELECT, INSERT, UPDATE ON principal, role, user_group, resource, credential TO quorate_server;
GRANT SELECT, INSERT, DELETE ON role_member, group_member TO quorate_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON delegation, operation TO quorate_server;

-- The workers look people up, but have no business with passwords or keys.
GRANT SELECT (tenant_id, id, kind, login, name, email, name_parts, status, manager_id, owner_id, password_stamp,
              permissions, metadata, preferences, version, created_at, updated_at, deleted_at)
    ON principal TO quorate_worker;
GRANT SELECT (tenant_id, id, principal_id, kind, name, client_id, public, sign_count, expires_at, revoked_at, created_at)
    ON credential TO quorate_worker;
GRANT SELECT ON role, role_member, user_group, group_member, resource, delegation, operation TO quorate_worker;
