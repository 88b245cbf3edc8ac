"""What comes down: receipts along the way that operations went up, names, the time (SPEC 6.27 to 6.29)."""

from hashlib import sha256

from .. import limits
from ..custody.receipt import PROOF_MAC, Receipt
from ..errors import HedgerowError
from ..operation import SOURCE_KEEPER, SOURCE_RELAYED
from . import asks, pace, tells
from .custody import name_of
from .density import number_of
from .frames import ANNOUNCE, LETTER_DOWN, OP, RECEIPT, TIME, make
from .letters import OF_AUTHORS
from .ops import nearest_byte
from .outcome import AUTHOR, WHOLE
from .seen import Recent
from .speaker import DOWN, OWN, STATUS

_TIME_NAME = limits.const(-40)
# Names of announcements: this, and the number of the short author below it.
_ANNOUNCE_NAME = limits.const(-64)
# Receipts of a keeper over one author, of which at most one is true, that wait to be passed on.
_ALIKE = limits.const(3)
# What lies between making a TIME and hearing it, at most.
_TIME_ERROR_MS = limits.const(60)
# How soon a leaf, which is about to sleep, asks whose word a receipt is.
_LEAF_ASKS_MS = limits.const(200)
_MOST_HOPS = limits.const(15)
KEEPER_NAME = 1


def proof_of(receipt: Receipt) -> bytes:
    """Return the 8 bytes that a RECEIPT shows: its MAC, else what tells its short names from others."""
    return (
        receipt.proof if receipt.proof_kind else sha256(b"hedgerow receipt" + receipt.encode()).digest()[:8]
    )


def short_of(receipt: Receipt) -> bytes:
    """Return the 4 bytes for the keeper; with a MAC, which says nothing to others, the last tells authors."""
    keeper = receipt.keeper
    if not receipt.proof_kind:
        return keeper[:4]
    return keeper[:3] + sha256(keeper + receipt.author).digest()[:1]


