-- Every request that is locked is looked up among the timers of changed targets: in an index of these alone, which is
-- hardly ever anything but empty.
CREATE INDEX timer_of_changed_target ON timer (tenant_id, subject_id) INCLUDE (due_at) WHERE kind = 'target';
