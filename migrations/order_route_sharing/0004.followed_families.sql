-- Families as they are now, as far as family has published them: what a ride shares with its family is looked up here at
-- each call, so that a change of a family is one change, however many rides are shared with it.

CREATE TABLE order_route_sharing.families (
    family_id  text        NOT NULL,
    -- Of what is stored; only a higher version replaces it.
    version    bigint      NOT NULL,
    -- NULL once the family is disbanded.
    admin_uid  bigint,
    admin_name text,
    -- When it was last published, or a ride was last shared with it.
    used_at    timestamptz NOT NULL,
    CONSTRAINT families_pkey PRIMARY KEY (family_id)
);

-- For the purge of families that no ride is shared with.
CREATE INDEX families_used_at_idx ON order_route_sharing.families (used_at);

CREATE TABLE order_route_sharing.family_members (
    family_id     text NOT NULL,
    -- Of a rider's time in the family: who comes back has another one.
    membership_id text NOT NULL,
    yandex_uid    text NOT NULL,
    phone_id      text NOT NULL,
    CONSTRAINT family_members_pkey PRIMARY KEY (family_id, membership_id),
    CONSTRAINT family_members_family_id_fkey
        FOREIGN KEY (family_id) REFERENCES order_route_sharing.families (family_id) ON DELETE CASCADE
);

ALTER TABLE order_route_sharing.family_rides
    -- The family that the ride is, or was, shared with, and the rider's membership in it: once that has ended, the ride is
    -- not shared. NULL: the ride was shared by an earlier release, with the phones in phone_ids, and is not followed.
    ADD COLUMN family_id text,
    ADD COLUMN membership_id text,
    -- From now on of earlier releases only.
    ALTER COLUMN admin_uid DROP NOT NULL,
    ALTER COLUMN admin_name DROP NOT NULL,
    ADD CONSTRAINT family_rides_family_id_fkey
        FOREIGN KEY (family_id) REFERENCES order_route_sharing.families (family_id) ON DELETE CASCADE;

CREATE INDEX family_rides_family_id_idx ON order_route_sharing.family_rides (family_id);
