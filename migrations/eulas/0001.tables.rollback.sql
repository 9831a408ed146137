DROP TABLE eulas.decisions_log;
DROP FUNCTION eulas.refuse_change;
DROP TABLE eulas.users;
DROP TYPE eulas.status_t;
