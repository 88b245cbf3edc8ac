"""Own operations that go when the log is full: which, and what takes their place (SPEC 5.5.5, 5.5.6)."""

from . import limits
from .clock import hlc
from .codec import cbor
from .codec.schema import CONFIDENTIAL, is_stream
from .custody.skip import DROPPED, LOST, SEALED, THINNED, Skip
from .errors import HedgerowError
from .full import account
from .log import ENTRY_OP, ENTRY_SKIP, STATE_CONFIG
from .operation import CLOCK, INSERT, SOURCE_BOOT, decode_body
from .peer import Peer
from .trust.lost import make_lost, seal_over
from .trust.seal import NO_SEAL

OLDEST = "oldest"
THIN = "thin"

# What was to be replaced by which summary, so that a power cut leaves no reading counted twice.
_INTENT = b"thin"
_READ_BYTES = limits.const(2048)
# Operations that one range takes, and that are looked at in one go.
_MOST = limits.const(512)
_LOOK = limits.const(4096)
# What a range costs: its skip, the seal that stays, a summary; and what it must yield to be worth it.
_SKIP_BYTES = limits.const(130)
_SEAL_BYTES = limits.const(124)
_SUMMARY_BYTES = limits.const(96)
_ENTRY_BYTES = limits.const(8)
_LEAST = limits.const(256)


class Plan:
    """Own operations that go together: `parts` are their ranges, `gain` about how many bytes they free.

    `summary` has their readings, None if they are dropped; `low` is the number of the oldest summary that
    stands for any of them already, `count` how many operations they are, clock records apart.
    """

    def __init__(self, peer: object, parts: list, summary: object, low: int, count: int, gain: int):
        self._peer = peer
        self.parts = parts
        self.summary = summary
        self._low = low
        self._count = count
        self.gain = gain

    def carry_out(self, now: int) -> None:
        """Put skips in the place of the operations; first of all the summary is durable."""
        peer = self._peer
        log = peer.log
        if self.summary is None:
            self._replace(DROPPED, None)
            return
        number = self._write(now)
        self._replace(THINNED, [self._low or number, number])
        log.put(STATE_CONFIG, _INTENT, b"")
        peer.commit()

    def _write(self, now: int) -> int:
        peer = self._peer
        number = peer.log.held(peer.author) + 1
        intent = cbor.encode([number, self._low or number, [list(part) for part in self.parts]])
        while True:
            changes, schemas = self.summary.changes()
            try:
                if len(changes) > limits.MAX_CHANGES:
                    raise HedgerowError("OPERATION_TOO_LARGE", "%d summaries" % len(changes))
                peer.log.put(STATE_CONFIG, _INTENT, intent)
                return Peer.write(peer, changes, schemas, now)
            except HedgerowError as error:
                if error.code != "OPERATION_TOO_LARGE" or not self.summary.coarsen():
                    raise

    def _replace(self, reason: int, summary: list | None) -> None:
        peer = self._peer
        account(peer)["lost"] += self._count
        for first, last in self.parts:
            peer.touch_own(first, last)
            put_skip(peer, first, last, reason, summary)
        peer.commit()


def put_skip(peer: object, first: int, last: int, reason: int, summary: list | None) -> None:
    """Put a lost skip in the place of own operations; it is durable after commit()."""
    log = peer.log
    previous = _seal_before(log, peer.author, first)
    stamp = hlc.wire(peer.clock.last)
    log.replace(
        peer.author,
        first,
        last,
        make_lost(peer.author, first, last, reason, stamp, summary, previous, peer.members),
    )


def _seal_before(log: object, author: bytes, first: int) -> bytes | None:
    """Return the hash of the seal before an operation, as the seal over it, or the skip there, names it."""
    if first == 1:
        return NO_SEAL
    for kind, _, _, body in log.read(author, first - 1, log.sealed(author), 1):
        if kind == ENTRY_SKIP:
            detail = Skip.decode(body).detail
            return detail[3] if len(detail) == SEALED else None
    seal = seal_over(log, author, first)
    return seal.previous if seal else None


