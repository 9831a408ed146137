-- The tables of the service. Ids are at most 128 characters by contract; Postgres need not check them again.

CREATE TABLE toll_roads.offers (
    offer_id   text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT offers_pkey PRIMARY KEY (offer_id)
);

-- For the purge of old offers.
CREATE INDEX offers_created_at_idx ON toll_roads.offers (created_at);

CREATE TABLE toll_roads.orders (
    order_id        text        NOT NULL,
    created_at      timestamptz NOT NULL,
    offer_id        text,
    can_switch_road boolean     NOT NULL,
    yandex_uid      text,
    -- A lookup reads no more than this index and that of the changes: however many rows the tables have, it does not
    -- fetch one of their pages for every order.
    CONSTRAINT orders_pkey PRIMARY KEY (order_id) INCLUDE (can_switch_road),
    CONSTRAINT orders_offer_id_key UNIQUE (offer_id)
);

-- Every road that an order was ever said to go by. The latest row by created_at is in force. The index of the unique
-- constraint finds it in one step, however many rows the table has.
CREATE TABLE toll_roads.log_has_toll_road (
    order_id      text        NOT NULL,
    created_at    timestamptz NOT NULL,
    has_toll_road boolean     NOT NULL,
    CONSTRAINT log_has_toll_road_order_id_fkey
        FOREIGN KEY (order_id) REFERENCES toll_roads.orders (order_id) ON DELETE RESTRICT,
    CONSTRAINT log_has_toll_road_order_id_created_at_key UNIQUE (order_id, created_at) INCLUDE (has_toll_road)
);

-- Orders that the task toll_roads_order_save has yet to save, or has refused. The task itself gets the row's id only:
-- tasks' arguments are logged, and a passenger's uid must not be.
CREATE TABLE toll_roads.order_save_requests (
    request_id           bigint GENERATED ALWAYS AS IDENTITY,
    order_id             text        NOT NULL,
    created_at           timestamptz NOT NULL,
    offer_id             text,
    can_switch_road      boolean     NOT NULL,
    user_chose_toll_road boolean     NOT NULL,
    yandex_uid           text,
    requested_at         timestamptz NOT NULL,
    refused_because      text,
    CONSTRAINT order_save_requests_pkey PRIMARY KEY (request_id)
);
