-- Agreements that an admin keeps, their history, and the marks of those who have to decide again.

-- Each agreement as its last change left it, also when that withdrew it.
CREATE TABLE eulas.agreements (
    eula_id      text        NOT NULL,
    -- Lists show agreements by position, then by id.
    position     integer     NOT NULL,
    -- As an entry of EULAS in eulas.yaml.
    content      jsonb       NOT NULL,
    -- The number of its last change, and the version that that started from.
    version      bigint      NOT NULL,
    base_version bigint      NOT NULL,
    -- The number of the last change since which earlier decisions do not count; 0: there was none.
    asks_since   bigint      NOT NULL DEFAULT 0,
    -- What its last change did: `withdrawn` ones are not in force.
    kind         text        NOT NULL,
    source       text        NOT NULL,
    actor        text        NOT NULL,
    changed_at   timestamptz NOT NULL,
    CONSTRAINT agreements_pkey PRIMARY KEY (eula_id)
);

-- Who did what, and when. Who changes an agreement holds a lock until the transaction ends (AdminStore.lock_catalogue), so
-- changes take effect in the order of their numbers: who has read the highest has read all of them.
CREATE TABLE eulas.agreement_changes (
    version      bigint      NOT NULL,
    eula_id      text        NOT NULL,
    kind         text        NOT NULL,
    position     integer     NOT NULL,
    content      jsonb       NOT NULL,
    base_version bigint      NOT NULL,
    asks_again   boolean     NOT NULL,
    -- The calling service, and who it says made the change.
    source       text        NOT NULL,
    actor        text        NOT NULL,
    changed_at   timestamptz NOT NULL,
    CONSTRAINT agreement_changes_pkey PRIMARY KEY (version)
);

CREATE INDEX agreement_changes_eula_idx ON eulas.agreement_changes (eula_id, version);

CREATE FUNCTION eulas.refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of agreements is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER agreement_changes_are_append_only
    BEFORE UPDATE OR DELETE ON eulas.agreement_changes
    FOR EACH ROW EXECUTE FUNCTION eulas.refuse_change_of_history();

CREATE TRIGGER agreement_changes_are_never_emptied
    BEFORE TRUNCATE ON eulas.agreement_changes
    FOR EACH STATEMENT EXECUTE FUNCTION eulas.refuse_change_of_history();

-- The tasks that mark those who have to decide again; `version` is the change that asks for it.
CREATE TABLE eulas.resign_runs (
    version      bigint      NOT NULL,
    eula_id      text        NOT NULL,
    -- Decisions on lower revisions count for nobody already, so they are not marked.
    revision     integer     NOT NULL,
    expected     bigint      NOT NULL,
    -- Everybody up to this user has been looked at.
    done_up_to   text        NOT NULL DEFAULT '',
    checked      bigint      NOT NULL DEFAULT 0,
    marked       bigint      NOT NULL DEFAULT 0,
    requested_at timestamptz NOT NULL,
    updated_at   timestamptz,
    finished_at  timestamptz,
    CONSTRAINT resign_runs_pkey PRIMARY KEY (version)
);

CREATE INDEX resign_runs_eula_idx ON eulas.resign_runs (eula_id, version);

-- The change of the catalogue that was in force when the user decided; 0: the agreements of the configuration file were.
ALTER TABLE eulas.users ADD COLUMN catalogue_version bigint NOT NULL DEFAULT 0;
-- The agreement has changed since: the decision does not count, and the user has to decide again.
ALTER TABLE eulas.users ADD COLUMN need_resign boolean NOT NULL DEFAULT false;

-- For those who have decided on one agreement, in the order in which the import of decisions locks them.
CREATE INDEX users_eula_idx ON eulas.users (eula_id, yandex_uid COLLATE "C");
