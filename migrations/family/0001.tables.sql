-- The tables of the service. Ids and names are at most 128 characters by contract; Postgres need not check them again.

CREATE TABLE family.families (
    family_id  text        NOT NULL,
    -- How the family calls its admin.
    admin_name text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT families_pkey PRIMARY KEY (family_id)
);

CREATE TABLE family.members (
    -- Members are listed in the order in which they were added.
    member_number bigint      GENERATED ALWAYS AS IDENTITY,
    family_id     text        NOT NULL,
    yandex_uid    text        NOT NULL,
    phone_id      text        NOT NULL,
    role          text        NOT NULL,
    added_at      timestamptz NOT NULL,
    CONSTRAINT members_pkey PRIMARY KEY (member_number),
    CONSTRAINT members_yandex_uid_key UNIQUE (yandex_uid),
    CONSTRAINT members_family_id_fkey
        FOREIGN KEY (family_id) REFERENCES family.families (family_id) ON DELETE CASCADE,
    CONSTRAINT members_role_check CHECK (role IN ('user', 'owner'))
);

CREATE INDEX members_family_id_idx ON family.members (family_id, member_number);

-- The admin is the one member with the role `owner`.
CREATE UNIQUE INDEX members_owner_key ON family.members (family_id) WHERE role = 'owner';
