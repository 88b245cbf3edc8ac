"""Small documents on their way down: interests said by letter, operations that answer them (SPEC 6.31).

Loaded where somebody wants documents. What does not fit a letter comes by a session.
"""

from hashlib import sha256

from .. import limits
from ..codec import cbor
from ..codec.schema import CONFIDENTIAL, SCOPE_ALL, scope_of
from ..errors import HedgerowError
from ..operation import CLOCK, decode_body
from ..sync.hello import LEAF
from ..sync.interest import Interest
from . import asks, letters, pace

# Beside the hops of an interest: whoever asks listens for a moment only.
_HURRY = limits.const(0x80)
_SERIAL_SHIFT = limits.const(3)
_READ_BYTES = limits.const(1024)
_MOST_READS = limits.const(8)
# How often what a leaf has asked for is handed over, and how many operations wait for that.
_HAND_OVERS = limits.const(8)
_MOST_NEWS = limits.const(4)


def mark_of(author: bytes, number: int) -> bytes:
    """Return the 2 bytes by which an interest says that an operation is held."""
    return sha256(author + number.to_bytes(4, "big")).digest()[:2]


def encode_wish(interest: object, marks: list, hurry: bool, serial: int = 0) -> bytes:
    """Return the content of an INTEREST letter: hops, marks of what is held, [collection, condition, ...].

    Four bits of `serial` tell it from the same one before, which would be taken for a repeat.
    """
    flags = interest.hops | (serial & 15) << _SERIAL_SHIFT | (_HURRY if hurry else 0)
    head = bytes((letters.INTEREST, flags, len(marks)))
    return head + b"".join(marks) + cbor.encode([interest.collection, interest.where, interest.parameters])


def decode_wish(content: bytes) -> tuple:
    """Return (interest, marks, hurry); LETTER_INVALID, or a code of interests."""
    if len(content) < 4 or content[0] != letters.INTEREST:
        raise HedgerowError("LETTER_INVALID", "no interest")
    at = 3 + 2 * content[2]
    row = cbor.decode(content[at:])
    hops = content[1] & limits.MAX_INTEREST_HOPS
    if not isinstance(row, list) or len(row) != 3:
        raise HedgerowError("LETTER_INVALID", "not [collection, condition, parameters]")
    if not isinstance(row[2], dict):
        raise HedgerowError("LETTER_INVALID", "parameters are a map")
    marks = [content[start : start + 2] for start in range(3, at, 2)]
    return Interest(row[0], row[1], row[2], hops), marks, bool(content[1] & _HURRY)


