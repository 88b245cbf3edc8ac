"""How full and how worn the log is."""

from .flashcollect import open_bytes
from .flashring import HEADER


def storage(log: object) -> dict:
    """Return the report of FlashLog.storage(): estimates but for "carried" and the sectors."""
    ring = log.ring
    sector = ring.size - HEADER
    used = (ring.seq - ring.tail) * sector + ring.end - log.cursor
    collector = log.collector()
    live = min(used, collector.load())
    erases = []
    for seq in range(max(1, ring.seq - ring.count + 1), ring.seq + 1):
        header = ring.header(seq)
        if header:
            erases.append(header.erases)
    dropped = 0
    if log.has_beside():
        more = log.beside()
        for author, index in log.indexes.items():
            dropped += more.hides(author, 0, index.held) * log.mean
    if len(erases) < ring.count:
        erases.append(0)
    return {
        # Where something has to be moved on, a tenth of the ring at least is for what is dead.
        "capacity": (ring.count - log.spare) * sector * (9 if log.totals[1] else 10) // 10,
        "used": used,
        "free": max(0, (ring.free() - log.spare) * sector + ring.size - ring.end),
        "open": open_bytes(log, True),
        "live": live,
        "receipted": used - live,
        "carried": log.totals[1],
        "dropped": min(dropped, used),
        "sectors": ring.count,
        "erases_min": min(erases),
        "erases_max": max(erases),
        "erases_mean": sum(erases) // len(erases),
        "programmed": ring.programmed,
        "life_days": None,
    }
