-- Who answers for what one can ask for: one who may be asked to approve it.
ALTER TABLE role ADD COLUMN owner_id uuid,
    ADD CONSTRAINT the_owner_of_a_role_exists FOREIGN KEY (tenant_id, owner_id) REFERENCES principal (tenant_id, id);
ALTER TABLE user_group ADD COLUMN owner_id uuid,
    ADD CONSTRAINT the_owner_of_a_group_exists FOREIGN KEY (tenant_id, owner_id) REFERENCES principal (tenant_id, id);
ALTER TABLE resource ADD COLUMN owner_id uuid,
    ADD CONSTRAINT the_owner_of_a_resource_exists FOREIGN KEY (tenant_id, owner_id) REFERENCES principal (tenant_id, id);
