"""Who did to a gateway's radio what no sound peer does: counted, to be told to the Big Peer.

An address is no identity: it says where to look, and that somebody has tried.
"""

from collections import Counter, OrderedDict
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow.log import STATE_PEER
from hedgerow.mesh import frames, tells
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.ops import nearest
from hedgerow.offences import is_offence
from hedgerow.operation import SOURCE_GATEWAY, h16
from hedgerow.peer import Peer

from . import limits
from .radio import key_of

#: A frame of this mesh whose link tag is wrong: noise, another mesh of that tag, or somebody without its key.
TAG = "BEACON_TAG"
#: A STATE, which nobody passes on, was heard of another address before.
REPLAYED = "BEACON_REPLAYED"
#: An operation was said in the name of an author whose seal says otherwise.
FORGED = "OPERATION_FORGED"
#: A receipt was said over more than its keeper had much later.
RECEIPT = "RECEIPT_FORGED"
#: A revocation was said that no issuer has signed.
FALSE = "STATEMENT_INVALID"
#: A time was said that is far from this host's.
TIME_FALSE = "TIME_FALSE"
#: There was no room for what was said: of authors whose names nobody tells, as a rule.
CROWDED = "CUSTODY_FULL"

_STATE_BYTES, _TIME_BYTES, _RECEIPT_BYTES = 24, 22, 27
# What the engine counts while it takes an advertisement.
_COUNTED = (("strangers", TAG), ("forgotten", CROWDED), ("false", FALSE))


