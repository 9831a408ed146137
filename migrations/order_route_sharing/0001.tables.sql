-- The tables of the service. Ids and names are at most 128 characters by contract; Postgres need not check them again.

-- The rides that can be shared. Whoever changes what belongs to a ride locks its row here first.
CREATE TABLE order_route_sharing.sharing_keys (
    sharing_key text        NOT NULL,
    order_id    text        NOT NULL,
    -- The rider; NULL until reported.
    yandex_uid  text,
    created_at  timestamptz NOT NULL,
    CONSTRAINT sharing_keys_pkey PRIMARY KEY (sharing_key)
);

-- For the purge of old rides.
CREATE INDEX sharing_keys_created_at_idx ON order_route_sharing.sharing_keys (created_at);

-- The phones that a ride is shared with, and why: the end of one reason leaves the other alone.
CREATE TABLE order_route_sharing.phone_ids (
    sharing_key text NOT NULL,
    phone_id    text NOT NULL,
    origin      text NOT NULL,
    CONSTRAINT phone_ids_pkey PRIMARY KEY (sharing_key, phone_id, origin),
    CONSTRAINT phone_ids_sharing_key_fkey
        FOREIGN KEY (sharing_key) REFERENCES order_route_sharing.sharing_keys (sharing_key) ON DELETE CASCADE,
    CONSTRAINT phone_ids_origin_check CHECK (origin IN ('order', 'family'))
);

-- The rides that are, or were, shared with a family. A family may have any number of them at a time.
CREATE TABLE order_route_sharing.family_rides (
    sharing_key text        NOT NULL,
    admin_uid   bigint      NOT NULL,
    admin_name  text        NOT NULL,
    sharing_on  boolean     NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT family_rides_pkey PRIMARY KEY (sharing_key),
    CONSTRAINT family_rides_sharing_key_fkey
        FOREIGN KEY (sharing_key) REFERENCES order_route_sharing.sharing_keys (sharing_key) ON DELETE CASCADE
);

-- What the task insert_order has yet to insert, or has refused. The task itself gets the row's id only: tasks' arguments
-- are logged, and phones, passengers and sharing keys must not be.
CREATE TABLE order_route_sharing.insert_order_requests (
    request_id      bigint      GENERATED ALWAYS AS IDENTITY,
    order_id        text        NOT NULL,
    sharing_key     text        NOT NULL,
    phone_ids       text[]      NOT NULL,
    yandex_uid      text,
    requested_at    timestamptz NOT NULL,
    refused_because text,
    CONSTRAINT insert_order_requests_pkey PRIMARY KEY (request_id)
);

-- For the purge of old requests.
CREATE INDEX insert_order_requests_requested_at_idx ON order_route_sharing.insert_order_requests (requested_at);
