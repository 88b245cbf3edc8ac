"""Letters on their way down, for a board with the small engine that wants documents (SPEC 6.31).

It asks, and is told, as a leaf is. What is whole waits until the engine has made room: see `errands`.
"""

from hedgerow.limits import const
from hedgerow.mesh import asks, letters, pace

# Letters that are put together at a time, and ids that are known of those that were whole.
_LETTERS = const(3)
_KNOWN = const(8)
# How long what is missing of a letter may be on its way, and how often it is asked for; what goes together.
_ASK_AFTER_MS = const(700)
_ASKS = const(4)
_GATHER_MS = const(1500)
_MOST_WHOLE = const(6)


class Wisher:
    """Puts letters together for a `teller`, which speaks for it.

    `whole` are contents of letters; at `errand_at` the time has come to take them in, or to ask anew.
    """

    def __init__(self, teller: object, random: object, now: int):
        peer = teller.peer
        self._teller = teller
        self._random = random
        self._letters = letters.Letters(_LETTERS, _KNOWN)
        # Name of a letter of which something is missing -> [when to ask for it, how often still].
        self._asked: dict = {}
        self.whole: list = []
        if not peer.wish_at:
            peer.wish_at = now + random(pace.START_MS)
        self.errand_at = peer.wish_at
        for content in peer.wish_letters:
            teller.say_letter(content)
        peer.wish_letters = []
        self._schema = peer.wish_schema
        if self._schema:
            teller.ask(asks.WANT_SCHEMAS, self._schema)

    def asks_schema(self, frame: bytes) -> bool:
        """Say whether a fragment on its way up may be of a schema that was asked for: so a flood tells it."""
        first = not frame[7] >> 4 and frame[8] & 0x7F == letters.SCHEMA
        return bool(self._schema) and (first or frame[4:7] in self._asked)

    def heard(self, frame: bytes, now: int) -> None:
        """Take a fragment of a letter on its way down, or of a schema."""
        name = frame[4:7]
        if self._letters.done(name, now):
            return
        content = self._letters.take(frame, now)
        if content is None:
            if name not in self._asked and len(self._asked) < _LETTERS:
                self._asked[name] = [now + _ASK_AFTER_MS + self._random(_ASK_AFTER_MS), _ASKS]
            return
        self._asked.pop(name, None)
        if content[0] not in (letters.INTEREST, letters.CREDENTIAL) and len(self.whole) < _MOST_WHOLE:
            self.whole.append(content)
            # A schema and what needs it come together.
            self.errand_at = min(self.errand_at, now + _GATHER_MS)

    def step(self, now: int) -> int:
        """Ask for what is missing; return when there is more to do."""
        at = self.errand_at
        for name in list(self._asked):
            entry = self._asked[name]
            if entry[0] <= now:
                missing = self._letters.missing(name)
                entry[0] = now + pace.ASK_MS
                entry[1] -= 1
                if entry[1] < 0 or not missing:
                    del self._asked[name]
                    continue
                self._teller.ask(asks.WANT_LETTERS, (name, missing))
            at = min(at, entry[0])
        return max(at, now + _ASK_AFTER_MS // 2)
