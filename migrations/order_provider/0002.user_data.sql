-- For the export and the erasure of a user's data.
CREATE INDEX orders_yandex_uid_idx ON orders (yandex_uid);
