"""What a peer says of its storage: how full the log is, how worn, and what had to go."""

from . import limits

_CYCLES = limits.const(100000)
_DAY_MS = limits.const(86400000)
# Less of a boot says nothing about a day.
_LEAST_MS = limits.const(600000)


def storage(peer: object, uptime: int) -> dict:
    """Return what the log says (MemoryLog.storage), and what had to be since the boot, `uptime` ms ago.

    That is how many own operations were "lost" to make room, others' open ones "gone", own writes "refused".

    "life_days" is how long the flash lasts at the pace of this boot, None where nobody knows.
    """
    report = dict(peer.log.storage())
    report["lost"] = peer.account["lost"]
    report["gone"] = peer.account["dropped"]
    report["refused"] = peer.account["refused"]
    report["damaged"] = peer.log.damaged
    programmed = report.get("programmed")
    mean = report.get("erases_mean")
    if programmed and mean is not None and uptime >= _LEAST_MS:
        left = max(0, _CYCLES - int(mean)) * report["capacity"]
        report["life_days"] = left // max(1, programmed * _DAY_MS // uptime)
    return report


def open_percent(report: dict) -> int:
    """Return how many per cent of the room are taken by what no keeper has yet; 0 for room without end."""
    return report["open"] * 100 // report["capacity"] if report["capacity"] else 0


def line(report: dict) -> str:
    """Return a report as one line for a console."""
    words = ["open=%d%%" % open_percent(report)]
    for name in (
        "capacity",
        "open",
        "receipted",
        "free",
        "lost",
        "gone",
        "refused",
        "damaged",
        "erases_max",
        "life_days",
    ):
        if report.get(name) is not None:
            words.append("%s=%d" % (name, report[name]))
    return "storage " + " ".join(words)
