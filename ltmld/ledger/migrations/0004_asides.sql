-- In which conversation something was said aside: a client that resends only the end of it may send nothing else
-- that tells where it goes on afterwards.

ALTER TABLE asides ADD COLUMN thread_id TEXT NOT NULL DEFAULT '';
