-- The log of decisions names users by pseudonyms, so that a user can be erased and the proof stays. A large log is better
-- given the column and the index by hand before, without locks: see docs/user-data.md, whose statements these repeat.

-- Whose pseudonym is whose. A row is deleted with its user, and nothing else tells.
CREATE TABLE eulas.user_keys (
    yandex_uid text NOT NULL,
    pseudonym  uuid NOT NULL DEFAULT gen_random_uuid(),
    CONSTRAINT user_keys_pkey PRIMARY KEY (yandex_uid)
);

ALTER TABLE eulas.decisions_log ADD COLUMN IF NOT EXISTS pseudonym uuid;

-- NULL, but for entries of earlier releases that have yet to get their pseudonym.
ALTER TABLE eulas.decisions_log ALTER COLUMN yandex_uid DROP NOT NULL;

ALTER TABLE eulas.decisions_log ADD CONSTRAINT decisions_log_user_check
    CHECK ((yandex_uid IS NULL) <> (pseudonym IS NULL)) NOT VALID;

CREATE INDEX IF NOT EXISTS decisions_log_pseudonym_idx
    ON eulas.decisions_log (pseudonym, eula_id, decision_id) WHERE pseudonym IS NOT NULL;

-- The log with its users, as far as anybody knows them.
CREATE VIEW eulas.decisions AS
    SELECT decision_id, user_keys.yandex_uid, eula_id, status, revision, valid_till, decided_at, source
    FROM eulas.decisions_log AS log JOIN eulas.user_keys USING (pseudonym)
    UNION ALL
    SELECT decision_id, yandex_uid, eula_id, status, revision, valid_till, decided_at, source
    FROM eulas.decisions_log WHERE yandex_uid IS NOT NULL;

-- The only change that an entry ever sees: its account gives way to the account's pseudonym.
CREATE OR REPLACE FUNCTION eulas.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_LEVEL = 'ROW' THEN
        IF OLD.pseudonym IS NULL AND NEW.yandex_uid IS NULL
            AND NEW.pseudonym = (SELECT pseudonym FROM eulas.user_keys WHERE yandex_uid = OLD.yandex_uid)
            AND (NEW.decision_id, NEW.eula_id, NEW.status, NEW.revision, NEW.valid_till, NEW.decided_at, NEW.source)
                = (OLD.decision_id, OLD.eula_id, OLD.status, OLD.revision, OLD.valid_till, OLD.decided_at, OLD.source)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the log of decisions is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;
