-- Bridges: where changes go on to, how far each has come, and which node runs it. `fence` rises with every
-- change of nodes: one that lost its lease writes nothing here any more.
CREATE TABLE bridges (
    app TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    config TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    xid BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    paused BIGINT NOT NULL DEFAULT 0,
    owner TEXT COLLATE "C" NOT NULL DEFAULT '',
    lease BIGINT NOT NULL DEFAULT 0,
    fence BIGINT NOT NULL DEFAULT 0,
    delivered BIGINT NOT NULL DEFAULT 0,
    error TEXT COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (app, name)
);

-- Events that a sink refuses for good, and those of the same document behind them.
CREATE TABLE parked (
    app TEXT COLLATE "C" NOT NULL,
    bridge TEXT COLLATE "C" NOT NULL,
    xid BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    event BYTEA NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    replay BIGINT NOT NULL DEFAULT 0,
    at BIGINT NOT NULL,
    PRIMARY KEY (app, bridge, xid, seq)
);
