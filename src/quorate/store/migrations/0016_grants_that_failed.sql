-- What could not be given is in no table but the history, so that of a role, group or resource finds it there. Rows of
-- any other type are in no such index and cost nothing for it.
CREATE INDEX event_grant_failed ON event (tenant_id, (body #>> '{grant,target,id}'))
    WHERE subject_kind = 'grant' AND type = 'GrantFailed';
