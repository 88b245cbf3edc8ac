CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE store (token BLOB NOT NULL, author BLOB NOT NULL, incarnation INTEGER NOT NULL);
CREATE TABLE author (
    id INTEGER PRIMARY KEY,
    author BLOB NOT NULL UNIQUE,
    held INTEGER NOT NULL,
    sealed INTEGER NOT NULL
);
CREATE TABLE entry (
    position INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES author,
    kind INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX entry_number ON entry (author, last) WHERE kind <> 1;
CREATE INDEX entry_seal ON entry (author, last) WHERE kind = 1;
CREATE TABLE state (
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
INSERT INTO schema_version VALUES (1);
