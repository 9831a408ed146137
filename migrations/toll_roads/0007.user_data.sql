-- For the export and the erasure of a user's data.
CREATE INDEX orders_yandex_uid_idx ON toll_roads.orders (yandex_uid) WHERE yandex_uid IS NOT NULL;
CREATE INDEX order_save_requests_yandex_uid_idx
    ON toll_roads.order_save_requests (yandex_uid) WHERE yandex_uid IS NOT NULL;
CREATE INDEX order_save_requests_order_id_idx ON toll_roads.order_save_requests (order_id);

-- Orders to erase from the archive, which the next run does for all of them at once.
CREATE TABLE toll_roads.archive_erasures (
    -- SHA-256 of the order's id: a repeat finds that the order is erased, though its id is gone.
    order_hash   bytea       NOT NULL,
    -- NULL once the archive has erased the order.
    order_id     text,
    requested_at timestamptz NOT NULL,
    CONSTRAINT archive_erasures_pkey PRIMARY KEY (order_hash)
);

CREATE INDEX archive_erasures_open_idx ON toll_roads.archive_erasures (requested_at) WHERE order_id IS NOT NULL;

-- For the deletion of old ones.
CREATE INDEX archive_erasures_requested_at_idx ON toll_roads.archive_erasures (requested_at) WHERE order_id IS NULL;
