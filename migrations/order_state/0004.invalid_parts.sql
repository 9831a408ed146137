-- Parts that apps fetched and could not put together. Of names there are those of the configuration, and `other`.

CREATE TABLE order_state.invalid_parts (
    hour      timestamptz NOT NULL,
    service   text        NOT NULL,
    part_name text        NOT NULL,
    problem   text        NOT NULL,
    count     bigint      NOT NULL,
    CONSTRAINT invalid_parts_pkey PRIMARY KEY (hour, service, part_name, problem)
);

-- Shapes of such parts: [[path, type], ...], without any value. A few of each part.
CREATE TABLE order_state.invalid_part_samples (
    service   text        NOT NULL,
    part_name text        NOT NULL,
    problem   text        NOT NULL,
    -- A hash of the shape.
    shape_id  text        NOT NULL,
    shape     jsonb       NOT NULL,
    count     bigint      NOT NULL,
    first_at  timestamptz NOT NULL,
    last_at   timestamptz NOT NULL,
    CONSTRAINT invalid_part_samples_pkey PRIMARY KEY (service, part_name, problem, shape_id)
);

-- For the surplus of a part, and for the deletion of old ones.
CREATE INDEX invalid_part_samples_part_idx ON order_state.invalid_part_samples (service, part_name, last_at);
CREATE INDEX invalid_part_samples_last_at_idx ON order_state.invalid_part_samples (last_at);
