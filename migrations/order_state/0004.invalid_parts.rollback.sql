DROP TABLE order_state.invalid_part_samples;
DROP TABLE order_state.invalid_parts;
