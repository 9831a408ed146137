DROP TABLE toll_roads.order_save_requests;
DROP TABLE toll_roads.log_has_toll_road;
DROP TABLE toll_roads.orders;
DROP TABLE toll_roads.offers;
