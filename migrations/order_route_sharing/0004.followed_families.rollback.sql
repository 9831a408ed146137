-- Rides stay shared with the phones that their families have now.
INSERT INTO order_route_sharing.phone_ids (sharing_key, phone_id, origin)
SELECT DISTINCT ride.sharing_key, member.phone_id, 'family'
FROM order_route_sharing.family_rides AS ride
JOIN order_route_sharing.family_members AS rider USING (family_id, membership_id)
JOIN order_route_sharing.family_members AS member ON member.family_id = rider.family_id
WHERE ride.sharing_on AND member.phone_id <> rider.phone_id
ON CONFLICT DO NOTHING;

UPDATE order_route_sharing.family_rides AS ride SET admin_uid = families.admin_uid, admin_name = families.admin_name
FROM order_route_sharing.family_members AS rider
JOIN order_route_sharing.families USING (family_id)
WHERE rider.family_id = ride.family_id AND rider.membership_id = ride.membership_id;

DELETE FROM order_route_sharing.family_rides WHERE admin_uid IS NULL;

ALTER TABLE order_route_sharing.family_rides
    DROP COLUMN family_id,
    DROP COLUMN membership_id,
    ALTER COLUMN admin_uid SET NOT NULL,
    ALTER COLUMN admin_name SET NOT NULL;

DROP TABLE order_route_sharing.family_members;
DROP TABLE order_route_sharing.families;
