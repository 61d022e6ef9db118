-- Who outside says who somebody is: one identity provider (OpenID Connect) a tenant. Its client secret is sealed
-- (AES-256-GCM) under a key that is not in this database. `stamp` changes with every change, and ends what was opened
-- under the one before. An issuer may serve many tenants, each with a client of its own: what a token says, its issuer
-- and for whom it is, then names one tenant.
CREATE TABLE identity_provider (
    tenant_id    uuid        NOT NULL CONSTRAINT identity_provider_key PRIMARY KEY REFERENCES tenant (id),
    issuer       text        NOT NULL,
    client_id    text        NOT NULL,
    sealed       bytea,
    scopes       text[]      NOT NULL CONSTRAINT a_provider_is_asked_for_an_identity CHECK ('openid' = ANY (scopes)),
    tenant_claim text,
    stamp        uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT one_tenant_per_issuer_and_client UNIQUE (issuer, client_id)
);
CALL keep_tenants_apart('identity_provider');

-- Sign-ins that came back from a provider, until they would be too late anyway: each counts once.
CREATE TABLE taken_sign_in (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT taken_sign_in_key PRIMARY KEY (tenant_id, id)
);
CALL keep_tenants_apart('taken_sign_in');

GRANT SELECT, INSERT, UPDATE, DELETE ON identity_provider TO quorate_server;
GRANT SELECT, INSERT, DELETE ON taken_sign_in TO quorate_server;

-- A session may be opened by what a provider says, and ends when the provider is changed or removed.
ALTER TABLE session
    ADD COLUMN provider_stamp uuid,
    DROP CONSTRAINT a_password_or_a_credential_opened_it,
    ADD CONSTRAINT a_password_a_credential_or_a_provider_opened_it
        CHECK (num_nonnulls(password_stamp, credential_id, provider_stamp) = 1);

-- Whom a provider means it says by e-mail.
CREATE INDEX principal_by_email ON principal (tenant_id, lower(email)) WHERE deleted_at IS NULL AND kind = 'user';

-- A tenant has no issuer of its own beside its provider's, so the function that looks for one asks by both.
CREATE POLICY the_owner_looks_across ON identity_provider FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION tenant_of_issuer(of_issuer text, of_clients text[]) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT p.tenant_id
      FROM public.identity_provider p
     WHERE p.issuer = of_issuer AND p.client_id = ANY (of_clients)
$$;
DROP FUNCTION tenant_by(text, text);
CREATE FUNCTION tenant_by(of_slug text) RETURNS TABLE (id uuid, slug text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT t.id, t.slug, t.name
      FROM public.tenant t
     WHERE CASE WHEN of_slug IS NULL THEN (SELECT count(*) FROM public.tenant) = 1 ELSE t.slug = of_slug END
$$;
REVOKE ALL ON FUNCTION tenant_of_issuer, tenant_by FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_of_issuer TO quorate_server;
GRANT EXECUTE ON FUNCTION tenant_by TO quorate_server, quorate_worker;
ALTER TABLE tenant DROP COLUMN issuer;
