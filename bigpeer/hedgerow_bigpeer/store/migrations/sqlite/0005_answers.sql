-- What was answered to requests with an Idempotency-Key; written by the transaction that did what they ask.
CREATE TABLE answers (
    app TEXT NOT NULL,
    shard INTEGER NOT NULL,
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    xid INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (app, shard, caller, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answers_age ON answers (app, shard, at);
