-- The tables of the service. Ids are at most 128 characters by contract; Postgres need not check them again.

CREATE TABLE order_core.orders (
    order_id   text        NOT NULL,
    yandex_uid text        NOT NULL,
    document   jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (order_id),
    -- Every update reads it, so a document without one could not be changed any more.
    CONSTRAINT orders_document_version_check
        CHECK (coalesce(jsonb_typeof(document -> 'order' -> 'version'), '') = 'number')
);

-- For the list of a passenger's orders under way, in its order. The statement names the same statuses in the same words.
CREATE INDEX orders_active_idx ON order_core.orders (yandex_uid, created_at, order_id)
    WHERE coalesce(document -> 'order' ->> 'status', '')
        NOT IN ('cancelled', 'complete', 'expired', 'failed', 'finished');

-- Every request to processing to look at an order again.
CREATE TABLE order_core.processing_events (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    order_id   text        NOT NULL,
    version    bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT processing_events_pkey PRIMARY KEY (id),
    CONSTRAINT processing_events_order_id_fkey
        FOREIGN KEY (order_id) REFERENCES order_core.orders (order_id) ON DELETE RESTRICT
);

CREATE INDEX processing_events_order_id_idx ON order_core.processing_events (order_id, id);
