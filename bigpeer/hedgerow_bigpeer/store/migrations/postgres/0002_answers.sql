-- What was answered to requests with an Idempotency-Key; written by the transaction that did what they ask.
CREATE TABLE answers (
    app TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    answer BYTEA NOT NULL,
    xid BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app, shard, caller, key)
);

CREATE INDEX answers_age ON answers (app, shard, at);
