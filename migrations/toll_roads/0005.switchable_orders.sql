-- Only its passenger may switch an order's road: without one it cannot be switched, until a report brings the passenger.
UPDATE toll_roads.orders SET can_switch_road = false WHERE can_switch_road AND yandex_uid IS NULL;
