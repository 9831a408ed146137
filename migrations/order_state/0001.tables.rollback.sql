DROP TABLE order_state.parts;
DROP TABLE order_state.orders;
