-- An operator may have tenants made over the API. Row security lets the server write only the rows of the tenants that
-- a transaction names, and it changes no slug of one that is there.
GRANT INSERT (id, slug, name, settings, created_at, updated_at) ON tenant TO quorate_server;
