DROP TABLE toll_roads.archive_erasures;
DROP INDEX
    toll_roads.orders_yandex_uid_idx,
    toll_roads.order_save_requests_yandex_uid_idx,
    toll_roads.order_save_requests_order_id_idx;
