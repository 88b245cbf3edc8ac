"""The board's peer: the core's Peer on the flash log."""

import asyncio
import gc
import sys

from hedgerow import limits
from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import HEALTH, is_stream
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.mesh import pace
from hedgerow.operation import CLOCK, decode_body

from .modules import WIDE, free, is_tight, mend, unload

# One call may look at as many documents, which takes about a second; the radio's queues hold as long.
_LOOK = const(1000)
_ROWS = const(64)
# Bytes of operations that a statement reads at once where the heap is tight.
_TIGHT_READ = const(256)
# With less than this free (on 32 bits) documents are no reason to keep what the log has loaded.
_LEAST_FREE = const(12288)
# How often more is given up for a reading.
_GIVEN = const(2)
# How often a question is asked again for which there was no room.
_AGAIN = const(3)
_DOCUMENTS = (
    "hedgerow.documents hedgerow.document hedgerow.index hedgerow.batch hedgerow.statements hedgerow.counter "
    "hedgerow.clock.timemap hedgerow.clock.civil hedgerow.query.evaluate "
    "hedgerow.query.live hedgerow.query.expression hedgerow.query.values hedgerow.query.mutate "
    "hedgerow.query.arithmetic hedgerow.query.group hedgerow.query.aggregate hedgerow.query.json_text "
    "hedgerow_device.flashkeys hedgerow_device.flashkeysload hedgerow_device.flashkeyswrite"
)
# And what has been asked of others, or for them.
_ASKED = "hedgerow.down hedgerow.subscriptions hedgerow.subscribe hedgerow.marks hedgerow_device.wanting"
# What is loaded while a full log makes room.
_FULL = (
    "hedgerow.full hedgerow.thin hedgerow.summary hedgerow.trust.lost hedgerow.trust.verify "
    "hedgerow.clock.civil"
)
_PLACES = "hedgerow.places"
CLOSING = "hedgerow.closing hedgerow_device.flashrepair hedgerow.trust.lost hedgerow.trust.verify"
# How often damage is looked into, and told, at most.
_TEND_MS = const(60000)
_DONE_MS = const(1000)


