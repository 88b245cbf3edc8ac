"""Tells people on the console how full the log is, before and while something has to give."""

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
