DROP TABLE protocol.users;