def finish(peer: object) -> bool:
    """After a power cut: complete what was begun, if its summary is there; say whether anything went."""
    log = peer.log
    intent = log.get(STATE_CONFIG, _INTENT)
    if not intent:
        return False
    found = False
    number, low, parts = cbor.decode(intent)
    body = log.fetch(peer.author, number)
    if body is not None and _is_summary(peer, body):
        for first, last in parts:
            entries = log.read(peer.author, first - 1, log.sealed(peer.author), 1)
            if not entries or entries[0][0] != ENTRY_SKIP or entries[0][2] < last:
                put_skip(peer, first, last, THINNED, [low, number])
                found = True
    log.put(STATE_CONFIG, _INTENT, b"")
    peer.commit()
    return found


def _is_summary(peer: object, body: bytes) -> bool:
    """Say so by the names of fields: a peer that boots has no keys of confidential collections yet."""
    change = decode_body(body)[1][0]
    names = [name for name, _ in peer.schemas[change[1]].fields] if change[0] == INSERT else []
    return "_count" in names and "_from" in names


def _read(peer: object, number: int, body: bytes) -> tuple:
    """Return (stamp, changes) of an own operation; what cannot be read here is HIDDEN."""
    stamp, changes = decode_body(body)
    if [1 for change in changes if change[0] != CLOCK and peer.schemas[change[1]].kind & CONFIDENTIAL]:
        from .reveal import reveal

        changes = reveal(peer, peer.author, number, stamp, changes)
    return stamp, changes


def find(peer: object) -> Plan | None:
    """Return what may go next of the own open operations by the policies in `peer.full`, None for nothing."""
    return _Search(peer).run()


