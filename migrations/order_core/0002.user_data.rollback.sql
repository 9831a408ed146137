DROP INDEX order_core.orders_yandex_uid_idx;
