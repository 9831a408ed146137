-- The tables of the service. Ids are at most 128 characters by contract; Postgres need not check them again.

-- What each user has set. A user who has set nothing has no row.
CREATE TABLE user_state.personal_states (
    -- States are listed by uid, in the same order wherever and in whatever language Postgres runs.
    yandex_uid        text COLLATE "C" NOT NULL,
    revision          bigint      NOT NULL,
    -- Empty: none.
    selected_category text        NOT NULL,
    -- Category -> requirements.
    tariffs           jsonb       NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT personal_states_pkey PRIMARY KEY (yandex_uid),
    CONSTRAINT personal_states_revision_check CHECK (revision >= 1),
    CONSTRAINT personal_states_tariffs_check CHECK (jsonb_typeof(tariffs) = 'object')
);

-- For the copying of what has changed.
CREATE INDEX personal_states_updated_at_idx ON user_state.personal_states (updated_at);

CREATE TYPE user_state.kind_t AS ENUM ('read', 'write');
CREATE TYPE user_state.verdict_t AS ENUM ('equal', 'different', 'behind');

-- How many responses were compared. Each connection counts in one of several rows, so that hardly any two wait for each
-- other.
CREATE TABLE user_state.comparisons (
    minute  timestamptz          NOT NULL,
    kind    user_state.kind_t    NOT NULL,
    verdict user_state.verdict_t NOT NULL,
    shard   smallint             NOT NULL,
    count   bigint               NOT NULL,
    CONSTRAINT comparisons_pkey PRIMARY KEY (minute, kind, verdict, shard)
);

-- The latest responses that differed, without any of their values.
CREATE TABLE user_state.mismatches (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz       NOT NULL,
    request_id  text              NOT NULL,
    kind        user_state.kind_t NOT NULL,
    old_status  smallint          NOT NULL,
    new_status  smallint          NOT NULL,
    -- [{path, old_type, new_type, old_hash, new_hash}]
    differences jsonb             NOT NULL,
    CONSTRAINT mismatches_pkey PRIMARY KEY (id)
);

CREATE INDEX mismatches_at_idx ON user_state.mismatches (at);
