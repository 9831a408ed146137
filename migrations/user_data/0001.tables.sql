-- The tables of the service. Ids are at most 128 characters by contract; Postgres need not check them again.

-- Exports and erasures, and what is left of them as receipts: nothing personal.
CREATE TABLE user_data.jobs (
    job_id       text        NOT NULL,
    kind         text        NOT NULL,
    -- HMAC of the account by a key that only the receipt's owner has once the job is over.
    pseudonym    text        NOT NULL,
    requested_by text        NOT NULL,
    -- How often all services were told to erase.
    passes       integer     NOT NULL DEFAULT 0,
    -- What an open job waits for; NULL: for nothing.
    waits_for    text,
    requested_at timestamptz NOT NULL,
    -- When something was last erased.
    erased_at    timestamptz,
    -- When the job is to go on; NULL: it has ended. Who works on it moves this on first, as a lease.
    next_run_at  timestamptz,
    ended_at     timestamptz,
    given_up     boolean     NOT NULL DEFAULT false,
    CONSTRAINT jobs_pkey PRIMARY KEY (job_id),
    CONSTRAINT jobs_kind_check CHECK (kind IN ('export', 'erasure')),
    CONSTRAINT jobs_ended_check CHECK ((next_run_at IS NULL) = (ended_at IS NOT NULL))
);

CREATE INDEX jobs_next_run_at_idx ON user_data.jobs (next_run_at) WHERE next_run_at IS NOT NULL;

-- For the deletion of old receipts.
CREATE INDEX jobs_ended_at_idx ON user_data.jobs (ended_at) WHERE ended_at IS NOT NULL;

-- The users of open jobs; a row is deleted with the end of its job.
CREATE TABLE user_data.subjects (
    job_id      text   NOT NULL,
    kind        text   NOT NULL,
    yandex_uid  text   NOT NULL,
    receipt_key text   NOT NULL,
    phone_ids   text[] NOT NULL,
    order_ids   text[] NOT NULL,
    CONSTRAINT subjects_pkey PRIMARY KEY (job_id),
    -- One export and one erasure of a user at a time.
    CONSTRAINT subjects_user_key UNIQUE (yandex_uid, kind),
    CONSTRAINT subjects_job_id_fkey FOREIGN KEY (job_id) REFERENCES user_data.jobs (job_id) ON DELETE CASCADE
);

CREATE TABLE user_data.job_services (
    job_id       text        NOT NULL,
    service      text        NOT NULL,
    -- Of the erasure's last pass, the service has yet to do its part.
    owed         boolean     NOT NULL DEFAULT false,
    processed_at timestamptz,
    failure      text,
    CONSTRAINT job_services_pkey PRIMARY KEY (job_id, service),
    CONSTRAINT job_services_job_id_fkey FOREIGN KEY (job_id) REFERENCES user_data.jobs (job_id) ON DELETE CASCADE
);

CREATE TABLE user_data.job_counts (
    job_id  text   NOT NULL,
    service text   NOT NULL,
    kind    text   NOT NULL,
    found   bigint NOT NULL DEFAULT 0,
    erased  bigint NOT NULL DEFAULT 0,
    CONSTRAINT job_counts_pkey PRIMARY KEY (job_id, service, kind),
    CONSTRAINT job_counts_job_id_fkey FOREIGN KEY (job_id) REFERENCES user_data.jobs (job_id) ON DELETE CASCADE
);
