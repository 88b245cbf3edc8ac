"""What is looked at once a minute: how full the log is, for the console, and whether to tell one's health."""

from hedgerow.limits import const
from hedgerow.storage import line, open_percent

_HIGH = const(70)
_LOW = const(60)


def look(peer: object, seen: list) -> None:
    """Print a `storage` line when open operations pass 70 % of the room, and when something had to go.

    `seen` is what was seen the last time, [False, {}] before the first.
    """
    report = peer.storage()
    percent = open_percent(report)
    went = dict(peer.account)
    high, before = seen
    if went != before or (percent >= _HIGH and not high):
        print(line(report))
    seen[0] = percent >= (_LOW if high else _HIGH)
    seen[1] = went


def tell_health(peer: object, last: int | None, report: object) -> int:
    """Write the board's health document if its turn came after the uptime `last`; return the uptime now.

    `last` is None before the first call: of a wake from deep sleep the wake before it counts then.
    """
    now = peer.now()
    every_ms = peer.settings["health_s"] * 1000
    if last is None:
        sleeper = peer.sleeper
        last = max(0, now - sleeper.period_ms) if sleeper and sleeper.woken else 0
    if every_ms:
        from hedgerow.health import is_due

        # Whom it has refused a board tells once out of turn. A log that was full at boot has no clock record
        # of it yet.
        early = peer.suspects and not peer.accused
        if (early or is_due(now, last, every_ms)) and not peer.late:
            from .health import tell

            tell(peer, now, report)
    return now
