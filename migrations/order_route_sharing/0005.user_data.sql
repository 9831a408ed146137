-- For the export and the erasure of a user's data.
CREATE INDEX sharing_keys_yandex_uid_idx ON order_route_sharing.sharing_keys (yandex_uid) WHERE yandex_uid IS NOT NULL;
CREATE INDEX sharing_keys_order_id_idx ON order_route_sharing.sharing_keys (order_id);
CREATE INDEX phone_ids_phone_id_idx ON order_route_sharing.phone_ids (phone_id);
CREATE INDEX family_rides_admin_uid_idx ON order_route_sharing.family_rides (admin_uid);
CREATE INDEX families_admin_uid_idx ON order_route_sharing.families (admin_uid);
CREATE INDEX family_members_yandex_uid_idx ON order_route_sharing.family_members (yandex_uid);
CREATE INDEX family_members_phone_id_idx ON order_route_sharing.family_members (phone_id);
CREATE INDEX insert_order_requests_yandex_uid_idx
    ON order_route_sharing.insert_order_requests (yandex_uid) WHERE yandex_uid IS NOT NULL;
CREATE INDEX insert_order_requests_order_id_idx ON order_route_sharing.insert_order_requests (order_id);
CREATE INDEX insert_order_requests_phone_ids_idx ON order_route_sharing.insert_order_requests USING gin (phone_ids);
