-- What the purges and the archive need.

-- A batch of rows that is copied to the archive in one commit, whose number is the commit's application transaction.
-- It is assigned, written to the archive, and then marked as written; whoever finds one that is not marked finishes it.
CREATE TABLE toll_roads.archive_batches (
    table_name        text        NOT NULL,
    batch             bigint      NOT NULL,
    -- The oldest created_at of its rows: the purge need not look into younger batches.
    oldest_created_at timestamptz,
    written_at        timestamptz,
    CONSTRAINT archive_batches_pkey PRIMARY KEY (table_name, batch),
    CONSTRAINT archive_batches_table_name_check CHECK (table_name IN ('orders', 'log_has_toll_road'))
);

-- One at a time: so an archive with a batch has all earlier ones.
CREATE UNIQUE INDEX archive_batches_open_key ON toll_roads.archive_batches (table_name) WHERE written_at IS NULL;

-- The batch that a row is in; NULL: it has yet to be archived, however late it came.
ALTER TABLE toll_roads.orders ADD COLUMN archive_batch bigint;
ALTER TABLE toll_roads.log_has_toll_road ADD COLUMN archive_batch bigint;

-- For the archive: what is old and in no batch.
CREATE INDEX orders_unarchived_idx ON toll_roads.orders (created_at) WHERE archive_batch IS NULL;
CREATE INDEX log_has_toll_road_unarchived_idx ON toll_roads.log_has_toll_road (created_at) WHERE archive_batch IS NULL;

-- For the purge, which goes through the written batches.
CREATE INDEX orders_archive_batch_idx ON toll_roads.orders (archive_batch) WHERE archive_batch IS NOT NULL;
CREATE INDEX log_has_toll_road_archive_batch_idx
    ON toll_roads.log_has_toll_road (archive_batch) WHERE archive_batch IS NOT NULL;

CREATE INDEX order_save_requests_refused_idx
    ON toll_roads.order_save_requests (requested_at) WHERE refused_because IS NOT NULL;

-- Rows come and go all day, so the space is used again. To give it back, vacuum would briefly lock readers out.
ALTER TABLE toll_roads.offers SET (vacuum_truncate = off);
ALTER TABLE toll_roads.orders SET (vacuum_truncate = off);
ALTER TABLE toll_roads.log_has_toll_road SET (vacuum_truncate = off);
