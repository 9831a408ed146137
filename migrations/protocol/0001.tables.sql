-- The tables of the service. Ids are at most 128 characters by contract; Postgres need not check them again.

-- A document for each user who has set something: {revision, selected_category, tariffs: [{category, requirements}]}.
-- The revision is text: numbers in JSON are whole only up to 2^53.
CREATE TABLE protocol.users (
    -- States are listed by uid, in the same order wherever and in whatever language Postgres runs.
    yandex_uid text COLLATE "C" NOT NULL,
    document   jsonb       NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (yandex_uid),
    CONSTRAINT users_document_check CHECK (
        coalesce((document ->> 'revision')::bigint, 0) >= 1
        AND coalesce(jsonb_typeof(document -> 'tariffs'), '') = 'array'
    )
);

-- For the copying of what has changed.
CREATE INDEX users_updated_at_idx ON protocol.users (updated_at);
