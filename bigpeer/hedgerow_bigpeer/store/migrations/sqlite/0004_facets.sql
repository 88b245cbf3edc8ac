-- What SQL sees of a document that exists: see facets.py. migrate.py fills it for documents that were here
-- before.
ALTER TABLE documents ADD COLUMN facets TEXT;

-- Paths that are indexed on request, under the name that the request gave.
CREATE TABLE indexes (
    app TEXT NOT NULL,
    collection TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (app, collection, name)
) STRICT, WITHOUT ROWID;

-- The transaction that changed a row last, so that one node of many can ask what others did.
ALTER TABLE authors ADD COLUMN xid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schemas ADD COLUMN xid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clocks ADD COLUMN xid INTEGER NOT NULL DEFAULT 0;
