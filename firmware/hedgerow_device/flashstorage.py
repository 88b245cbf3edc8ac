"""What the log on flash says of its storage (MemoryLog.storage). NOT YET: what is open, and what is worn."""


def storage(log: object) -> dict:
    """Return how full the log is, in bytes."""
    ring = log.ring
    free = ring.free() * ring.size
    report = dict.fromkeys(("live", "receipted", "open", "carried", "dropped"), 0)
    report["capacity"] = report["life_days"] = None
    report["used"] = ring.count * ring.size - free
    report["free"] = free
    report["sectors"] = ring.count
    return report
