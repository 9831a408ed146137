DROP INDEX
    order_route_sharing.sharing_keys_yandex_uid_idx,
    order_route_sharing.sharing_keys_order_id_idx,
    order_route_sharing.phone_ids_phone_id_idx,
    order_route_sharing.family_rides_admin_uid_idx,
    order_route_sharing.families_admin_uid_idx,
    order_route_sharing.family_members_yandex_uid_idx,
    order_route_sharing.family_members_phone_id_idx,
    order_route_sharing.insert_order_requests_yandex_uid_idx,
    order_route_sharing.insert_order_requests_order_id_idx,
    order_route_sharing.insert_order_requests_phone_ids_idx;
