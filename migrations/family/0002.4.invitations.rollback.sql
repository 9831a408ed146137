DROP TABLE family.invitations;