class DevicePeer(ReadyPeer):
    """A Peer on a board.

    `on_time(source, error_ms)` is called when it has learnt the time. A log that is full at boot still serves
    receipts; the boot is recorded with the first operation that finds room. `settings` is the configuration.
    """

    settings: dict = {}
    look_limit = _LOOK
    answer_rows = _ROWS

    # Set by the node: gives back what only sessions need, if none runs; if that was too little, all it can.
    make_room = None
    # Set by the node too: gives up the sessions that run, or the engine as well.
    give_up = None
    # Whether it carries what is others', and whether the next session has room for what comes down.
    relays = asks = True
    keys = None  # of a board with a credential: its Keyring
    # Of a board that sleeps (see sleep): what it knows of that, and whether the application is done.
    sleeper = None
    done = False
    on_time = None
    # Of a board with the small engine that wants documents (see errands): when it asks for them next, how
    # often still in haste, and a schema that it lacks. `late`: the log was full at boot and since.
    wish_at = 0
    wish_eager = pace.PUSHES
    wish_schema = b""
    late = False
    # Whom this boot has refused (accuse), and whether its health document has named all of them.
    suspects = None
    accused = False
    _damaged = _tend_at = _due = 0

    def __init__(self, log: object, clock: object, sleeper: object = None, **options: object):
        self.sleeper = sleeper
        self.wish_letters: list = []
        self.wish_waiting: list = []
        super().__init__(log, clock, **options)

    def _boot(self, now: int) -> None:
        try:
            if self.sleeper is None or not self.sleeper.resume(self, now):
                super()._boot(now)
        except HedgerowError as error:
            if error.code != "LOG_FULL":
                raise
            self.late = True

    def write(
        self, changes: list, schemas: list, now: int, local: bool = False, stamp: bytes | None = None
    ) -> int:
        """See Peer.write."""
        if self.late:
            # _boot() writes too.
            self.late = False
            self._boot(now)
            if self.late:
                raise HedgerowError("LOG_FULL", "since this boot")
        return super().write(changes, schemas, now, local, stamp)

    def append_seal(self, now: int, at_once: bool = False) -> None:
        """See Peer.append_seal; a seal that is signed in slices waits, or one that finds no room."""
        if not at_once and self.keys and self.give_up and self._to_seal() and self.keys.sign_soon(self, now):
            return
        try:
            super().append_seal(now)
        except MemoryError:
            self.sealed_at = now

    def _write_full(self, error: HedgerowError, now: int, again: object, numbered: bool) -> int:
        """See ReadyPeer._write_full; what it has loaded is given back.

        DEVICE_MEMORY if it does not fit: nothing has been written then, but room may have been made.
        """
        if self.make_room and is_tight():
            self.make_room()
        log = self.log
        try:
            if self.full and self.before_receipt:
                log.urgent = True
                self.before_receipt()
            return super()._write_full(error, now, again, numbered)
        except MemoryError as failure:
            raise HedgerowError("DEVICE_MEMORY", str(failure))
        finally:
            log.urgent = False
            unload(_FULL)

    def ingest_schema(self, encoded: bytes, beside: list | None = None) -> bool:
        """See Presence.ingest_schema."""
        try:
            return super().ingest_schema(encoded, beside)
        finally:
            self._rest_places()

    def keep_schemas(self, author: bytes, bodies: list) -> None:
        """See Presence.keep_schemas."""
        try:
            super().keep_schemas(author, bodies)
        finally:
            self._rest_places()

    def _rest_places(self) -> None:
        # Seldom needed, and what comes next, the operation itself, needs the room.
        if _PLACES in sys.modules:
            unload(_PLACES)

    def tend(self, now: int) -> int:
        """Take up what the log has met of damage; return how many places, 0 if that is no news.

        Called now and then; it looks once a minute.
        """
        log = self.log
        if log.damaged == self._damaged or now < self._tend_at:
            return 0
        self._tend_at = now + _TEND_MS
        from hedgerow import closing

        try:
            closing.repair(self)
        except HedgerowError:
            log.look_again()
            raise
        finally:
            unload(CLOSING)
        self._damaged = log.damaged
        return log.damaged

    def rest(self) -> None:
        """Give back what the log has loaded and does not need now, where the heap is small; beside documents,
        which have use for some of it soon, where it is used up nearly.
        """
        if is_tight() if self._down is None else free() < _LEAST_FREE * WIDE:
            from .flashrest import rest

            rest(self.log)
            unload("hedgerow_device.flashrest")

    def set_time(self, utc_ms: int, error_ms: int, source: int, now: int, proven: bool = False) -> bool:
        """See Peer.set_time; of a board that sleeps the error covers what its sleeps do to the clock."""
        sleeper = self.sleeper
        if sleeper:
            error_ms += sleeper.reach_ms
        taken = super().set_time(utc_ms, error_ms, source, now, proven)
        if taken and sleeper:
            sleeper.drift_ms = 0
        if taken and self.on_time:
            self.on_time(source, error_ms)
        return taken

    def wants_time(self, now: int) -> bool:
        """See Peer.wants_time; where sleeps make the clock uncertain, it is asked for more seldom."""
        sleeper = self.sleeper
        known = self.utc(now)
        return known is None or known[1] > limits.GOOD_TIME_MS + (2 * sleeper.reach_ms if sleeper else 0)

    # ---- sleep

    async def sleep(self, ms: int | None = None) -> None:
        """Be done for `ms`, or until the next `sleep_ms` (or else `interval_ms`) is due.

        A board that sleeps powers down once its mesh has said all: this does not return then, and the next
        wake begins the application anew. Any other board waits.
        """
        moment = self.now()
        sleeper = self.sleeper
        if sleeper is None:
            period = self.settings.get("sleep_ms") or self.settings["interval_ms"]
            if ms is None:
                self._due = max(self._due + period, moment)
                ms = self._due - moment
            await asyncio.sleep_ms(ms)
            return
        if ms is not None:
            sleeper.due = moment + ms
        self.done = True
        while True:
            await asyncio.sleep_ms(_DONE_MS)

    def time_to_keep(self, now: int) -> tuple:
        """Return (ms since 2000, error in ms, source), zeros where there is none."""
        if self._time is None:
            return 0, 0, 0
        return self.utc(now) + (self._time[3],)

    def restore_time(self, utc_ms: int, error_ms: int, source: int, now: int) -> None:
        """Know the time again, without a record."""
        self._time = (utc_ms, error_ms, now, source)

    # ---- statements

    def _record(self, text: str, parameters: dict) -> object:
        """See ReadyPeer._record; where memory is short a reading is worth more than a session.

        DEVICE_MEMORY if nothing is written; MemoryError if anything is.
        """
        log = self.log
        before = log.held(self.author), log.held(self.local)
        given = 0
        while True:
            try:
                return super()._record(text, parameters)
            except MemoryError as failure:
                # It begins again, and what it loads with it.
                mend()
                if before != (log.held(self.author), log.held(self.local)):
                    raise
                if self.give_up is None or given == _GIVEN:
                    raise HedgerowError("DEVICE_MEMORY", str(failure))
            # The sessions first, then the engine too.
            given += 1
            try:
                self.give_up(given == _GIVEN)
                self.close_documents()
            except MemoryError:
                # What has gone may be enough.
                mend()

    def dispatch(self) -> None:
        """See ReadyPeer.dispatch; for nobody nothing is loaded."""
        if self._observers:
            super().dispatch()

    def wants(self, now: int, keeper: bool = False) -> bool:
        """See Peer.wants; where memory ran out in a session, the next one is without the way down."""
        return self.asks and super().wants(now, keeper)

    def note_interests(self, interests: list, now: int) -> None:
        """See Peer.note_interests; who relays for nobody takes none on."""
        if self.relays:
            super().note_interests(interests, now)

    def execute_slowly(self, text: str, parameters: dict) -> object:
        """See ReadyPeer.execute_slowly; what it has loaded is given back where the heap is small.

        DEVICE_MEMORY if it does not fit: what it was to write may be written then.
        """
        tight = not self._observers and is_tight()
        log = self.log
        limit = 0
        if tight:
            self.rest()
            if self.make_room:
                self.make_room()
            limit = log.read_limit
            # Sessions say it anew.
            log.read_limit = min(limit, _TIGHT_READ)
        again = _AGAIN if tight and self.make_room and text.lstrip()[:6].upper() == "SELECT" else 0
        steps = super().execute_slowly(text, parameters)
        try:
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    return end.value
                except MemoryError:
                    # What it has found goes with it, before anything else takes memory.
                    steps = None
                    mend()
                    if tight:
                        self._close_documents()
                    if not again:
                        raise HedgerowError("DEVICE_MEMORY", text[:60])
                    # What only reads may be done again, without what the radio has in the heap.
                    again -= 1
                    self.make_room(True)
                    steps = super().execute_slowly(text, parameters)
                yield
        finally:
            if tight:
                log.read_limit = limit
                self._close_documents()

    def subscribe(self, text: str, hops: int = limits.SUBSCRIPTION_HOPS, **parameters: object) -> object:
        """See ReadyPeer.subscribe; the small engine asks soon."""
        self.wish_at = 0
        self.wish_eager = pace.PUSHES
        if self.make_room and is_tight():
            self.make_room()
        try:
            return super().subscribe(text, hops, **parameters)
        finally:
            self.close_documents()

    def close_documents(self) -> None:
        """Give back what documents take, where the heap is small."""
        if is_tight():
            self._close_documents()

    def _close_documents(self) -> None:
        """Forget what documents take, unless somebody watches them; what others were asked for stays."""
        down = self._down
        if self._observers:
            return
        asks = down is not None and not down.idle
        # Memory may have run out: what is large goes first; modules may be there without it.
        if asks:
            down.forget_documents()
        else:
            self._down = down = None
        gc.collect()
        try:
            self.log.drop_index()
        except MemoryError:
            # What lies on the flash is brought up to date later.
            pass
        finally:
            unload(_DOCUMENTS)
            if not asks:
                unload(_ASKED)
            self.rest()

    async def aexecute(self, text: str, **parameters: object) -> object:
        """Run a statement as execute() does, any number of documents, while the radio goes on in between."""
        result = self._record(text, parameters)
        if result is not None:
            return result
        steps = self.execute_slowly(text, parameters)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            await asyncio.sleep_ms(0)

    def keeps(self, author: bytes, number: int, body: bytes, tight: bool = False) -> bool:
        """Say whether a receipted operation still carries something, so that the log takes it along.

        Health documents do not; where room is `tight`, nor do others' that no own subscription matches.
        """
        changes = decode_body(body)[1]
        for change in changes:
            schema = None if change[0] == CLOCK else self.schemas[change[1]]
            if schema and not is_stream(schema.kind) and schema.collection != HEALTH:
                break
        else:
            return False
        try:
            if tight and author not in (self.author, self.local):
                from .wanting import wants_any

                if not wants_any(self, author, number, changes):
                    return False
            return not self.down.documents.superseded(author, number, body)
        except MemoryError:
            # The next one imports it again.
            mend()
            return True
