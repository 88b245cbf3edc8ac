"""What a peer says of its storage: how full the log is, how worn, and what had to go."""

from . import limits
from .errors import HedgerowError

_CYCLES = limits.const(100000)
_EACH_DAY_MS = limits.const(86400000)
# Less of a boot says nothing about a day.
_LEAST_MS = limits.const(600000)


def check_policies(full: dict) -> dict:
    """Return the policies that let something go, by collection; SETTING_INVALID for one that there is not."""
    for collection in full:
        if full[collection] not in ("refuse", "oldest", "thin"):
            raise HedgerowError("SETTING_INVALID", "full: %s is refuse, oldest or thin" % collection)
    return {collection: full[collection] for collection in full if full[collection] != "refuse"}


def storage(peer: object, uptime: int) -> dict:
    """Return what the log says (MemoryLog.storage), and what had to be since the boot, `uptime` ms ago.

    That is how many own operations were "lost" to make room, others' open ones "gone", own writes "refused".

    "life_days" is how long the flash lasts at the pace of this boot, None where nobody knows.
    """
    report = dict(peer.log.storage())
    report["lost"] = peer.account.get("lost", 0)
    report["gone"] = peer.account.get("dropped", 0)
    report["refused"] = peer.account.get("refused", 0)
    report["damaged"] = peer.log.damaged
    programmed = report.get("programmed")
    mean = report.get("erases_mean")
    if programmed and mean is not None and uptime >= _LEAST_MS:
        left = max(0, _CYCLES - int(mean)) * report["capacity"]
        report["life_days"] = left // max(1, programmed * _EACH_DAY_MS // uptime)
    return report


def open_percent(report: dict) -> int:
    """Return how many per cent of the room are taken by what no keeper has yet; 0 for room without end."""
    return report["open"] * 100 // report["capacity"] if report["capacity"] else 0


def line(report: dict) -> str:
    """Return a report as one line for a console."""
    words = ["unreceipted=%d%%" % open_percent(report)]
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
