-- The only three ways to look across tenants. Each says what the caller must know to learn which tenant is meant.
--
-- They run as the owner. Row security is forced, so an owner who is no superuser needs leave to read these tables.
CREATE POLICY the_owner_looks_across ON tenant FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY the_owner_looks_across ON credential FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY the_owner_looks_across ON timer FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY the_owner_looks_across ON outbox FOR SELECT TO CURRENT_USER USING (true);

-- Whose key, or client secret, has this SHA-256? Revoked and expired ones are answered too, with when.
CREATE FUNCTION credential_by_hash(hash bytea)
RETURNS TABLE (tenant_id uuid, id uuid, principal_id uuid, kind text, name text, client_id text,
               expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT c.tenant_id, c.id, c.principal_id, c.kind, c.name, c.client_id, c.expires_at, c.last_used_at, c.revoked_at
      FROM public.credential c
     WHERE c.secret_hash = hash
$$;

-- The tenant with this slug, or with this issuer; asked for neither, the only tenant if there is exactly one.
CREATE FUNCTION tenant_by(of_slug text, of_issuer text)
RETURNS TABLE (id uuid, slug text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT t.id, t.slug, t.name
      FROM public.tenant t
     WHERE (of_slug IS NOT NULL OR of_issuer IS NOT NULL OR (SELECT count(*) FROM public.tenant) = 1)
       AND (of_slug IS NULL OR t.slug = of_slug)
       AND (of_issuer IS NULL OR t.issuer = of_issuer)
$$;

-- Tenants with timers of this kind, or with messages ('outbox'), that are due; whose oldest is oldest comes first.
CREATE FUNCTION tenants_with_due(of_kind text, by_when timestamptz, at_most int)
RETURNS TABLE (tenant_id uuid, oldest_due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT due.tenant_id, min(due.due_at)
      FROM (SELECT t.tenant_id, t.due_at FROM public.timer t WHERE t.kind = of_kind AND t.due_at <= by_when
             UNION ALL
            SELECT o.tenant_id, o.due_at FROM public.outbox o
             WHERE of_kind = 'outbox' AND o.due_at <= by_when AND o.sent_at IS NULL AND o.dead_at IS NULL) due
     GROUP BY due.tenant_id
     ORDER BY min(due.due_at), due.tenant_id
     LIMIT at_most
$$;

REVOKE ALL ON FUNCTION credential_by_hash, tenant_by, tenants_with_due FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credential_by_hash TO quorate_server;
GRANT EXECUTE ON FUNCTION tenant_by TO quorate_server, quorate_worker;
GRANT EXECUTE ON FUNCTION tenants_with_due TO quorate_server, quorate_worker;
