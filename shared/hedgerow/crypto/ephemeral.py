"""Keys for one handshake each, made ahead while nothing else is to be done; in RAM only, used once."""

from .. import limits


class Ephemerals:
    """A store of at most limits.MAX_EPHEMERALS pairs (private 32 bytes, x of the public key 32 bytes)."""

    def __init__(self, p256: object):
        self.p256 = p256
        self._ready: list = []

    def __len__(self) -> int:
        return len(self._ready)

    def prepare(self) -> object:
        """Make one more pair, if there is room: a generator of slices."""
        if len(self._ready) < limits.MAX_EPHEMERALS:
            pair = yield from self._make()
            if len(self._ready) < limits.MAX_EPHEMERALS:
                self._ready.append(pair)

    def take(self) -> object:
        """Return a pair that nobody has used, made now if none is ready: a generator of slices."""
        if self._ready:
            return self._ready.pop()
        return (yield from self._make())

    def _make(self) -> object:
        private, public = yield from self.p256.make_key()
        return private, public[1:]
