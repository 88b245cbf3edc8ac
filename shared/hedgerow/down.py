"""What a peer has for documents and the way down: loaded when somebody asks for it (SPEC 5.11, 7.10)."""

from . import limits
from .clock import hlc
from .errors import HedgerowError
from .log import STATE_CONFIG
from .operation import CLOCK, decode_body, scope_of_changes

_FRONTIER = b"frontier"
_COLLECTED = b"collected"
_THINNED = b"thinned"


class Down:
    """`documents` and `subscriptions` of a peer, and the stability `frontier` that it has passed, if any.

    Each is loaded when it is asked for: who passes documents on need not merge them.

    `collected` is the position up to which arrivals may have been collected without a trace: who has not been
    told of all before it has to begin anew. `thinned` is one up to which superseded operations may be missing
    from the histories of documents.
    """

    def __init__(self, peer: object):
        self._peer = peer
        self._log = peer.log
        self._times: dict = {}
        self.wanted: list = []
        self._documents: object = None
        self._subscriptions: object = None
        self._stability: object = None
        stored = self._log.get(STATE_CONFIG, _FRONTIER)
        self.frontier: object = None
        if stored:
            from .custody.frontier import Frontier

            self.frontier = Frontier.decode(stored)
        self.collected = int.from_bytes(self._log.get(STATE_CONFIG, _COLLECTED) or b"", "big")
        self.thinned = int.from_bytes(self._log.get(STATE_CONFIG, _THINNED) or b"", "big")

    @property
    def documents(self) -> object:
        """The documents of the log, merged."""
        if self._documents is None:
            from .documents import Documents

            self._documents = Documents(self._peer)
        return self._documents

    @property
    def subscriptions(self) -> object:
        """What this peer wants of others."""
        if self._subscriptions is None:
            from .subscriptions import Subscriptions

            self._subscriptions = Subscriptions(self._peer)
        return self._subscriptions

    @property
    def stability(self) -> object:
        """What a keeper knows of its readers."""
        if self._stability is None:
            from .custody.stability import Stability

            self._stability = Stability(self._peer)
        return self._stability

    @property
    def idle(self) -> bool:
        """Whether nothing is lost if this is forgotten: nobody has asked for anything that is not durable."""
        asked = self._subscriptions is not None and self._subscriptions.borrowed
        return not asked and not self.wanted

    def forget_documents(self) -> None:
        """Merge them again when somebody asks for them; what was asked for, and for whom, stays."""
        self._documents = None
        self._times = {}

    def arrived(self, author: bytes, number: int, body: bytes) -> None:
        """Take note of an operation that has just come into the log."""
        self._times = {}
        if self._documents is not None:
            self._documents.note(author, number, body)

    # ---- operations beside the run

    def fill(self, author: bytes, first: int, bodies: list, passed: bool) -> int:
        """Keep operations that came down; return how many were news.

        `passed` says that their sender has passed our frontier. What may have been collected here is taken
        from such a one alone; by a keeper whose frontier it is from nobody.
        """
        peer = self._peer
        ours = self.frontier is not None and self.frontier.keeper == peer.identity
        lost = self._lost(author)
        news = 0
        for number, body in enumerate(bodies, first):
            if peer.writer_of(author):
                raise HedgerowError("SYNC_OWN_AUTHOR", str(number))
            if self._log.fetch(author, number) is not None:
                continue
            if (ours or not passed) and self._collected(author, number, lost):
                continue
            peer.check_schemas([body])
            if number > self._log.held(author):
                peer.meet_own(author, number)
            peer.keep_schemas(author, [body])
            self._log.fill(author, number, body)
            self.arrived(author, number, body)
            news += 1
        if news and peer.on_filled:
            peer.on_filled(bodies)
        return news

    def want(self, author: bytes, first: int, last: int) -> None:
        """Ask others for operations that are missing here, in the sessions to come, until they are here."""
        self.wanted = [entry for entry in self.wanted if entry != (author, first, last)]
        self.wanted = (self.wanted + [(author, first, last)])[-limits.MAX_WANTS :]

    def holes(self) -> list:
        """Return [(author, first, last)] of what is wanted and still missing, and was not collected here.

        What was collected would come without its delete.
        """
        rest: list = []
        for author, first, last in self.wanted:
            lost = self._lost(author)
            while first <= last and self._collected(author, first, lost):
                first += 1
            if self._lacks(author, first, last):
                rest.append((author, first, last))
        self.wanted = rest
        return rest

    def _lost(self, author: bytes) -> list:
        """Return what is held as lost of an author, as _collected() asks for it."""
        return [] if self.frontier is None else self._peer.lost(author)

    def _collected(self, author: bytes, number: int, lost: list) -> bool:
        """Say whether an operation may have been collected here: what is held as `lost` was never here."""
        frontier = self.frontier
        if frontier is None or not frontier.covers(author, number):
            return False
        if [1 for first, last in lost if first <= number <= last]:
            return False
        return self._log.fetch(author, number) is None

    def _lacks(self, author: bytes, first: int, last: int) -> bool:
        for number in range(first, last + 1):
            if self._log.fetch(author, number) is None:
                return True
        return False

    def scope_of(self, body: bytes) -> int:
        """Return the scope of an operation."""
        return scope_of_changes(decode_body(body)[1], self._peer.schemas)

    # ---- the frontier

    def pass_frontier(self, frontier: object, below: bool, asked: tuple = ()) -> bool:
        """Take a keeper's frontier from who answers the interests `asked`; say whether some begin anew.

        Who is `below` drops the documents below the frontier that it asks for, others' and its own that are
        receipted: what it does not get back has been deleted while it was away. What it does not ask for
        stays. A keeper drops nothing: all that was deleted comes to it by custody.
        """
        below = below and not self._peer.keeper
        later = frontier.later(self.frontier)
        stale: list = []
        for interest in asked:
            if below and (later or not self.subscriptions.trust(interest.key)):
                stale.append(interest.collection)
        for interest in asked:
            if interest.collection in stale:
                self.subscriptions.restart(interest.key)
        if stale:
            for author, number, body in list(self.documents.operations()):
                if frontier.may_cover(author, number) and self._may_go(author, number, body, stale):
                    self.documents.forget(author, number, body)
            # Who has them from us would never hear that they were deleted: all whom we have told anything
            # begin anew too.
            self._note_collected(self._log.position() + 1)
        if later:
            self.frontier = frontier
            self._log.put(STATE_CONFIG, _FRONTIER, frontier.encode())
        return bool(stale)

    def _may_go(self, author: bytes, number: int, body: bytes, stale: list) -> bool:
        """Say whether an operation is of merged documents of these collections and held elsewhere: open ones
        stay.
        """
        if self._peer.writer_of(author) or self._peer.carries(author, number):
            return False
        found = False
        for change in decode_body(body)[1]:
            if change[0] == CLOCK:
                return False
            found = found or self._peer.schemas[change[1]].collection in stale
        return found

    def advance(self, now: int, least_age_ms: int = limits.STABLE_AGE_MS) -> bool:
        """As a keeper, work out the frontier, and pass it; say whether it moved.

        It covers what all takers that are not retired have been told, and what is old enough.
        """
        utc = self._peer.utc(now)
        if utc is None:
            return False
        newest = hlc.pack(max(0, utc[0] - least_age_ms))
        return self.stability.advance(newest, self)

    def want_lost(self, authors: list) -> None:
        """Ask for what is held as lost of these (author, held): who holds it so far fills it."""
        for author, held in authors:
            for first, last in self._peer.lost(author):
                last = min(last, held)
                # Only the last ranges are kept, and what is lost may be as long as numbers go.
                ranges = (last - first) // limits.MAX_WANT_NUMBERS + 1
                first += max(0, ranges - limits.MAX_WANTS) * limits.MAX_WANT_NUMBERS
                while first <= last:
                    self.want(author, first, min(last, first + limits.MAX_WANT_NUMBERS - 1))
                    first += limits.MAX_WANT_NUMBERS

    def collect(self) -> int:
        """Drop what is superseded, and deleted documents below the frontier; return how many operations."""
        from .collect import collect

        dropped, gone, collected = collect(self._peer, self.frontier)
        if dropped:
            self.thinned = self._log.position()
            self._log.put(STATE_CONFIG, _THINNED, self.thinned.to_bytes(8, "big"))
        self._note_collected(collected)
        self._peer.commit()
        return dropped + gone

    def _note_collected(self, position: int) -> None:
        if position > self.collected:
            self.collected = position
            self._log.put(STATE_CONFIG, _COLLECTED, position.to_bytes(8, "big"))

    # ---- time

    def set_horizon(self, now: int) -> list:
        """Let operations wait that are ahead of trusted time; return the documents whose time has come."""
        from .documents import horizon_at

        utc = self._peer.utc(now)
        if utc is None:
            self.documents.horizon = None
            return []
        self.documents.horizon = horizon_at(utc[0])
        return self.documents.due(self.documents.horizon)

    def time_of(self, author: bytes, number: int, stamp: bytes) -> tuple | None:
        """Return (UTC ms since 2000, error ms) of an operation, None while nothing bounds it."""
        writer = self._peer.writer_of(author)
        if writer:
            # The local operations share the clock, and so the clock records, of the author's own.
            return self._local_time(writer, stamp)
        times = self._times.get(author)
        if times is None:
            times = self._times[author] = self._map_of(author)
        return times.resolve(number, stamp)

    def show_time(self, document: dict, author: bytes, number: int, stamp: bytes) -> None:
        """Add to a document when it was written, as far as that is known."""
        moment = self.time_of(author, number, stamp)
        if moment is not None:
            from .clock.civil import rfc3339

            document["_time"] = rfc3339(moment[0])
            document["_time_error_ms"] = moment[1]

    def _map_of(self, author: bytes) -> object:
        from .clock.timemap import TimeMap

        times = TimeMap()
        for known, number in sorted(self.documents.clocks()):
            body = self._log.fetch(author, number) if known == author else None
            if body is not None:
                for change in decode_body(body)[1]:
                    if change[0] == CLOCK:
                        times.add(number, *change[1:])
        return times

    def _local_time(self, author: bytes, stamp: bytes) -> tuple | None:
        """Place a local operation by the writer's clock record that was the newest at its stamp."""
        best = 0
        for known, number in self.documents.clocks():
            body = self._log.fetch(known, number) if known == author else None
            if body is not None and decode_body(body)[0] <= stamp:
                best = max(best, number)
        return self.time_of(author, best, stamp) if best else None
