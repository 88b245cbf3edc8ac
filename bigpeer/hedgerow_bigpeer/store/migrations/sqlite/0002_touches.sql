-- Every operation carries the transaction in which it arrived; what a transaction touched can be asked for
-- by collection and document. migrate.py fills both for operations that were here before.

ALTER TABLE operations ADD COLUMN xid INTEGER NOT NULL DEFAULT 0;

-- One row for every change of an operation that is kept; documents.xid is the greatest of a document's.
CREATE TABLE touches (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    collection TEXT NOT NULL,
    id BLOB NOT NULL,
    author BLOB NOT NULL,
    number INTEGER NOT NULL,
    xid INTEGER NOT NULL,
    PRIMARY KEY (app, shard, collection, id, author, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX touches_order ON touches (app, shard, collection, xid, id);

-- Operations of which something stays out of the merged view until their time comes.
CREATE TABLE ahead (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    due INTEGER NOT NULL,
    author BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (app, shard, due, author, number)
) STRICT, WITHOUT ROWID;

-- Peers that subscribe here, and up to which transaction each holds what it subscribes to.
CREATE TABLE peers (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    peer BLOB NOT NULL,
    position INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (app, shard, peer)
) STRICT, WITHOUT ROWID;

-- When transactions happened: now and then a row.
CREATE TABLE moments (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    xid INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (app, shard, xid)
) STRICT, WITHOUT ROWID;
