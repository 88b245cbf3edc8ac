-- Bridges: where changes go on to, how far each has come, and which node runs it. `fence` rises with every
-- change of nodes: one that lost its lease writes nothing here any more.
CREATE TABLE bridges (
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    version INTEGER NOT NULL,
    xid INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    lease INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

-- Events that a sink refuses for good, and those of the same document behind them.
CREATE TABLE parked (
    app TEXT NOT NULL,
    bridge TEXT NOT NULL,
    xid INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    key TEXT NOT NULL,
    event BLOB NOT NULL,
    reason TEXT NOT NULL,
    replay INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL,
    PRIMARY KEY (app, bridge, xid, seq)
) STRICT, WITHOUT ROWID;
