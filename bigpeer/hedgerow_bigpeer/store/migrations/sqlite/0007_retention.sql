-- How long readings of a collection are kept (0: for ever). What came before the moment `gone` may have expired,
-- `operations` counts what did, and xid is the transaction that said so last.
CREATE TABLE retention (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    collection TEXT NOT NULL,
    keep INTEGER NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0,
    operations INTEGER NOT NULL DEFAULT 0,
    xid INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, shard, collection)
) STRICT, WITHOUT ROWID;

-- Operations that are held, and expired: their rows stay, without their bodies.
CREATE TABLE expired (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    last INTEGER NOT NULL,
    first INTEGER NOT NULL,
    PRIMARY KEY (app, shard, author, last)
) STRICT, WITHOUT ROWID;

-- Documents whose id is no dot of the author of their greatest insert: of the others the id says which it is. See
-- corrections.py.
CREATE INDEX documents_named ON documents (app, shard, collection, author, number)
WHERE NOT (substr(id, 1, 2) IN (x'8248', x'8348') AND substr(id, 3, 8) = author);
