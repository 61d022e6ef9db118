-- Requests are counted for people: REQ-12. A process takes a block of numbers in a transaction of its own, so that
-- this row is not written with every request. What was filed before has no number.
CREATE TABLE request_number (
    tenant_id uuid   NOT NULL CONSTRAINT request_number_key PRIMARY KEY REFERENCES tenant (id),
    next      bigint NOT NULL CONSTRAINT numbers_begin_at_one CHECK (next >= 1)
);
CALL keep_tenants_apart('request_number');
GRANT SELECT, INSERT, UPDATE (next) ON request_number TO quorate_server;
