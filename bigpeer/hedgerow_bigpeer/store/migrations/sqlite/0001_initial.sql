-- Times are milliseconds since 2000-01-01T00:00:00Z. The app and the shard lead every key, so that apps
-- and shards can move to stores of their own.

CREATE TABLE meta (
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE authors (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    held INTEGER NOT NULL DEFAULT 0,
    sealed INTEGER NOT NULL DEFAULT 0,
    last_seen INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, shard, author)
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    number INTEGER NOT NULL,
    stamp BLOB NOT NULL,
    body BLOB NOT NULL,
    h16 BLOB NOT NULL,
    PRIMARY KEY (app, shard, author, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE seals (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    last INTEGER NOT NULL,
    first INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (app, shard, author, last)
) STRICT, WITHOUT ROWID;

CREATE TABLE skips (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    last INTEGER NOT NULL,
    first INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (app, shard, author, last)
) STRICT, WITHOUT ROWID;

-- The greatest receipt this store has given for an author; never given before this row is durable.
CREATE TABLE receipts (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (app, shard, author)
) STRICT, WITHOUT ROWID;

CREATE TABLE schemas (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    name BLOB NOT NULL,
    encoded BLOB NOT NULL,
    PRIMARY KEY (app, shard, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE clocks (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    number INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    uptime INTEGER NOT NULL,
    base INTEGER NOT NULL,
    source INTEGER NOT NULL,
    utc INTEGER,
    error INTEGER NOT NULL,
    PRIMARY KEY (app, shard, author, number)
) STRICT, WITHOUT ROWID;

-- state is what merging needs, value what a query sees (CBOR, NULL while the document does not exist);
-- author, number and stamp are those of the operation with the greatest insert, rank is that insert's
-- stamp and author in the order of merging.
CREATE TABLE documents (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    collection TEXT NOT NULL,
    id BLOB NOT NULL,
    state BLOB NOT NULL,
    value BLOB,
    author BLOB,
    number INTEGER,
    stamp BLOB,
    rank BLOB NOT NULL DEFAULT x'',
    xid INTEGER NOT NULL,
    PRIMARY KEY (app, shard, collection, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX documents_newest ON documents (app, shard, collection, xid);

-- One row for every document whose visible value a transaction changed. SQLite has one writer, so the
-- order of seq is the order of commits.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    epoch BLOB NOT NULL,
    xid INTEGER NOT NULL,
    collection TEXT NOT NULL,
    id BLOB NOT NULL,
    op TEXT NOT NULL CHECK (op IN ('c', 'u', 'd')),
    before BLOB,
    after BLOB,
    author BLOB NOT NULL,
    number INTEGER NOT NULL,
    stamp BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_order ON outbox (app, shard, xid, seq);
