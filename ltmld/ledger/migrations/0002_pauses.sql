-- A person's wish to be left alone, by scope, and what was said meanwhile.

CREATE TABLE pauses (
    scope TEXT PRIMARY KEY,
    since TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- User messages that were said while memory was paused, as the hash of their chain and nothing else: a client
-- resends them for ever, and they are not to be recorded as history later.
CREATE TABLE asides (
    id    INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    chain TEXT NOT NULL,
    UNIQUE (scope, chain)
) STRICT;
