-- Invitations into families. One is open until it is closed (accepted, revoked, or its family disbanded) or expires; to
-- whoever is invited also until it is declined, of which the family is not told.
CREATE TABLE family.invitations (
    invitation_id text        NOT NULL,
    family_id     text        NOT NULL,
    phone_id      text        NOT NULL,
    -- How the family is to call whoever accepts.
    name          text        NOT NULL,
    -- The rider who sent it.
    invited_by    text        NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    declined_at   timestamptz,
    closed_at     timestamptz,
    -- The rider who accepted it, so that a repeat is recognised; NULL if nobody did.
    accepted_by   text,
    CONSTRAINT invitations_pkey PRIMARY KEY (invitation_id),
    CONSTRAINT invitations_family_id_fkey
        FOREIGN KEY (family_id) REFERENCES family.families (family_id) ON DELETE CASCADE
);

CREATE INDEX invitations_family_id_idx ON family.invitations (family_id);

-- A family has one invitation to a phone at a time.
CREATE UNIQUE INDEX invitations_open_key ON family.invitations (family_id, phone_id) WHERE closed_at IS NULL;

-- For those who are invited.
CREATE INDEX invitations_phone_id_idx ON family.invitations (phone_id, created_at);

-- For the erasure of a user's data.
CREATE INDEX invitations_accepted_by_idx ON family.invitations (accepted_by) WHERE accepted_by IS NOT NULL;

-- For the limit of a day.
CREATE INDEX invitations_invited_by_idx ON family.invitations (invited_by, created_at);

-- For the purge.
CREATE INDEX invitations_expires_at_idx ON family.invitations (expires_at);
