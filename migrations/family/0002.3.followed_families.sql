-- Others follow families: each change makes a higher version, which is published after the change is committed.
ALTER TABLE family.families
    -- What the task family_publish is given: tasks' arguments are logged, and are numbers.
    ADD COLUMN family_number bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    -- The highest version that followers have confirmed. Who follows a family from its first version on reads that.
    ADD COLUMN published_version bigint NOT NULL DEFAULT 1,
    -- When the oldest change was made that followers have not confirmed.
    ADD COLUMN unpublished_since timestamptz,
    -- A family without members, kept so that its last version can be published. Its admin's name is empty.
    ADD COLUMN disbanded_at timestamptz,
    ADD CONSTRAINT families_family_number_key UNIQUE (family_number),
    ADD CONSTRAINT families_unpublished_check CHECK ((unpublished_since IS NULL) = (published_version = version));

CREATE INDEX families_unpublished_since_idx ON family.families (unpublished_since) WHERE unpublished_since IS NOT NULL;

CREATE INDEX families_disbanded_at_idx ON family.families (disbanded_at) WHERE disbanded_at IS NOT NULL;

ALTER TABLE family.members
    -- Who leaves and comes back is a member by another id.
    ADD COLUMN membership_id text NOT NULL DEFAULT gen_random_uuid()::text,
    -- How the family calls the member; NULL: by no name.
    ADD COLUMN name text,
    ADD CONSTRAINT members_membership_id_key UNIQUE (membership_id);
