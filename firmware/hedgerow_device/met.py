"""Whom a board has met by a handshake, in its vault: after a power cut it resumes as before it."""

from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.resume import Resumable, Resumables
from hedgerow.errors import HedgerowError

from . import vault

_ORDER = 4
_RESUMABLE = 63


class Met(Resumables):
    """At most `most` of them, with the credentials that go to `trust`; written once for each handshake."""

    def __init__(self, most: int, trust: object):
        Resumables.__init__(self, most)
        self._trust = trust
        self._places: dict = {}
        found: list = []
        for place in range(most):
            data = vault.read("met%d" % place)
            if data:
                found.append((data, place))
        self._order = 0
        for data, place in sorted(found):
            self._order = int.from_bytes(data[:_ORDER], "big") + 1
            try:
                entry = Resumable.unpack(data[_ORDER : _ORDER + _RESUMABLE])
                trust.keep(Credential(data[_ORDER + _RESUMABLE :]))
            except HedgerowError:
                # Of another version; the next handshake takes its place.
                continue
            Resumables.add(self, entry)
            self._places[entry.remote] = place

    def add(self, entry: Resumable) -> None:
        """See Resumables.add; durable on return, if the vault has room."""
        Resumables.add(self, entry)
        kept = [other.remote for other in self.entries]
        for remote in list(self._places):
            if remote not in kept:
                del self._places[remote]
        place = self._places.get(entry.remote)
        if place is None:
            taken = list(self._places.values())
            place = min([n for n in range(len(taken) + 1) if n not in taken])
        self._places[entry.remote] = place
        credential = self._trust.known(entry.remote).value
        try:
            order = self._order.to_bytes(_ORDER, "big")
            vault.write("met%d" % place, order + entry.pack() + credential)
            self._order += 1
        except OSError:
            # The next power cut costs a handshake.
            pass
