-- Which conversation, logged once: what came as history only, and windows of conversations without a key.

-- 1 for what a client resent and nobody here had heard when it was said: its time is not known.
ALTER TABLE messages ADD COLUMN backfilled INTEGER NOT NULL DEFAULT 0 CHECK (backfilled IN (0, 1));

-- An answer and what it answered, as one hash that does not depend on what came before. Filled from this version on.
CREATE TABLE pairs (
    scope      TEXT NOT NULL,
    mark       TEXT NOT NULL,
    message_id TEXT NOT NULL REFERENCES messages (id),
    PRIMARY KEY (scope, mark, message_id)
) STRICT, WITHOUT ROWID;
