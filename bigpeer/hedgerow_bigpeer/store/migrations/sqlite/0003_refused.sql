-- Operations of which something does not count, by the rules of who may write: kept, carried, never shown.
CREATE TABLE refused (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    author BLOB NOT NULL,
    number INTEGER NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (app, shard, author, number)
) STRICT, WITHOUT ROWID;
