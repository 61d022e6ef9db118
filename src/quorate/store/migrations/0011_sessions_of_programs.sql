-- Sessions whose token is the session itself, and not one signed for an hour: it can be prolonged and ended under the
-- same token. They are opened by a password, as before, or by the key or client secret of a program.
ALTER TABLE session
    ALTER COLUMN password_stamp DROP NOT NULL,
    ADD COLUMN credential_id uuid,
    ADD COLUMN awaits_factor boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT a_password_or_a_credential_opened_it CHECK ((password_stamp IS NULL) <> (credential_id IS NULL)),
    ADD CONSTRAINT the_credential_exists
        FOREIGN KEY (tenant_id, credential_id) REFERENCES credential (tenant_id, id);

GRANT UPDATE (awaits_factor) ON session TO quorate_server;

-- In which tenants does somebody sign in with this? For callers whose protocol has no place to name a tenant. It says
-- nothing to them: the password decides. Suspended users are answered too, deleted ones not.
CREATE POLICY the_owner_looks_across ON principal FOR SELECT TO CURRENT_USER USING (true);
CREATE INDEX principal_by_login ON principal (lower(login)) WHERE deleted_at IS NULL;
CREATE FUNCTION tenants_of_login(of_login text, at_most int) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT p.tenant_id
      FROM public.principal p
     WHERE lower(p.login) = lower(of_login) AND p.deleted_at IS NULL
     ORDER BY p.tenant_id
     LIMIT at_most
$$;
REVOKE ALL ON FUNCTION tenants_of_login FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_of_login TO quorate_server;
