-- How long readings of a collection are kept (0: for ever). What came before the moment `gone` may have expired,
-- `operations` counts what did, and xid is the transaction that said so last.
CREATE TABLE retention (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    keep BIGINT NOT NULL,
    gone BIGINT NOT NULL DEFAULT 0,
    operations BIGINT NOT NULL DEFAULT 0,
    xid BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (app, shard, collection)
);

-- Operations that are held, and expired: their rows stay, without their bodies.
CREATE TABLE expired (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    author BYTEA NOT NULL,
    last BIGINT NOT NULL,
    first BIGINT NOT NULL,
    PRIMARY KEY (app, shard, author, last)
);

-- Documents whose id is no dot of the author of their greatest insert: of the others the id says which it is. See
-- corrections.py.
CREATE INDEX documents_named ON documents (app, shard, collection, author, number)
WHERE NOT (substr(id, 1, 2) IN ('\x8248', '\x8348') AND substr(id, 3, 8) = author);
