DROP TABLE user_state.mismatches;
DROP TABLE user_state.comparisons;
DROP TYPE user_state.verdict_t;
DROP TYPE user_state.kind_t;
DROP TABLE user_state.personal_states;
