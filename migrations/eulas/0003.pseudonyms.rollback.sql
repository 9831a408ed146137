DROP VIEW eulas.decisions;

-- Entries of erased users keep their pseudonym, in place of the account.
ALTER TABLE eulas.decisions_log DISABLE TRIGGER decisions_log_is_append_only;

ALTER TABLE eulas.decisions_log DROP CONSTRAINT decisions_log_user_check;

UPDATE eulas.decisions_log AS log
SET yandex_uid = coalesce(
    (SELECT yandex_uid FROM eulas.user_keys WHERE user_keys.pseudonym = log.pseudonym), log.pseudonym::text
)
WHERE yandex_uid IS NULL;

ALTER TABLE eulas.decisions_log ENABLE TRIGGER decisions_log_is_append_only;

ALTER TABLE eulas.decisions_log ALTER COLUMN yandex_uid SET NOT NULL;

DROP INDEX eulas.decisions_log_pseudonym_idx;

ALTER TABLE eulas.decisions_log DROP COLUMN pseudonym;

DROP TABLE eulas.user_keys;

CREATE OR REPLACE FUNCTION eulas.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log of decisions is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;
