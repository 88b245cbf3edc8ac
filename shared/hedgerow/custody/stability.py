"""What a keeper knows of its takers, and the frontier that follows from it (SPEC 5.11)."""

from .. import limits
from ..log import STATE_CONFIG
from ..operation import decode_body
from .frontier import Frontier

_TAKER = b"t"
_READ_BYTES = limits.const(4096)


class Stability:
    """`positions` maps takers to up to which of our arrivals they have been told, by their own word.

    Takers beyond MAX_TAKERS are not waited for: they begin anew if something went by them.
    """

    def __init__(self, peer: object):
        self._peer = peer
        self.positions: dict = {}
        for name, value in peer.log.items(STATE_CONFIG):
            if name[:1] == _TAKER and len(name) == 9 and value:
                self.positions[name[1:]] = int.from_bytes(value, "big")

    def note(self, taker: bytes, position: int) -> None:
        """Learn how far a peer has been told; who holds nothing yet counts too."""
        known = self.positions.get(taker)
        if known is None and len(self.positions) >= limits.MAX_TAKERS:
            return
        if known != position:
            self.positions[taker] = position
            self._peer.log.put(STATE_CONFIG, _TAKER + taker, position.to_bytes(8, "big"))

    def retire(self, taker: bytes) -> None:
        """Wait for a peer no more: if it comes back it begins anew."""
        if taker in self.positions:
            del self.positions[taker]
            self._peer.log.put(STATE_CONFIG, _TAKER + taker, b"")

    def advance(self, newest: bytes, down: object) -> bool:
        """Pass a later frontier, if there is one, over what all have been told and is not after a stamp."""
        log = self._peer.log
        told = min([log.position()] + list(self.positions.values()))
        known = down.frontier
        position = 0 if known is None else known.position
        numbers = {} if known is None else dict(known.numbers)
        entries = log.since(position, _READ_BYTES)
        while entries and entries[0][0] <= told:
            for at, author, number, body in entries:
                if at > told or decode_body(body)[0] > newest:
                    entries = []
                    break
                if self._peer.writer_of(author) is None and number > numbers.get(author, 0):
                    numbers[author] = number
                position = at
            entries = entries and log.since(position, _READ_BYTES)
        if len(numbers) > limits.MAX_FRONTIER:
            return False
        if known is not None and position == known.position:
            return False
        frontier = Frontier(self._peer.identity, log.incarnation, position, numbers)
        if self._peer.members:
            frontier.signature = self._peer.members.sign(frontier.signed())
        down.pass_frontier(frontier, False)
        return True
