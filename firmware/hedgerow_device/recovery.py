"""Mending a radio that has gone silent: scanning begun anew, the radio switched off and on, a reset.

Loaded at the first silence. A board that is alone hears nothing either: it goes on trying, ever more seldom,
and is reset only if this boot had heard somebody.
"""

import struct

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import STATE_CONFIG

KEY = b"radio"
_COUNTS = ">HHH"
_MOST = const(0xFFFF)
# Silences in a row after which the next stage is tried.
_RESTART = const(3)
_RESET = const(5)


class Recovery:
    """What was done about silence: `rescans`, `restarts` since the boot, `resets` since the log was made."""

    def __init__(self, peer: object):
        self._peer = peer
        self._silences = 0
        self.rescans = 0
        self.restarts = 0
        self.resets = resets(peer.log)

    def well(self) -> None:
        """Something was heard."""
        self._silences = 0

    def mend(self, ears: object, idle: bool) -> bool:
        """Do what is next; `idle` says that no session would be cut. Says whether the radio was restarted.

        Does not return from a reset.
        """
        self._silences = silences = self._silences + 1
        if silences < _RESTART or not idle:
            self.rescans += 1
            if ears.scanning:
                ears.stop_scan()
            return False
        if silences == _RESET and ears.heard:
            self._reset()
        # After the first few only when there have been twice as many.
        if silences > _RESET and silences & (silences - 1):
            return False
        self.restarts += 1
        print("radio restart silences=%d" % silences)
        ears.restart()
        return True

    def _reset(self) -> None:
        log = self._peer.log
        try:
            count = min(self.resets + 1, _MOST)
            log.put(
                STATE_CONFIG, KEY, struct.pack(_COUNTS, self.rescans & _MOST, self.restarts & _MOST, count)
            )
            log.commit()
            log.close()
        except HedgerowError:
            # A full log counts no more resets.
            pass
        print("radio reset")
        from machine import reset

        reset()


def resets(log: object) -> int:
    """Return how often silence has ended in a reset since the log was made."""
    stored = log.get(STATE_CONFIG, KEY)
    return struct.unpack(_COUNTS, stored)[2] if stored and len(stored) == 6 else 0