class Wishes:
    """What this peer wants, and what its neighbours asked for; `mesh` is the engine it belongs to."""

    def __init__(self, mesh: object, now: int):
        self._mesh = mesh
        self._peer = mesh.peer
        # key -> [interest, moment until which it is kept, whether a leaf asked]
        self._asked: dict = {}
        # What arrived, to be said once more: [(moment, author, number)].
        self._again: list = []
        # What arrived for leaves: [author, number, moment until which it is handed over, how often still].
        self._news: list = []
        # collection -> [(author, number)] of the newest operations, as far as the log was looked through.
        self._held: dict = {}
        self._position = 0
        self._quiet_to = 0
        # An engine that is made anew, as a session needs its room, goes on for those whose wishes it knew.
        if self._peer.wants(now):
            known = self._peer.down.subscriptions
            self._quiet_to = known.passed_to
            for key, entry in known.adopted.items():
                self._asked[key] = [entry[0], now + pace.WISH_MS * 8, True]
        self._owed: list = []
        self._serial = mesh.random(16)
        self.waiting: list = []
        # How often more than usual an interest is still to be said.
        self.eager = pace.PUSHES
        self.say_at = now + mesh.random(pace.START_MS)

    # ---- what is here

    def look(self, now: int) -> bool:
        """Look at what has arrived in the log, a little at a time; say whether there is more."""
        log = self._peer.log
        wanted = self._collections(now)
        for _ in range(_MOST_READS):
            if not wanted or self._position >= log.position():
                return False
            entries = log.since(self._position, _READ_BYTES)
            if not entries:
                # A log may count in its positions what is no operation, or gone.
                self._position = log.position()
                return False
            for position, author, number, body in entries:
                self._position = position
                self._enter(author, number, body, wanted, now)
            known = self._peer.down.subscriptions
            known.passed_to = max(known.passed_to, self._position)
        return self._position < log.position()

    def _collections(self, now: int) -> list:
        for key in [key for key in self._asked if self._asked[key][1] <= now]:
            del self._asked[key]
        found = [entry[0].collection for entry in self._asked.values()]
        if self._peer.wants(now):
            found += [interest.collection for interest in self._peer.down.subscriptions.active(now)]
        return found

    def _enter(self, author: bytes, number: int, body: bytes, wanted: list, now: int) -> None:
        for collection in self._of(body):
            if collection not in wanted:
                continue
            held = self._held.setdefault(collection, [])
            if (author, number) not in held:
                held.append((author, number))
                if len(held) > limits.MESH_MARKS:
                    held.pop(0)
            for interest, until, leaf in self._asked.values():
                if self._position <= self._quiet_to:
                    continue
                if interest.collection == collection and until > now and self._fits(interest, author, number):
                    self._say(author, number, now + self._mesh.spread(), False)
                    # Who heard nothing of it cannot ask for the rest, and for the whole again much later.
                    late = now + 2 * pace.TIME_MS + self._mesh.random(pace.TIME_MS)
                    if (author, number) not in [entry[1:] for entry in self._again]:
                        self._again = self._again[1 - _MOST_NEWS :] + [(late, author, number)]
                    if leaf:
                        # It sleeps now, and would ask again much later.
                        kept = now + pace.WISH_MS // 2
                        self._news = self._news[1 - _MOST_NEWS :] + [[author, number, kept, _HAND_OVERS]]

    def hand_over(self, now: int) -> None:
        """Say to a leaf that is awake what arrived while it slept."""
        self._news = [entry for entry in self._news if entry[2] > now and entry[3]]
        for entry in self._news:
            entry[3] -= 1
            at = now + 20 + self._mesh.random(300)
            if entry[3] & 1:
                # It sleeps before it is told what it asks for.
                self._say_schemas(entry[0], entry[1], at, True)
            self._say(entry[0], entry[1], at, True)

    def _of(self, body: bytes) -> list:
        """Return the collections that an operation changes, of those that may leave their peer."""
        found = []
        for change in decode_body(body)[1]:
            schema = self._peer.schemas.get(change[1]) if change[0] != CLOCK else None
            if schema is not None and scope_of(schema.kind) == SCOPE_ALL:
                found.append(schema.collection)
        return found

    def _fits(self, interest: object, author: bytes, number: int) -> bool:
        """Say whether an operation's documents fulfil a condition, or are gone."""
        if not interest.where or self._peer.kind_of(interest.collection) & CONFIDENTIAL:
            # Which of what is confidential comes must not tell what it says.
            return True
        from ..query.condition import Condition

        condition = Condition(interest.where, interest.parameters)
        documents = self._peer.down.documents
        for collection, document_id in documents.touched(author, number):
            if collection == interest.collection:
                document = documents.view(collection, document_id)
                if document is None or condition.holds(document):
                    return True
        return False

    def _say(self, author: bytes, number: int, at: int, hurry: bool) -> None:
        stored = self._peer.log.fetch(author, number)
        if stored is not None:
            self._mesh.say_down(letters.encode_operation(author, number, stored), at, hurry)

    # ---- saying what is wanted

    def due(self) -> int:
        """Return when step() has something to do."""
        return min([self.say_at] + [entry[0] for entry in self._again])

    def step(self, now: int) -> None:
        """Say what this peer wants, for itself and its neighbours, when it is time; and news once more."""
        for entry in [entry for entry in self._again if entry[0] <= now]:
            self._again.remove(entry)
            self._say(entry[1], entry[2], now, False)
        if now < self.say_at:
            return
        wait = pace.WISH_MS
        if self._mesh.role == LEAF:
            wait = pace.WISH_MS // 3
        if self.eager:
            # What is new here may have been missed by all.
            self.eager -= 1
            wait = pace.TIME_MS
        self.say_at = now + wait * 3 // 4 + self._mesh.random(wait // 2)
        if not self._peer.wants(now):
            return
        self.look(now)
        hurry = self._mesh.role == LEAF
        for interest in self._peer.down.subscriptions.active(now)[: limits.MESH_WISHES]:
            marks = [mark_of(author, number) for author, number in self._held.get(interest.collection, ())]
            self._mesh.stats["wishes"] += 1
            self._serial += 1
            self._mesh.say_down(encode_wish(interest, marks, hurry, self._serial), now, hurry)

    # ---- what others say

    def heard(self, content: bytes, now: int) -> None:
        """Take a letter that goes down."""
        if content[0] == letters.INTEREST:
            self._heard_wish(content, now)
        elif content[0] == letters.OPERATION:
            self._take(content, now)
        elif content[0] == letters.SCHEMA and self._collections(now):
            self._peer.ingest_schema(content[1:])
            self._peer.commit()
            self.retry(now)

    def _heard_wish(self, content: bytes, now: int) -> None:
        interest, marks, hurry = decode_wish(content)
        if self._mesh.role == LEAF:
            return
        if interest.key not in self._asked and len(self._asked) >= limits.MAX_INTERESTS:
            return
        known = self._asked.get(interest.key)
        leaf = hurry or (known is not None and known[2])
        self._asked[interest.key] = [interest, now + pace.WISH_MS * 8, leaf]
        self._peer.note_interests([interest], now)
        if known is None:
            # What lies in the log already is looked through for it; others pass it on sooner than usual.
            self._position = 0
            # What is here already is said as an answer, not as news.
            self._quiet_to = self._peer.log.position()
            self.eager = pace.PUSHES
            self.say_at = min(self.say_at, now + self._mesh.random(pace.START_MS))
        if self.look(now):
            # A long log is gone through little by little; the answer waits for that.
            self._owed = self._owed[1 - limits.MESH_WISHES :] + [(interest, marks, hurry)]
        else:
            self._answer(interest, marks, hurry, now)

    def settle(self, now: int) -> None:
        """Answer what was asked while the log was gone through."""
        owed = self._owed
        self._owed = []
        for interest, marks, hurry in owed:
            self._answer(interest, marks, hurry, now)

    def _answer(self, interest: object, marks: list, hurry: bool, now: int) -> None:
        """Say what is here of an interest and has none of its marks."""
        said = 0
        for author, number in reversed(self._held.get(interest.collection, [])):
            if said < limits.MESH_ANSWERS and mark_of(author, number) not in marks:
                if not self._fits(interest, author, number):
                    continue
                at = now + (self._mesh.random(300) if hurry else self._mesh.spread())
                if hurry or (not said and not marks):
                    # Who holds nothing of a collection may not know how to read it, a leaf not what is new.
                    self._say_schemas(author, number, at, hurry)
                said += 1
                self._say(author, number, at, hurry)

    def _say_schemas(self, author: bytes, number: int, at: int, hurry: bool) -> None:
        stored = self._peer.log.fetch(author, number)
        for change in decode_body(stored)[1] if stored is not None else ():
            schema = self._peer.schemas.get(change[1]) if change[0] != CLOCK else None
            if schema is not None:
                self._mesh.say_down(bytes((letters.SCHEMA,)) + schema.encoded, at, hurry)

    def _take(self, content: bytes, now: int) -> None:
        """Keep an operation that somebody here wants."""
        peer = self._peer
        author, number, stored = letters.decode_operation(content)
        wanted = self._collections(now)
        if not wanted or peer.is_own(author):
            return
        changes = decode_body(stored)[1]
        for change in changes:
            if change[0] != CLOCK and change[1] not in peer.schemas:
                if content not in self.waiting:
                    self.waiting = self.waiting[1 - limits.MESH_ANSWERS :] + [content]
                self._mesh.repair.want(asks.WANT_SCHEMAS, change[1][:2], now)
                return
        if not [1 for collection in self._of(stored) if collection in wanted]:
            return
        if peer.down.fill(author, number, [stored], False):
            peer.commit()
            self._mesh.stats["fetched"] += 1
            self._mesh.names.learn(author, now)
        self._mesh.window.stir(now)

    def retry(self, now: int) -> None:
        """Take what waited for a schema."""
        waiting = self.waiting
        self.waiting = []
        for content in waiting:
            self._take(content, now)
