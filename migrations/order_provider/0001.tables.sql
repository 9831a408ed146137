-- The table of a service that keeps orders. Several services share this folder, each in a schema of its own, so no
-- schema is named here. Ids are at most 128 characters by contract; Postgres need not check them again.

CREATE TABLE orders (
    orderid    text        NOT NULL,
    yandex_uid text        NOT NULL,
    status     text        NOT NULL,
    parts      jsonb       NOT NULL,
    -- Kept to the letter: jsonb would write large numbers out, digit by digit.
    details    json        NOT NULL,
    finished   boolean     NOT NULL,
    -- The number of the order's latest change.
    sequence   bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (orderid)
);

-- For the list of a passenger's orders under way, in its order.
CREATE INDEX orders_active_idx ON orders (yandex_uid, created_at, orderid) WHERE NOT finished;
