-- Positions count arrivals and are never given twice: the greatest one is noted before anything is removed.
ALTER TABLE store ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
ALTER TABLE store ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX entry_skip ON entry (author, first) WHERE kind = 2;
-- Operations beside the run. Their positions are drawn from the same count as those of the entries.
CREATE TABLE filled (
    position INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES author,
    number INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX filled_number ON filled (author, number);
-- Numbers up to held without an entry: ranges that neither overlap nor join.
CREATE TABLE dropped (
    author INTEGER NOT NULL REFERENCES author,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (author, first)
) WITHOUT ROWID;
INSERT INTO dropped
    SELECT author, before + 1, first - 1
    FROM (
        SELECT author, first, lag(last, 1, 0) OVER (PARTITION BY author ORDER BY last) AS before
        FROM entry WHERE kind <> 1
        UNION ALL
        SELECT author.id, held + 1, coalesce((SELECT max(last) FROM entry WHERE author = author.id AND kind <> 1), 0)
        FROM author
    )
    WHERE first > before + 1;
-- Which operations touch the documents whose collection and id have this hash.
CREATE TABLE touched (
    key INTEGER NOT NULL,
    author INTEGER NOT NULL REFERENCES author,
    number INTEGER NOT NULL,
    PRIMARY KEY (key, author, number)
) WITHOUT ROWID;
CREATE INDEX touched_number ON touched (author, number);
UPDATE schema_version SET version = 2;
