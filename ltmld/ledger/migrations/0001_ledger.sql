-- The first schema. Times are UTC text of fixed width, so that they sort; ids sort by time as well.
-- `text ANY` holds TEXT, or a BLOB (zlib) where the text is long: ltmld/ledger/spelling.py.

-- Conversations ------------------------------------------------------------------------------------

CREATE TABLE threads (
    id         TEXT PRIMARY KEY,
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,          -- the client's own name for it; '' when it has none
    started_at TEXT NOT NULL,
    last_at    TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX threads_by_key ON threads (scope, key) WHERE key <> '';
CREATE INDEX threads_by_time ON threads (scope, last_at);

CREATE TABLE exchanges (
    id                TEXT PRIMARY KEY,
    scope             TEXT NOT NULL,
    thread_id         TEXT NOT NULL REFERENCES threads (id),
    dialect           TEXT NOT NULL,
    model             TEXT NOT NULL,
    client            TEXT NOT NULL,
    outcome           TEXT NOT NULL CHECK (outcome IN ('completed', 'cut_short', 'failed')),
    status            INTEGER NOT NULL,
    error             TEXT NOT NULL,
    done_reason       TEXT NOT NULL,
    request_sha256    TEXT NOT NULL,
    context_sha256    TEXT NOT NULL,
    -- Deferred: the messages name their exchange, so one of the two has to come first.
    prompt_message_id TEXT REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
    reply_message_id  TEXT REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
    thinking          ANY NOT NULL,
    prompt_tokens     INTEGER,
    reply_tokens      INTEGER,
    prompt_ms         REAL,
    reply_ms          REAL,
    started_at        TEXT NOT NULL,
    finished_at       TEXT NOT NULL,
    recorded_at       TEXT NOT NULL
) STRICT;
CREATE INDEX exchanges_by_thread ON exchanges (thread_id, started_at);
CREATE INDEX exchanges_by_scope ON exchanges (scope, started_at);
CREATE INDEX exchanges_by_reply ON exchanges (reply_message_id, outcome);
CREATE INDEX exchanges_by_context ON exchanges (scope, context_sha256) WHERE context_sha256 <> '';

CREATE TABLE messages (
    id           TEXT PRIMARY KEY,
    scope        TEXT NOT NULL,
    thread_id    TEXT NOT NULL REFERENCES threads (id),
    exchange_id  TEXT NOT NULL REFERENCES exchanges (id),
    parent_id    TEXT REFERENCES messages (id),
    ordinal      INTEGER NOT NULL,
    chain        TEXT NOT NULL,
    role         TEXT NOT NULL,
    speaker      TEXT NOT NULL,
    text         ANY NOT NULL CHECK (typeof(text) IN ('text', 'blob')),
    attachments  TEXT NOT NULL,
    tool_calls   TEXT NOT NULL,
    tool_call_id TEXT NOT NULL,
    at           TEXT NOT NULL,
    ref          TEXT NOT NULL
) STRICT;
-- What makes a message be recorded once: a place in the tree and the chain that ends in it.
CREATE UNIQUE INDEX messages_once ON messages (thread_id, chain, coalesce(parent_id, ''));
CREATE INDEX messages_by_chain ON messages (scope, chain);
CREATE INDEX messages_by_parent ON messages (parent_id);
CREATE INDEX messages_by_exchange ON messages (exchange_id);
CREATE INDEX messages_by_time ON messages (scope, at);
CREATE INDEX messages_by_thread_time ON messages (thread_id, at);
CREATE INDEX messages_by_ref ON messages (thread_id, ref) WHERE ref <> '';

-- A message that no longer counts: a reply that another one took the place of.
CREATE TABLE retractions (
    message_id  TEXT PRIMARY KEY REFERENCES messages (id),
    exchange_id TEXT NOT NULL REFERENCES exchanges (id),
    at          TEXT NOT NULL
) STRICT;

-- The only key to the append-only tables: a row here lets one message's words be blanked.
CREATE TABLE erasures (
    message_id TEXT PRIMARY KEY REFERENCES messages (id),
    cause      TEXT NOT NULL,
    at         TEXT NOT NULL
) STRICT;

CREATE TRIGGER exchanges_are_not_updated BEFORE UPDATE ON exchanges
BEGIN
    SELECT RAISE(ABORT, 'exchanges are append-only');
END;
CREATE TRIGGER exchanges_are_not_deleted BEFORE DELETE ON exchanges
BEGIN
    SELECT RAISE(ABORT, 'exchanges are append-only');
END;
CREATE TRIGGER messages_are_not_deleted BEFORE DELETE ON messages
BEGIN
    SELECT RAISE(ABORT, 'messages are append-only');
END;
CREATE TRIGGER messages_are_not_updated BEFORE UPDATE ON messages
WHEN NOT (
    EXISTS (SELECT 1 FROM erasures WHERE message_id = OLD.id)
    AND NEW.text = ''
    AND NEW.attachments = '[]'
    AND NEW.tool_calls = '[]'
    AND (
        NEW.id, NEW.scope, NEW.thread_id, NEW.exchange_id, coalesce(NEW.parent_id, ''), NEW.ordinal,
        NEW.role, NEW.speaker, NEW.tool_call_id, NEW.at, NEW.ref
    ) = (
        OLD.id, OLD.scope, OLD.thread_id, OLD.exchange_id, coalesce(OLD.parent_id, ''), OLD.ordinal,
        OLD.role, OLD.speaker, OLD.tool_call_id, OLD.at, OLD.ref
    )
)
BEGIN
    SELECT RAISE(ABORT, 'messages are append-only');
END;

CREATE TABLE injections (
    id          TEXT PRIMARY KEY,
    exchange_id TEXT NOT NULL REFERENCES exchanges (id),
    thread_id   TEXT NOT NULL REFERENCES threads (id),
    chain       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    text        TEXT NOT NULL,
    tokens      INTEGER NOT NULL,
    items       TEXT NOT NULL,
    -- What a replay needs besides the text: the model it was written for, and that model's own SYSTEM.
    model       TEXT NOT NULL,
    base_system TEXT NOT NULL,
    created_at  TEXT NOT NULL
) STRICT;
CREATE INDEX injections_by_chain ON injections (thread_id, chain);
CREATE INDEX injections_by_exchange ON injections (exchange_id);

-- Which texts stood in which request: a replayed one stands in many.
CREATE TABLE exchange_injections (
    exchange_id  TEXT NOT NULL REFERENCES exchanges (id),
    injection_id TEXT NOT NULL REFERENCES injections (id),
    PRIMARY KEY (exchange_id, injection_id)
) STRICT, WITHOUT ROWID;

-- Memories -----------------------------------------------------------------------------------------

CREATE TABLE memories (
    id             TEXT PRIMARY KEY,
    scope          TEXT NOT NULL,
    kind           TEXT NOT NULL,
    text           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    attribute      TEXT NOT NULL,
    importance     REAL NOT NULL CHECK (importance BETWEEN 0 AND 1),
    confidence     REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    frequency      INTEGER NOT NULL,
    strength       REAL NOT NULL,
    stability_days REAL NOT NULL,
    state          TEXT NOT NULL CHECK (
        state IN ('active', 'faded', 'superseded', 'disputed', 'forgotten')
    ),
    pinned         INTEGER NOT NULL CHECK (pinned IN (0, 1)),
    cues           TEXT NOT NULL,
    "when"         TEXT NOT NULL,
    valid_from     TEXT,
    valid_to       TEXT,
    recorded_at    TEXT NOT NULL,
    retired_at     TEXT,
    used_at        TEXT,
    superseded_by  TEXT NOT NULL,
    version        INTEGER NOT NULL
) STRICT;
CREATE INDEX memories_by_state ON memories (scope, state);
-- What stands in every wake block is looked up at each new conversation, among any number of memories.
CREATE INDEX memories_standing ON memories (scope) WHERE pinned = 1 OR kind IN ('identity', 'lesson');
CREATE INDEX memories_by_time ON memories (recorded_at, id);

CREATE TABLE sources (
    memory_id  TEXT NOT NULL REFERENCES memories (id),
    position   INTEGER NOT NULL,
    message_id TEXT NOT NULL REFERENCES messages (id),
    quote      TEXT NOT NULL,
    PRIMARY KEY (memory_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX sources_by_message ON sources (message_id);

-- Every change of a memory: only the fields that changed, as JSON; before is NULL at birth.
CREATE TABLE memory_events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    memory_id TEXT NOT NULL REFERENCES memories (id),
    version   INTEGER NOT NULL,
    cause     TEXT NOT NULL,
    cycle_id  TEXT REFERENCES cycles (id),
    before    TEXT,
    after     TEXT NOT NULL,
    at        TEXT NOT NULL
) STRICT;
CREATE INDEX memory_events_by_memory ON memory_events (memory_id, version);
CREATE INDEX memory_events_by_cycle ON memory_events (cycle_id) WHERE cycle_id IS NOT NULL;

-- What a person had forgotten, as a hash of its words: never learned again.
CREATE TABLE tombstones (
    scope     TEXT NOT NULL,
    sha256    TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    at        TEXT NOT NULL,
    PRIMARY KEY (scope, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE disputes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT NOT NULL,
    memory_id  TEXT NOT NULL REFERENCES memories (id),
    other_id   TEXT NOT NULL REFERENCES memories (id),
    variance   REAL NOT NULL,
    why        TEXT NOT NULL,
    cycle_id   TEXT REFERENCES cycles (id),
    opened_at  TEXT NOT NULL,
    settled_at TEXT
) STRICT;

-- The way to the index ------------------------------------------------------------------------------

CREATE TABLE outbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    scope     TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('message', 'memory')),
    entity_id TEXT NOT NULL,
    op        TEXT NOT NULL CHECK (op IN ('upsert', 'delete'))
) STRICT;

-- Sleep ----------------------------------------------------------------------------------------------

CREATE TABLE verdicts (
    message_id TEXT PRIMARY KEY REFERENCES messages (id),
    cycle_id   TEXT REFERENCES cycles (id),
    admitted   INTEGER NOT NULL CHECK (admitted IN (0, 1)),
    score      REAL NOT NULL,
    reason     TEXT NOT NULL,
    at         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cycles (
    id          TEXT PRIMARY KEY,
    scope       TEXT NOT NULL,
    depth       TEXT NOT NULL,
    "trigger"   TEXT NOT NULL,
    model       TEXT NOT NULL,
    dry_run     INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    state       TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    lease_until TEXT NOT NULL,
    ended_at    TEXT,
    report      TEXT NOT NULL
) STRICT;
CREATE INDEX cycles_by_time ON cycles (started_at);

CREATE TABLE cycle_stages (
    cycle_id   TEXT NOT NULL REFERENCES cycles (id),
    position   INTEGER NOT NULL,
    stage      TEXT NOT NULL,
    counts     TEXT NOT NULL,
    payload    TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    PRIMARY KEY (cycle_id, position),
    UNIQUE (cycle_id, stage)
) STRICT, WITHOUT ROWID;

CREATE TABLE completions (
    sha256        TEXT PRIMARY KEY,
    model         TEXT NOT NULL,
    text          ANY NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    reply_tokens  INTEGER NOT NULL,
    at            TEXT NOT NULL
) STRICT;
