-- The tables of the service. Ids are at most 128 characters by contract; Postgres need not check them again.

-- The orders that services reported or listed.
CREATE TABLE order_state.orders (
    service         text        NOT NULL,
    orderid         text        NOT NULL,
    yandex_uid      text        NOT NULL,
    -- Whether the service reported the order. One that it only listed may be out of date.
    reported        boolean     NOT NULL DEFAULT false,
    finished        boolean     NOT NULL DEFAULT false,
    -- The number of the order's change that `finished` is from; 0: none.
    finish_sequence bigint      NOT NULL DEFAULT 0,
    -- When the order was last reported or listed.
    updated_at      timestamptz NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (service, orderid)
);

CREATE INDEX orders_yandex_uid_idx ON order_state.orders (yandex_uid);

-- For the deletion of old orders.
CREATE INDEX orders_updated_at_idx ON order_state.orders (updated_at);
CREATE INDEX orders_finished_idx ON order_state.orders (updated_at) WHERE finished;

-- The newest version of each part: the one with the highest number.
CREATE TABLE order_state.parts (
    service    text   NOT NULL,
    orderid    text   NOT NULL,
    part_name  text   NOT NULL,
    version    text   NOT NULL,
    -- The number of the order's change that the version is from.
    sequence   bigint NOT NULL,
    CONSTRAINT parts_pkey PRIMARY KEY (service, orderid, part_name),
    CONSTRAINT parts_order_fkey FOREIGN KEY (service, orderid)
        REFERENCES order_state.orders (service, orderid) ON DELETE CASCADE
);
