ALTER TABLE toll_roads.log_has_toll_road RESET (vacuum_truncate);
ALTER TABLE toll_roads.orders RESET (vacuum_truncate);
ALTER TABLE toll_roads.offers RESET (vacuum_truncate);
DROP INDEX toll_roads.order_save_requests_refused_idx;
ALTER TABLE toll_roads.log_has_toll_road DROP COLUMN archive_batch;
ALTER TABLE toll_roads.orders DROP COLUMN archive_batch;
DROP TABLE toll_roads.archive_batches;
