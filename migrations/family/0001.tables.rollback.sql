DROP TABLE family.members;
DROP TABLE family.families;
