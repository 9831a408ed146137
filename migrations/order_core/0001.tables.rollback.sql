DROP TABLE order_core.processing_events;
DROP TABLE order_core.orders;
