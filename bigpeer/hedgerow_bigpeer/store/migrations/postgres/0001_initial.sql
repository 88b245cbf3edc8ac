-- Times are milliseconds since 2000-01-01T00:00:00Z. A `xid` is PostgreSQL's own number of the transaction that
-- wrote the row, raised by the store's `base` (postgres.py). The app and the shard lead every key, so that apps
-- and shards can move to stores of their own.

CREATE TABLE meta (
    app TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (app, name)
);

CREATE TABLE authors (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    held BIGINT NOT NULL DEFAULT 0,
    sealed BIGINT NOT NULL DEFAULT 0,
    last_seen BIGINT NOT NULL DEFAULT 0,
    xid BIGINT NOT NULL,
    PRIMARY KEY (app, shard, author)
);

CREATE TABLE operations (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    number BIGINT NOT NULL,
    stamp BYTEA NOT NULL,
    body BYTEA NOT NULL,
    h16 BYTEA NOT NULL,
    xid BIGINT NOT NULL,
    PRIMARY KEY (app, shard, author, number)
);

CREATE TABLE seals (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    last BIGINT NOT NULL,
    first BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (app, shard, author, last)
);

CREATE TABLE skips (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    last BIGINT NOT NULL,
    first BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (app, shard, author, last)
);

-- The greatest receipt this store has given for an author; never given before this row is durable.
CREATE TABLE receipts (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    incarnation BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app, shard, author)
);

CREATE TABLE schemas (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    name BYTEA NOT NULL,
    encoded BYTEA NOT NULL,
    xid BIGINT NOT NULL,
    PRIMARY KEY (app, shard, name)
);

CREATE TABLE clocks (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    number BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    uptime BIGINT NOT NULL,
    base BIGINT NOT NULL,
    source BIGINT NOT NULL,
    utc BIGINT,
    error BIGINT NOT NULL,
    xid BIGINT NOT NULL,
    PRIMARY KEY (app, shard, author, number)
);

-- state is what merging needs, value what a query sees (CBOR, NULL while the document does not exist);
-- author, number and stamp are those of the operation with the greatest insert, rank is that insert's
-- stamp and author in the order of merging.
CREATE TABLE documents (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    id BYTEA NOT NULL,
    state BYTEA NOT NULL,
    value BYTEA,
    author BYTEA,
    number BIGINT,
    stamp BYTEA,
    rank BYTEA NOT NULL DEFAULT '',
    xid BIGINT NOT NULL,
    facets JSONB,
    PRIMARY KEY (app, shard, collection, id)
);

CREATE INDEX documents_newest ON documents (app, shard, collection, xid);

-- One row for every document whose visible value a transaction changed. `seq` is handed out before commits:
-- only together with a stable xid is it an order in which nothing is missed.
CREATE TABLE outbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    epoch BYTEA NOT NULL,
    xid BIGINT NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    id BYTEA NOT NULL,
    op TEXT NOT NULL CHECK (op IN ('c', 'u', 'd')),
    before BYTEA,
    after BYTEA,
    author BYTEA NOT NULL,
    number BIGINT NOT NULL,
    stamp BYTEA NOT NULL,
    at BIGINT NOT NULL
);

CREATE INDEX outbox_order ON outbox (app, shard, xid, seq);

-- One row for every change of an operation that is kept; documents.xid is the greatest of a document's.
CREATE TABLE touches (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    id BYTEA NOT NULL,
    author BYTEA NOT NULL,
    number BIGINT NOT NULL,
    xid BIGINT NOT NULL,
    PRIMARY KEY (app, shard, collection, id, author, number)
);

CREATE INDEX touches_order ON touches (app, shard, collection, xid, id);

-- Operations of which something stays out of the merged view until their time comes.
CREATE TABLE ahead (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    due BIGINT NOT NULL,
    author BYTEA NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (app, shard, due, author, number)
);

-- Peers that subscribe here, and up to which transaction each holds what it subscribes to.
CREATE TABLE peers (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    peer BYTEA NOT NULL,
    position BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (app, shard, peer)
);

-- When transactions happened: now and then a row.
CREATE TABLE moments (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    xid BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app, shard, xid)
);

-- Every transaction that changed something, and the collections of which it touched documents.
CREATE TABLE commits (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    xid BIGINT NOT NULL,
    at BIGINT NOT NULL,
    collections TEXT[] NOT NULL,
    PRIMARY KEY (app, shard, xid)
);

-- Nodes: each writes with the author of a slot, which is its own while it holds the lock of that slot.
CREATE TABLE nodes (
    app TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    author BYTEA NOT NULL,
    boot BIGINT NOT NULL,
    PRIMARY KEY (app, slot)
);

-- Paths that are indexed on request, under the name that the request gave.
CREATE TABLE indexes (
    app TEXT COLLATE "C" NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (app, collection, name)
);

CREATE INDEX authors_moved ON authors (app, shard, xid);
CREATE INDEX clocks_moved ON clocks (app, shard, xid);

-- Operations of which something does not count, by the rules of who may write: kept, carried, never shown.
CREATE TABLE refused (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    number BIGINT NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (app, shard, author, number)
);
