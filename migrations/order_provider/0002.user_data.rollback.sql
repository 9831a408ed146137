DROP INDEX orders_yandex_uid_idx;
