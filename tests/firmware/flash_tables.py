"""A picture of the tables of a flash log, to compare what different ways of mounting make of them."""

from hedgerow_device.flashfind import find
from hedgerow_device.flashindex import MAX_INDEX
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashmount import mount
from hedgerow_sim.nor import Nor


def open_whole(nor: Nor) -> FlashLog:
    """Mount a log by all its frames."""
    log = FlashLog(nor)
    log.clear()
    find(log.ring)
    mount(log, checkpoint=False)
    assert log.scanned
    return log


def tables(log: FlashLog) -> dict[str, object]:
    """Return everything that a mount finds out, in a form that can be compared.

    Where sectors of authors were thinned, which ones are left depends on the way.
    """
    ring = log.ring
    zones = {author: list(zip(i.seqs, i.floors, strict=True)) for author, i in log.indexes.items()}
    thin = sum(map(len, zones.values())) > MAX_INDEX // 3
    more = log.more
    return {
        "ring": (ring.seq, ring.tail, ring.end, bool(ring.closed), ring.summary, ring.erases),
        "name": (ring.author, ring.incarnation),
        "slots": list(log.slots),
        "authors": {
            author: (index.slot, index.held, index.sealed, index.here == ring.seq)
            for author, index in log.indexes.items()
        },
        "zones": None if thin else zones,
        "values": dict(log.values),
        "receipts": dict(log.receipts),
        "carrying": log.carrying,
        "newest": (log.arrived, log.newest_keys),
        "collected": log.cursor,
        "totals": list(log.totals),
        "written": {a: (i.used, i.low, i.high) for a, i in log.indexes.items() if i.touched == ring.seq},
        "cycle": (log.marks.begun, log.marks.whole),
        "cursor": (log.marks.slot, log.marks.after) if log.marks.begun else None,
        "beside": None if not more else (more.ranges, more.cuts),
    }


def differences(one: dict[str, object], other: dict[str, object]) -> dict[str, tuple[object, object]]:
    """Return what is not the same in two pictures; what is None in one of them cannot be compared."""
    return {
        name: (one[name], other[name])
        for name in one
        if None not in (one[name], other[name]) and one[name] != other[name]
    }
