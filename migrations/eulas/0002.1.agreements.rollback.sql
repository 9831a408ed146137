DROP INDEX eulas.users_eula_idx;
ALTER TABLE eulas.users DROP COLUMN need_resign;
ALTER TABLE eulas.users DROP COLUMN catalogue_version;
DROP TABLE eulas.resign_runs;
DROP TABLE eulas.agreement_changes;
DROP FUNCTION eulas.refuse_change_of_history;
DROP TABLE eulas.agreements;
