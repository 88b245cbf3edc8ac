"""What waits at a gateway or keeper, durable: who brought it has been told that it is here (SPEC 6.26)."""

from .. import limits
from ..log import STATE_CUSTODY
from . import pace
from .outcome import GAP

_WAITING = b"w"
_PARTS = b"l"
# For so many boots.
_BOOTS = limits.const(8)
# Letters of which fragments are here.
_MOST = limits.const(512)


class Kept:
    """Keeps in `log` what waits in `intake`, and fragments of letters in parts; `epoch` counts boots."""

    def __init__(self, intake: object, log: object, epoch: int):
        self._letters = intake.letters
        self._log = log
        self._epoch = epoch & 0xFF
        old: list = []
        # id -> frames, each after its length.
        self.parts: dict = {}
        for key, value in log.items(STATE_CUSTODY):
            if key[:1] == _PARTS and value:
                self.parts[key[1:]] = value
                for frame in unjoin(value):
                    self._letters.take(frame, 0)
            elif key[:1] == _WAITING and value:
                # Each boot makes it older.
                if epoch - value[0] & 0xFF < _BOOTS:
                    intake.waiting[int.from_bytes(key[1:], "big")] = value[1:], GAP, 0
                else:
                    old.append(key)
        for key in old:
            log.put(STATE_CUSTODY, key, b"")
        log.commit()

    def put(self, name: int, what: bytes) -> None:
        """Keep what waits under a name; nothing for what waits no more."""
        if what:
            what = bytes((self._epoch,)) + what
        self._log.put(STATE_CUSTODY, _WAITING + name.to_bytes(4, "big"), what)
        self._log.commit()

    def fragment(self, frame: bytes, now: int) -> bool:
        """Keep a fragment until its letter is whole; False if there is no room for more."""
        letter = frame[4:7]
        if letter not in self.parts and len(self.parts) >= _MOST:
            oldest = self._letters.oldest()
            if oldest is None or now - oldest[1] < pace.DONE_MS:
                return False
            self._letters.forget(oldest[0])
            self.drop(oldest[0])
        self.parts[letter] = self.parts.get(letter, b"") + bytes((len(frame),)) + frame
        self._log.put(STATE_CUSTODY, _PARTS + letter, self.parts[letter])
        self._log.commit()
        return True

    def drop(self, letter: bytes) -> list:
        """Forget the fragments of a letter, and return them."""
        value = self.parts.pop(letter, None)
        if value is None:
            return []
        self._log.put(STATE_CUSTODY, _PARTS + letter, b"")
        self._log.commit()
        return unjoin(value)


def unjoin(value: bytes) -> list:
    """Return the frames that lie one behind the other, each after its length."""
    frames = []
    at = 0
    while at < len(value):
        frames.append(value[at + 1 : at + 1 + value[at]])
        at += 1 + value[at]
    return frames
