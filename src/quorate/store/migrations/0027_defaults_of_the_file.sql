-- What a file settles nobody has put in the words of a surface: each shows it in its own.
ALTER TABLE approval_default ALTER COLUMN shown DROP NOT NULL;