class Suspects:
    """Counts by (code, address), so many addresses a code; those beyond count under no address."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._told: Counter[tuple[str, str]] = Counter()
        self._pause_ms = limits.SUSPECTS_FIRST_MS
        self._due: int | None = None

    def note(self, code: str, address: str, count: int = 1) -> None:
        """Count what an address did."""
        known = self.counts.keys()
        others = sum(other == code for other, _ in known)
        full = len(self.counts) >= limits.SUSPECTS or others >= limits.SUSPECTS_CODE
        who = address if (code, address) in known or not full else ""
        self.counts[code, who] += count

    def note_visit(self, code: str, address: str) -> None:
        """Count what ended a visit, if it is an offence."""
        if is_offence(code):
            self.note(code, address)

    def due(self, now: int) -> bool:
        """Say whether there is news to be told: of an address that was not named for that yet a moment later,
        of others ever more seldom."""
        if self.counts == self._told:
            if self._due is not None and now - self._due >= limits.SUSPECTS_CALM_MS:
                self._pause_ms, self._due = limits.SUSPECTS_FIRST_MS, None
            return False
        if self._due is None:
            self._due = now + self._pause_ms
        if self.counts.keys() - self._told.keys():
            self._due = min(self._due, now + limits.SUSPECTS_FIRST_MS)
        return now >= self._due

    def tell(self, now: int) -> list[list[str | int]]:
        """Return [code, address, count since the start] of the newest, for the health document."""
        news = self.counts - self._told
        self._told = Counter(self.counts)
        self._pause_ms = min(2 * self._pause_ms, limits.SUSPECTS_PAUSE_MS)
        self._due = now + self._pause_ms
        order = sorted(self.counts, key=lambda key: (-news[key], key))
        return [[*key, self.counts[key]] for key in order[: limits.SUSPECTS_TOLD]]


class Watcher:
    """Looks at what a gateway hears for what `suspects` are to be counted for."""

    def __init__(self, peer: Peer, mesh: Mesh, suspects: Suspects) -> None:
        self._peer = peer
        self._mesh = mesh
        self._suspects = suspects
        self._states: OrderedDict[bytes, str] = OrderedDict()
        # Who said which operations that no seal covers yet: (short author, low 16 bits, check) -> address.
        self._said: OrderedDict[tuple[bytes, int, bytes], str] = OrderedDict()
        self._sealed: dict[bytes, int] = {}
        # Who said receipts over more than is here: (keeper, author, number) -> (address, when, known then).
        self._receipts: OrderedDict[tuple[bytes, bytes, int], tuple[str, int, int]] = OrderedDict()

    def before(self) -> tuple[int, ...]:
        """Return what `heard` compares with; call it before the mesh takes the advertisement."""
        stats = self._mesh.stats
        return tuple(stats[name] for name, _ in _COUNTED)

    def heard(self, address: str, payload: bytes, before: tuple[int, ...], now: int, *, ours: bool) -> None:
        """Look at an advertisement that the mesh has taken."""
        for (name, code), count in zip(_COUNTED, before, strict=True):
            if self._mesh.stats[name] != count:
                self._suspects.note(code, address, self._mesh.stats[name] - count)
        if not ours:
            return
        at = frames.find(payload)
        frame = bytes(payload[at : frames.end(payload, at)]) if at else b""
        kind = frame[0] & 0x0F if frame else None
        if kind == frames.STATE and len(frame) == _STATE_BYTES:
            first = self._states.setdefault(frame, address)
            # Two radios may know one sender by names of two kinds.
            if first != address and len(key_of(first)) == len(key_of(address)):
                self._suspects.note(REPLAYED, address)
            _bound(self._states, limits.SUSPECTS_STATES)
        elif kind == frames.TIME and len(frame) == _TIME_BYTES:
            self._hear_time(address, frame, now)
        elif kind == frames.OP:
            number = int.from_bytes(frame[7:9], "big")
            self._said.setdefault((frame[4:7], number, frame[9:11]), address)
            _bound(self._said, limits.SUSPECTS_SAID)
        elif kind == frames.RECEIPT and len(frame) == _RECEIPT_BYTES:
            keeper4, _, short, number, _ = tells.decode_receipt(frame)
            for author in self._authors(short):
                if number <= self._peer.log.held(author):
                    continue
                for keeper in self._keepers(keeper4[:3]):
                    receipted = self._peer.ledger.receipted_by(author, keeper)
                    if number > receipted:
                        self._receipts.setdefault((keeper, author, number), (address, now, receipted))
            _bound(self._receipts, limits.SUSPECTS_STATES)

    def _hear_time(self, address: str, frame: bytes, now: int) -> None:
        """Compare a TIME with the clock of this host, if that is what this peer goes by."""
        try:
            utc_ms, error_ms, *_ = tells.decode_time(frame)
        except HedgerowError:
            return
        known = self._peer.utc(now)
        if known is None or self._peer.time_source() != SOURCE_GATEWAY:
            return
        if abs(utc_ms - known[0]) > error_ms + known[1] + limits.SUSPECTS_TIME_MS:
            self._suspects.note(TIME_FALSE, address)

    def _authors(self, short: bytes) -> list[bytes]:
        """Return the author of a short name; none where several have it, for nobody can tell them apart."""
        found = list(self._mesh.names.find(short))
        return found if len(found) == 1 else []

    def _keepers(self, short: bytes) -> set[bytes]:
        """Return the keeper of a short name as _authors does: of one that nobody knows nothing is shown."""
        known = {keeper for keeper, _ in self._peer.log.items(STATE_PEER) if keeper[:3] == short}
        found = known.union(self._mesh.names.find(short))
        return found if len(found) == 1 else set()

    def judge(self, now: int) -> None:
        """Compare what was said with what seals and keepers vouch for by now."""
        for said, (address, at, known) in list(self._receipts.items()):
            keeper, author, number = said
            receipted = self._peer.ledger.receipted_by(author, keeper)
            if receipted >= number:
                del self._receipts[said]
            elif receipted > known and now - at >= limits.SUSPECTS_RECEIPT_MS:
                # Another gateway may hear of a receipt sooner, but not by so much.
                del self._receipts[said]
                self._suspects.note(RECEIPT, address)
        log = self._peer.log
        shorts = {short for short, _, _ in self._said}
        for short in shorts:
            for author in self._authors(short):
                sealed = log.sealed(author)
                if sealed > self._sealed.get(author, 0):
                    self._sealed[author] = sealed
                    self._judge(author, short, sealed)
        if len(self._sealed) > limits.SUSPECTS_STATES:
            self._sealed.clear()

    def _judge(self, author: bytes, short: bytes, sealed: int) -> None:
        for key in [key for key in self._said if key[0] == short]:
            number = nearest(sealed, key[1])
            if number > sealed:
                continue
            address = self._said.pop(key)
            stored = self._peer.log.fetch(author, number)
            if stored is not None and h16(author, number, stored, self._peer.schemas)[:2] != key[2]:
                self._suspects.note(FORGED, address)


def _bound(table: "OrderedDict[Any, Any]", most: int) -> None:
    if len(table) > most:
        table.popitem(last=False)