class Down:
    """`mesh` is the engine it belongs to.

    `lag_ms` is how long it may be from say() to the air, which a time that is said allows for; `late_ms` how
    long what is given to heard() now may have waited for that, which a time that is heard allows for.
    """

    lag_ms = 0
    late_ms = 0

    def __init__(self, mesh: object):
        self._mesh = mesh
        self._peer = mesh.peer
        # Authors whose frames this peer has pushed in custody: receipts and questions go the same way back.
        self.route: object = None
        # Receipts that were passed on a moment ago: after an hour there are more than custody remembers.
        self._lately: object = None
        self.keepers: set = set()
        # RECEIPTs of keepers whose names are not known.
        self._unproven: list = []
        # Short authors about whom a question was passed on.
        self._asked: dict = {}
        # Of a keeper that was put back: how often its receipts are still to be said, and those of this turn.
        self._turns = 2 if mesh.peer.keeper and mesh.peer.log.incarnation > 1 else 0
        self._lower: list = []
        # From how far the time came; how often it is still to be said.
        self._hops = 0
        # Which STATEs asked for the time, as tells.ask has it; none yet.
        self.asked_time = (0, -pace.TIME_FRESH_MS) * 2
        # Whom the time is to be said to: [short name, counter of the STATE that asked, times, when it asked];
        # which STATEs were to be answered.
        self._askers: list = []
        self._offered: object = None
        # Whether somebody wants a better time than there is here.
        self.short = False

    # ---- receipts

    def know(self, keeper: bytes) -> None:
        """Remember that a known name is a keeper's."""
        if len(self.keepers) < limits.MAX_KNOWN_KEEPERS:
            self._mesh.names.pin(keeper)
            self.keepers.add(keeper)

    def _receipt(self, author: bytes, now: int) -> bytes | None:
        """Return the RECEIPT of an author, None if there is none."""
        receipt = self._peer.receipt(author)
        if receipt is None:
            return None
        mesh = self._mesh
        mesh.names.learn(receipt.keeper, now)
        if receipt.keeper not in self.keepers:
            self.know(receipt.keeper)
            if mesh.collects:
                self.say_announce(receipt.keeper, now)
        body = tells.encode_receipt(
            short_of(receipt), receipt.incarnation & 0xFF, author[:3], receipt.number, proof_of(receipt)
        )
        mesh.stats["receipts"] += 1
        return make(RECEIPT, self._peer.mesh, body, mesh.key)

    def say_receipt(self, author: bytes, now: int, once: bool = False) -> None:
        """Say the receipt of an author, if there is one; again until it gets on, but for `once`."""
        frame = self._receipt(author, now)
        if frame is None:
            return
        mesh = self._mesh
        # Its author waits for the word of who holds it; others have time to leave it to each other.
        urgency = OWN if mesh.collects else DOWN
        if not self._hints(author):
            self._outdo(frame)
        name = name_of(frame)
        if name not in mesh.speaker.names:
            mesh.seen.forget(name)
        self._note(name, now)
        at = now + mesh.random(300)
        if once:
            mesh.speaker.add(at, urgency, name, frame, pace.EVENTS)
        else:
            mesh.say_twice(at, urgency, name, frame)

    def _outdo(self, frame: bytes) -> bool:
        """Drop what is still to be said of lower receipts; say whether a higher one is to be said."""
        speaker = self._mesh.speaker
        higher = False
        for saying in list(speaker.names.values()):
            what = saying[3]
            # The same keeper and author, and then the number.
            if isinstance(what, bytes) and what[:3] == frame[:3] and what[4:12] == frame[4:12]:
                if what[12:16] < frame[12:16]:
                    speaker.drop(saying[2])
                higher = higher or what[12:16] > frame[12:16]
        return higher

    def tell_pushers(self, author: bytes, now: int) -> None:
        """Say the receipt of an author that pushes what it covers, unless that was lately."""
        key = number_of(author[:3]) ^ (self._peer.receipted(author) & 0xFFFF) << 13
        frame = None if self.passed(key, 0, now) else self._receipt(author, now)
        if frame:
            self._note(name_of(frame), now)
            self._lately.note(key, now)
            self.hand_over(frame, now)

    def tell_author(self, author: bytes, first: bool, now: int) -> None:
        """Hand over the receipt of an author that listens now; and say whose it is if it had none before."""
        frame = self._receipt(author, now)
        if frame is not None:
            self.hand_over(frame, now)
            for keeper in self._keeper(frame[4:8]) if first else ():
                self.say_announce(keeper, now, OWN)

    def hand_over(self, frame: bytes, now: int) -> None:
        """Say a RECEIPT to those who lack it and listen, unless others do."""
        self._mesh.speaker.add(now + 20 + self._mesh.random(300), OWN, name_of(frame), frame, pace.EVENTS, 1)

    def heard_receipt(self, frame: bytes, name: int, now: int) -> None:
        """Take a receipt, where its author is known; pass it on to those who have brought its author here."""
        mesh = self._mesh
        keeper4, low, short, number, proof = tells.decode_receipt(frame)
        mesh.leaves.hold(short, frame)
        own = short == self._peer.author[:3]
        if own:
            mesh.window.stir(now)
        moved = matched = another = False
        if not self._keeper(keeper4):
            # Whose word it is has to be known in full; until then the newest few are kept.
            mesh.repair.want(asks.WANT_ANNOUNCES, keeper4[:3], now, 0 if mesh.relays else _LEAF_ASKS_MS)
            self._unproven = [kept for kept in self._unproven if kept[9:12] != short][-3:] + [frame]
        for author in mesh.names.find(short):
            if mesh.flood or author in self._peer.log.authors():
                receipt = self._match(keeper4, low, author, number, proof)
                if receipt is not None:
                    matched = True
                    another = self._hints(author) and self.brings(author, now)
                    hint = mesh.relays and self._peer.members
                    heard = mesh.repair.passes(author) if hint else 0
                    if self._peer.ingest_receipt(receipt, False, heard):
                        self._peer.commit()
                        moved = self.brings(author, now)
                        if author == self._peer.author:
                            # What is on its way still need not be.
                            mesh.custody.receipted(short, self._peer.receipted(author), now)
                    if mesh.relays and self._counts(author, number):
                        mesh.repair.covered(author, number)
                    break
            elif mesh.relays and mesh.ends(author) and self._match(keeper4, low, author, number, proof):
                mesh.custody.receipted(short, number, now, True)
        if moved or another or self._routed(short, now):
            if not moved and (self.passed(name, frame[3] >> 3, now) or mesh.speaker.alike(frame) >= _ALIKE):
                # After an hour many are said anew; and what is made up would leave no turn for anything else.
                return
            self._note(name, now)
            if not self._peer.members and self._outdo(frame):
                return
            if not mesh.flood and own and not self._routed(short, now):
                # Who has brought it here hears that, and need not say it again.
                self.hand_over(frame, now)
            else:
                mesh.pass_on(frame, name, now, DOWN)
        elif not matched and (mesh.flood or own):
            # Its author or keeper may become known: then it is no echo.
            mesh.seen.forget(name)

    def _counts(self, author: bytes, number: int) -> bool:
        """Say whether a receipt that was heard goes for all that it says."""
        peer = self._peer
        return not peer.members or peer.receipted(author) >= number

    def _hints(self, author: bytes) -> bool:
        """Say whether receipts of an author are hints here: any may be made up, and any be the true one."""
        peer = self._peer
        return bool(peer.members) and peer.hearsay and not peer.is_own(author)

    def cares(self, payload: bytes, at: int, now: int) -> bool:
        """Say whether anything is done without a flood with a RECEIPT that was heard before: those of authors
        who are nothing to this peer are most of what comes down."""
        mesh = self._mesh
        short = bytes(payload[at + 9 : at + 12])
        if self._routed(short, now) or short == self._peer.author[:3] or mesh.leaves.hears(short, now):
            return True
        for author in mesh.names.find(short):
            if self._peer.log.held(author):
                return True
        return False

    def of_use(self, kind: int, payload: bytes, at: int, now: int) -> bool:
        """Say whether what came down before is of use once more: a letter whose other fragments did not come
        in time, a name that is asked for, a RECEIPT that was heard when nothing of its author was here."""
        mesh = self._mesh
        if kind == ANNOUNCE:
            return self.asked(None, now) or bool(mesh.relays and mesh.repair.sought(asks.WANT_ANNOUNCES))
        if kind != RECEIPT:
            return kind == LETTER_DOWN
        peer = self._peer
        for author in mesh.names.find(bytes(payload[at + 9 : at + 12])):
            receipted = peer.receipted(author)
            if receipted < int.from_bytes(payload[at + 12 : at + 16], "big"):
                if receipted < peer.log.held(author) or (mesh.relays and mesh.repair.asks_for(author)):
                    return True
        return False

    def _note(self, name: int, now: int) -> None:
        self._mesh.custody.done.note(name, now)
        if self._lately is None:
            self._lately = Recent(limits.MESH_LATELY, pace.RECEIPT_MS, now)
        self._lately.note(name, now)

    def passed(self, name: int, code: int, now: int) -> bool:
        """Say whether a receipt need not be passed on once more: lately it was; or some time ago, and this
        does not come from nearer a keeper."""
        if self._lately is not None and self._lately.has(name, now):
            return True
        return code >= self._mesh.code and self._mesh.custody.done.has(name, now)

    def _keeper(self, keeper4: bytes) -> list:
        return list(self._mesh.names.find(keeper4[:3]))

    def _match(self, keeper4: bytes, low: int, author: bytes, number: int, proof: bytes) -> Receipt | None:
        """Return the receipt that a short one stands for, None if it is not about this author."""
        for keeper in self._keeper(keeper4):
            known = self._peer.ledger.incarnation(keeper)
            for incarnation in (nearest_byte(known, low), low):
                if incarnation and number:
                    bare = Receipt(keeper, incarnation, author, number)
                    for receipt in (bare, Receipt(keeper, incarnation, author, number, PROOF_MAC, proof)):
                        if proof_of(receipt) == proof and short_of(receipt) == keeper4:
                            return receipt
        return None

    # ---- names

    def announce(self, now: int) -> int:
        """Say our name; and twice after our store was put back, one by one, the receipts that count now, for
        those who were told more before. Return when to go on."""
        mesh = self._mesh
        if self._lower:
            self.say_receipt(self._lower.pop(), now)
        else:
            self.say_announce(self._peer.author, now)
            if self._turns:
                self._turns -= 1
                self._lower = self._peer.authors()
        if self._lower:
            return now + pace.AGAIN_SOON_MS
        return now + pace.ANNOUNCE_MS * 3 // 4 + mesh.random(pace.ANNOUNCE_MS // 2)

    def say_announce(self, author: bytes, at: int, urgency: int = STATUS) -> None:
        """Say the whole name of an author or keeper, and the high bits of its numbers and times."""
        name = _ANNOUNCE_NAME - number_of(author)
        self._mesh.speaker.add(at, urgency, name, lambda _, now: self._announce(author, now), pace.EVENTS, 1)

    def _announce(self, author: bytes, now: int) -> bytes | None:
        mesh = self._mesh
        log = self._peer.log
        held = log.held(author)
        known = mesh.names.get(author)
        if author == self._peer.author:
            announce = mesh.announcement(now)
        elif known is not None and held == 0:
            announce = known
            announce.due_ms = max(0, announce.due_ms - now)
        else:
            announce = tells.Announce(author, held >> 16, mesh.last_ms(author) >> 24, 0)
        if author in self.keepers:
            announce.flags |= KEEPER_NAME
        mesh.stats["announces"] += 1
        return make(ANNOUNCE, self._peer.mesh, tells.encode_announce(announce), mesh.key)

    def heard_announce(self, frame: bytes, name: int, now: int) -> None:
        """Learn a name; pass on that of a keeper, and to a gateway that of an author."""
        mesh = self._mesh
        announce = tells.decode_announce(frame)
        new = not mesh.names.get(announce.author)
        mesh.speaker.echo(_ANNOUNCE_NAME - number_of(announce.author), 1)
        if announce.author == self._peer.author or not mesh.names.announced(announce, now):
            return
        if announce.flags & KEEPER_NAME:
            # Anybody may say so: names of others must not all lose their places by that.
            self.know(announce.author)
            kept = self._unproven
            self._unproven = []
            for receipt in kept:
                self.heard_receipt(receipt, name_of(receipt), now)
        if new:
            if mesh.relays:
                for why in (AUTHOR, WHOLE):
                    mesh.intake.retry(why, announce.author[:3], now)
                mesh.repair.named(announce.author, now)
            if announce.flags & KEEPER_NAME:
                mesh.pass_on(frame, name, now, STATUS)
        if not mesh.flood and self._asked.pop(announce.author[:3], None) is not None:
            # Somebody nearer a keeper has asked for it by way of us.
            mesh.pass_on(frame, name, now, STATUS)

    def pass_down(self, frame: bytes, short: bytes, now: int) -> None:
        """Pass on a question of somebody nearer a keeper about an author that was brought here."""
        mesh = self._mesh
        if mesh.flood or frame[3] >> 3 >= mesh.code or not self._routed(short, now):
            return
        mesh.stats["passed"] += 1
        if len(self._asked) >= limits.MESH_WANTS:
            self._asked.clear()
        self._asked[short] = now
        name = name_of(frame)
        mesh.speaker.add(now + 20 + mesh.spread(), DOWN, name, frame, 2 * pace.EVENTS, pace.QUIET)

    def asked(self, short: bytes | None, now: int) -> bool:
        """Say whether somebody nearer a keeper has asked of an author, or any, by way of us lately."""
        asked = self._asked
        return bool([1 for one in asked if short in (None, one) and now - asked[one] < pace.AROUND_MS])

    # ---- the time

    def offer_time(self, short: bytes, counter: int, now: int) -> None:
        """Say the time soon to whom has asked in a STATE, if it is known well enough and nobody else does."""
        known = self._peer.utc(now)
        if known and known[1] < limits.GOOD_TIME_MS - _TIME_ERROR_MS:
            ask = number_of(short) ^ counter << 8 & 0xFFFFFF
            if self._offered is None:
                self._offered = Recent(limits.MESH_LATELY, pace.ROUTE_MS, now)
            if self._offered.has(ask, now):
                # Or whoever says recorded ones again keeps us talking, and others waiting.
                return
            self._offered.note(ask, now)
            fresh = now - pace.TIME_FRESH_MS
            askers = [asker for asker in self._askers if asker[0] != short and asker[3] > fresh]
            if len(askers) >= limits.MESH_ASKERS:
                del askers[self._mesh.random(len(askers))]
            askers.append([short, counter, pace.EVENTS, now])
            self._askers = askers
            # Who knows it best is first, and the others are silent: else it goes round by many.
            self._say_time(now + 100 + known[1] * 3 // 2 + self._mesh.random(300))
        elif known:
            self.short = True

    def _say_time(self, at: int) -> None:
        self._mesh.speaker.add(at, OWN, _TIME_NAME, self._time, 1)

    def _answered(self, short: bytes, counter: int) -> None:
        self._askers = [asker for asker in self._askers if asker[0] != short or asker[1] != counter]

    def _time(self, _: int, now: int) -> bytes | None:
        known = self._peer.utc(now)
        if known is None or not self._askers:
            self._askers = []
            return None
        asker = self._askers[0]
        short, counter, times = asker[:3]
        # A frame of two events would be late in the second one: each says the moment that it is.
        asker[2] = times - 1
        if times <= 1:
            self._answered(short, counter)
        if self._askers:
            self._say_time(now + 100)
        self._mesh.stats["times"] += 1
        lag = self.lag_ms
        source = self._peer.time_source()
        body = tells.encode_time(known[0] + lag // 2, known[1] + lag, source, self._hops, short, counter)
        return make(TIME, self._peer.mesh, body, self._mesh.key)

    def heard_time(self, frame: bytes, now: int) -> None:
        """Learn the time, if it is wanted, and this is an answer."""
        utc_ms, error_ms, source, hops, asker, counter = tells.decode_time(frame)
        late = self.late_ms
        if hops >= _MOST_HOPS or error_ms + late >= limits.GOOD_TIME_MS:
            return
        self._answered(asker, counter)
        if not self._peer.wants_time(now):
            return
        if not tells.is_answer(self.asked_time, asker, counter, self._peer.author, now):
            return
        source = SOURCE_KEEPER if source == SOURCE_KEEPER else SOURCE_RELAYED
        try:
            error_ms += _TIME_ERROR_MS + late
            self._peer.set_time(utc_ms + (_TIME_ERROR_MS + late) // 2, error_ms, source, now)
        except HedgerowError:
            return
        self._hops = hops + 1
        self.short = False

    def carried(self, frame: bytes, now: int) -> None:
        """Remember whose operation, or seal, was pushed from here: its receipt comes soon."""
        if frame[0] & 0x0F == OP:
            self.note_route(frame[4:7], now)
        elif not frame[7] >> 4 and frame[8] & 0x7F in OF_AUTHORS:
            # The first fragment of an operation, or of a seal, names its author.
            self.note_route(frame[9:12], now)

    def note_route(self, short: bytes, now: int) -> None:
        """Remember that frames of an author were pushed from here."""
        if self.route is None:
            # Where all come together there are many.
            size = limits.MESH_ROUTE << 4 if self._mesh.collects else limits.MESH_ROUTE
            self.route = Recent(size, pace.ROUTE_MS, now)
        self.route.note(number_of(short) | 1 << 24, now)

    def brings(self, author: bytes, now: int) -> bool:
        """Say whether this peer tells others the receipts of an author: that its operations are here since
        there was a flood is no reason."""
        return self._mesh.flood or author in self._mesh.feed.sources or self._routed(author[:3], now)

    def _routed(self, short: bytes, now: int) -> bool:
        return self.route is not None and self.route.has(number_of(short) | 1 << 24, now)
