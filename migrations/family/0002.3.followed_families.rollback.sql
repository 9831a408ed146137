-- Families without members are nothing to earlier releases.
DELETE FROM family.families WHERE disbanded_at IS NOT NULL;

ALTER TABLE family.members DROP COLUMN name, DROP COLUMN membership_id;

ALTER TABLE family.families
    DROP COLUMN disbanded_at,
    DROP COLUMN unpublished_since,
    DROP COLUMN published_version,
    DROP COLUMN version,
    DROP COLUMN family_number;
