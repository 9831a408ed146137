-- The tables of the service. Ids are at most 128 characters by contract; Postgres need not check them again.

CREATE TYPE eulas.status_t AS ENUM ('accepted', 'rejected');

-- The decision of each user on each agreement: the latest by arrival, which is the one with the highest
-- decision_id in the log.
CREATE TABLE eulas.users (
    yandex_uid text           NOT NULL,
    eula_id    text           NOT NULL,
    status     eulas.status_t NOT NULL,
    -- Of the agreement.
    revision   integer        NOT NULL,
    valid_till timestamptz    NOT NULL,
    updated_at timestamptz    NOT NULL DEFAULT current_timestamp,
    created_at timestamptz    NOT NULL DEFAULT current_timestamp,
    CONSTRAINT users_pkey PRIMARY KEY (yandex_uid, eula_id)
);

-- For the purge of decisions long expired.
CREATE INDEX users_valid_till_idx ON eulas.users (valid_till);

-- Every decision ever stored: the proof. decision_id is drawn while the decision's row in `users` is locked, so that
-- of one user's decisions on one agreement the order of decision_id is the order in which they took effect.
CREATE TABLE eulas.decisions_log (
    decision_id bigint GENERATED ALWAYS AS IDENTITY,
    yandex_uid  text           NOT NULL,
    eula_id     text           NOT NULL,
    status      eulas.status_t NOT NULL,
    revision    integer        NOT NULL,
    valid_till  timestamptz    NOT NULL,
    decided_at  timestamptz    NOT NULL,
    -- The service that saved it, or `passenger`: the user's own app.
    source      text           NOT NULL,
    CONSTRAINT decisions_log_pkey PRIMARY KEY (decision_id)
);

CREATE INDEX decisions_log_user_idx ON eulas.decisions_log (yandex_uid, eula_id, decision_id);

CREATE FUNCTION eulas.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log of decisions is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER decisions_log_is_append_only
    BEFORE UPDATE OR DELETE ON eulas.decisions_log
    FOR EACH ROW EXECUTE FUNCTION eulas.refuse_change();

CREATE TRIGGER decisions_log_is_never_emptied
    BEFORE TRUNCATE ON eulas.decisions_log
    FOR EACH STATEMENT EXECUTE FUNCTION eulas.refuse_change();