class _Search:
    """Walks up from the oldest open operation, and gathers neighbours that may go together."""

    def __init__(self, peer: object):
        self._peer = peer
        self._log = peer.log
        self._thins = THIN in peer.full.values()
        self._start_range()

    def _start_range(self) -> None:
        self._lowest = self._highest = self._stop = 0
        self._drop = self._thin = True
        self._looked = self._count = self._size = 0
        self._low = 0
        self._sums: object = None
        # The newest clock record in the range, and whether anything before it and behind it is worth a skip.
        self._clock = 0
        self._worth = [False, False]

    def run(self) -> Plan | None:
        peer = self._peer
        log = self._log
        author = peer.author
        counts = account(peer)
        receipted = peer.receipted(author)
        if receipted < counts["receipted"]:
            counts["scanned"] = 0
        counts["receipted"] = receipted
        at = max(receipted, counts["scanned"])
        # The next boot goes on from the newest operation; and what no seal covers is not old.
        end = min(log.sealed(author), log.held(author) - 1)
        looked = 0
        while at < end and looked < _LOOK:
            entries = log.read(author, at, log.sealed(author), _READ_BYTES)
            if not entries:
                break
            for kind, first, last, body in entries:
                plan = self._end_range() if last > end else self._take(kind, first, last, body)
                if plan or last > end:
                    return self._note(plan, at)
                at = last
                looked += 1
        return self._note(self._end_range(), at)

    def _note(self, plan: Plan | None, at: int) -> Plan | None:
        """Remember below which number nothing is left to find."""
        first = plan.parts[0][0] if plan else self._lowest
        account(self._peer)["scanned"] = first - 1 if first else at
        return plan

    def _take(self, kind: int, first: int, last: int, body: bytes) -> Plan | None:
        """Add an entry to the range; return the plan that ends before it, or with it."""
        if kind == ENTRY_OP:
            drop, thin, readings = self._classify(last, body)
        else:
            drop, thin, low = self._classify_skip(body)
        if not (self._drop and drop) and not (self._thin and thin):
            plan = self._end_range()
            if plan:
                return plan
            self._start_range()
            if not drop and not thin:
                return None
        self._lowest = self._lowest or first
        self._highest = last
        self._drop = self._drop and drop
        self._thin = self._thin and thin
        self._size += len(body) + _ENTRY_BYTES
        if kind != ENTRY_OP:
            self._worth[self._clock > 0] = True
            self._size += _SEAL_BYTES
            self._low = min(self._low or low, low)
            return None
        self._looked += 1
        if readings is None:
            # A clock record: what came before it is one part, what comes behind another.
            self._worth = [self._worth[0] or self._worth[1], False]
            self._clock = first
        else:
            self._worth[self._clock > 0] = True
            self._count += 1
            if self._thin:
                self._gather(readings)
        return self._end_range() if self._is_long() else None

    def _is_long(self) -> bool:
        """Say whether the range is long enough, and ends with a seal's run."""
        if self._looked < _MOST:
            return False
        if not self._stop:
            seal = seal_over(self._log, self._peer.author, self._highest)
            self._stop = seal.last if seal else self._highest
        return self._highest >= self._stop

    def _gather(self, readings: list) -> None:
        if self._sums is None:
            from .summary import Summary

            self._sums = Summary()
        for reading in readings:
            self._sums.add(*reading)

    def _classify_skip(self, body: bytes) -> tuple:
        """Return whether a skip may go into one of what is dropped, or thinned; and its oldest summary."""
        skip = Skip.decode(body)
        if skip.kind != LOST or len(skip.detail) != SEALED:
            return False, False, 0
        if skip.detail[0] == THINNED:
            return False, self._thins, skip.detail[2][0]
        return skip.detail[0] == DROPPED, False, 0

    def _classify(self, number: int, body: bytes) -> tuple:
        """Return whether an operation may be dropped, and thinned; its readings, None for a clock record."""
        stamp, changes = _read(self._peer, number, body)
        drop = True
        thin = self._thins
        readings: object = None
        for change in changes:
            if change[0] == CLOCK:
                continue
            schema = self._peer.schemas[change[1]]
            policy = self._peer.full.get(schema.collection)
            drop = drop and policy == OLDEST
            plain = change[0] == INSERT and change[2] is None and is_stream(schema.kind)
            thin = thin and plain and policy in (OLDEST, THIN)
            readings = readings or []
            if thin:
                document = schema.unpack(change[3])
                readings.append((schema.collection, schema.kind, document, hlc.stamp_ms(stamp)))
        return drop, thin, readings

    def _end_range(self) -> Plan | None:
        """Return the plan for the range as it is, None if it is not worth it."""
        first, last, clock = self._lowest, self._highest, self._clock
        if not self._worth[0] and not self._worth[1]:
            return None
        parts = [(first, last)]
        if clock and not _is_boot(self._log.fetch(self._peer.author, last + 1)):
            # What follows still needs the newest clock record.
            both = ((first, clock - 1), (clock + 1, last))
            parts = [part for part, worth in zip(both, self._worth) if worth]
        summary = None if self._drop else self._sums
        if summary is None and not self._drop:
            return None
        gain = self._size + _SEAL_BYTES * (last - first + 1) // limits.SEAL_EVERY
        gain -= (_SKIP_BYTES + _SEAL_BYTES) * len(parts)
        if summary is not None:
            summary.flush()
            while len(summary.rows) > limits.MAX_CHANGES and summary.coarsen():
                pass
            gain -= _SUMMARY_BYTES * len(summary.rows)
        if gain < _LEAST:
            return None
        return Plan(self._peer, parts, summary, self._low, self._count, gain)


def _is_boot(body: bytes | None) -> bool:
    """Say whether an operation is a boot's clock record: those before it are nothing to what follows."""
    if body is None:
        return False
    change = decode_body(body)[1][0]
    return change[0] == CLOCK and change[4] == SOURCE_BOOT
