DROP TABLE order_route_sharing.insert_order_requests;
DROP TABLE order_route_sharing.family_rides;
DROP TABLE order_route_sharing.phone_ids;
DROP TABLE order_route_sharing.sharing_keys;
