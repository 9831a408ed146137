"""The services that the others need as neighbours: small, real, kept in Postgres."""
