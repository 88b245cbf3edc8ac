-- Times are seconds of UTC since 1970-01-01. Secrets stand here only as hashes; the token of a playground app,
-- which is no secret between its peers, as it is.

CREATE TABLE apps (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    mode INTEGER NOT NULL,
    mesh TEXT NOT NULL,
    token TEXT,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE issuers (
    app TEXT NOT NULL REFERENCES apps (id),
    kid BLOB NOT NULL,
    point BLOB NOT NULL,
    statement BLOB,
    created INTEGER NOT NULL,
    retires INTEGER,
    PRIMARY KEY (app, kid)
) STRICT;

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL REFERENCES apps (id),
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    verbs TEXT NOT NULL,
    scope TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER
) STRICT;
CREATE INDEX keys_of_app ON keys (app, created);

CREATE TABLE providers (
    app TEXT NOT NULL REFERENCES apps (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (app, name)
) STRICT;

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    role TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL,
    role TEXT NOT NULL,
    form TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_end ON sessions (expires);

-- Credentials that were issued, or countersigned (`under` is the delegation's number then). `identified` is
-- when the identity provider last vouched for the user.
CREATE TABLE credentials (
    number BLOB PRIMARY KEY,
    app TEXT NOT NULL REFERENCES apps (id),
    user TEXT NOT NULL,
    provider TEXT NOT NULL,
    agreement BLOB NOT NULL,
    sealing BLOB NOT NULL,
    author BLOB,
    issued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    identified INTEGER NOT NULL,
    under BLOB,
    challenge BLOB UNIQUE,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX credentials_of_app ON credentials (app, issued);
CREATE INDEX credentials_under ON credentials (under) WHERE under IS NOT NULL;
CREATE INDEX credentials_of_user ON credentials (app, user);

-- An author belongs to the sealing key that was first shown with it.
CREATE TABLE authors (
    app TEXT NOT NULL REFERENCES apps (id),
    author BLOB NOT NULL,
    sealing BLOB NOT NULL,
    PRIMARY KEY (app, author)
) STRICT;

-- Whom a Big Peer has met under a delegation, by sealing keys, before anything of theirs was countersigned. Databases
-- that were made earlier get it when they are opened.
CREATE TABLE IF NOT EXISTS met (
    delegation BLOB NOT NULL,
    sealing BLOB NOT NULL,
    PRIMARY KEY (delegation, sealing)
) STRICT;

-- Of which authors, before anything proved that their keys are theirs: of each delegation by itself. As above.
CREATE TABLE IF NOT EXISTS met_authors (
    delegation BLOB NOT NULL,
    author BLOB NOT NULL,
    sealing BLOB NOT NULL,
    PRIMARY KEY (delegation, author)
) STRICT;

-- Which collections are confidential, and their epochs: the keys follow from a secret. As above, it may come later.
CREATE TABLE IF NOT EXISTS epochs (
    app TEXT NOT NULL REFERENCES apps (id),
    collection TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (app, collection, epoch)
) STRICT;

CREATE TABLE revocations (
    number BLOB NOT NULL,
    author BLOB NOT NULL,
    app TEXT NOT NULL REFERENCES apps (id),
    last INTEGER NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (number, author)
) STRICT;
CREATE INDEX revocations_of_app ON revocations (app, at);

-- What other peers are to know, in the order in which it came about: credentials of authors, revocations, issuers.
CREATE TABLE statements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL REFERENCES apps (id),
    body BLOB NOT NULL
) STRICT;
CREATE INDEX statements_of_app ON statements (app, id);

-- `chain` is SHA-256 over the chain before and this row: who cuts or edits the file breaks it.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    chain BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_words BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
