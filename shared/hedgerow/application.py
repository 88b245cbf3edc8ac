"""The peer as an application sees it: statements, transactions, live queries, subscriptions."""

from . import limits
from .codec.schema import SCOPE_LOCAL, schema_for, scope_of
from .errors import HedgerowError
from .log import STATE_CONFIG
from .operation import CLOCK, INSERT, SOURCE_BOOT
from .peer import Peer
from .result import Result

_WHY = ("superseded", "lost", "not here")


class ReadyPeer(Peer):
    """A Peer that knows the time: `clock()` gives milliseconds since this process or board started.

    `look_limit` is how many documents one call of execute() may look at, None for any number: on a board the
    radio waits meanwhile. `answer_rows` is how many rows an answer may have. `full` maps collections to what
    becomes of their operations that no keeper has when the log is full: "refuse" (new ones are refused, the
    default), "oldest" (the oldest go) or "thin" (readings become summaries). `account` is what the module
    `full` counts since the boot, empty before the log was full.
    """

    # Set by shells whose log takes nothing back by itself: `reclaim()` does, and says whether anything went.
    reclaim: object = None
    look_limit: int | None = None
    in_transaction = False
    answer_rows = limits.MAX_RESULT_ROWS

    def __init__(self, log: object, clock: object, full: dict | None = None, **options: object):
        self.now = clock
        self.full: dict = {}
        self.account: dict = {}
        self._statements: dict = {}
        self._observers: list = []
        self._opened = clock()
        if full:
            from .storage import check_policies

            self.full = check_policies(full)
        super().__init__(log, self._opened, **options)
        if log.get(STATE_CONFIG, b"thin"):
            from .thin import finish

            finish(self)

    # ---- when the log is full

    def write(
        self, changes: list, schemas: list, now: int, local: bool = False, stamp: bytes | None = None
    ) -> int:
        """See Peer.write; in a full log room is made as `full` says, and LOG_FULL stands if there is none."""
        log = self.log
        held = log.held(self.author), log.held(self.local)
        try:
            return super().write(changes, schemas, now, local, stamp)
        except HedgerowError as error:
            if error.code != "LOG_FULL" or (log.held(self.author), log.held(self.local)) != held:
                raise
            if changes[0][0] == CLOCK and changes[0][4] != SOURCE_BOOT:
                # Who brings the time brings receipts as well: nothing has to go for it.
                raise
            full = error

        def again() -> int:
            return Peer.write(self, changes, schemas, now, local, stamp)

        return self._write_full(full, now, again, stamp is not None)

    def _write_full(self, error: HedgerowError, now: int, again: object, numbered: bool) -> int:
        from .full import write

        return write(self, error, now, again, numbered)

    def regain(self) -> bool:
        """See Peer.regain."""
        return self._gains_room(self.author, "QUOTA_FULL")

    def ingest(self, author: bytes, first: int, bodies: list) -> int:
        """See Peer.ingest; strangers make room for others in a full log, and who was given less room while it
        was full has it again when there is some."""
        try:
            return super().ingest(author, first, bodies)
        except HedgerowError as error:
            if not self._gains_room(author, error.code):
                raise
        return super().ingest(author, first, bodies)

    def _gains_room(self, author: bytes, code: str) -> bool:
        if code == "QUOTA_FULL" and self.account:
            from .full import has_room

            return has_room(self)
        if code != "LOG_FULL" or self.keeper or self.strange is not None:
            return False
        from .full import strangers_give_way

        return strangers_give_way(self, author)

    def storage(self) -> dict:
        """Return how full and how worn the log is, and what had to go (see hedgerow.storage)."""
        from .storage import storage

        return storage(self, self.now() - self._opened)

    def losses(self, author: bytes) -> list:
        """Return what an author says it has lost, as far as nobody brought it: [{"first", "last", "reason",
        "time", "summary"}], ascending; a range of thinned readings names the operations with their summaries.
        """
        from .trust.lost import losses

        return losses(self.log, author)

    # ---- statements

    def parse(self, text: str) -> tuple:
        """Return a statement as tuples; the last few are kept, a loop does not parse again."""
        statement = self._statements.get(text)
        if statement is None:
            statement = self._read(text)
            if len(self._statements) >= limits.KEPT_STATEMENTS:
                self._statements = {}
            self._statements[text] = statement
        return statement

    def _read(self, text: str) -> tuple:
        from .query.load import parse_statement

        return parse_statement(text)

    def execute(self, text: str, **parameters: object) -> object:
        """Run a statement of DQL (SPEC 10); return a Result. What it writes is durable on return.

        Raises the codes of queries, documents and operations; nothing has been changed then. What an observer
        raises comes out of it too, and then the change stands.
        """
        result = self._record(text, parameters)
        return self._last(self.execute_slowly(text, parameters)) if result is None else result

    def _record(self, text: str, parameters: dict) -> object:
        """Write documents that are given whole and have no id, as readings are: nothing is looked up.

        None for any other statement.
        """
        statement = self.parse(text)
        if statement[0] != "insert" or statement[2]:
            return None
        collection = statement[1]
        changes: list = []
        schemas: list = []
        for expression in statement[3]:
            document = parameters.get(expression[1]) if expression[0] == "param" else None
            if not isinstance(document, dict) or "_id" in document:
                return None
            schema = schema_for(collection, self.kind_of(collection), document)
            changes.append([INSERT, schema.name, None, schema.pack(document)])
            schemas.append(schema)
        local = scope_of(schemas[0].kind) == SCOPE_LOCAL
        number = self.write(changes, schemas, self.now(), local)
        author = self.local if local else self.author
        ids = (
            [[author, number]] if len(changes) == 1 else [[author, number, at] for at in range(len(changes))]
        )
        self.dispatch()
        return Result("insert", [], ids, [])

    def execute_slowly(self, text: str, parameters: dict) -> object:
        """Run a statement as a generator that yields now and then, and returns the Result."""
        from .statements import steps

        statement = self.parse(text)
        if statement[0] == "select":
            # What only reads needs no operation, and boards no memory for one.
            self._refresh()
            result = yield from steps(self, self.down.documents, statement, parameters)
        else:
            batch = self.begin(divisible=True)
            result = yield from steps(self, batch, statement, parameters)
            if batch.commit():
                result.mutated = batch.mutated
        self.dispatch()
        return result

    def begin(self, divisible: bool = False) -> object:
        """Return a Batch: an operation in the making, or several if it is `divisible`."""
        from .batch import Batch

        self._refresh()
        return Batch(self, self.now(), divisible)

    def run_in(self, batch: object, text: str, parameters: dict) -> object:
        """Run a statement within a batch; the Result of what it reads."""
        from .statements import steps

        statement = self.parse(text)
        if statement[0] == "evict":
            raise HedgerowError("QUERY_UNSUPPORTED", "EVICT within a transaction")
        return self._last(steps(self, batch, statement, parameters))

    def _last(self, steps: object) -> object:
        """Go to the end of a generator; QUERY_COST if it takes more steps than one call may."""
        looked = 0
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            looked += limits.SLICE_DOCUMENTS
            if self.look_limit is not None and looked >= self.look_limit:
                raise HedgerowError("QUERY_COST", "more than %d documents" % looked)

    def transaction(self) -> object:
        """Return a context in which statements make one operation: all or nothing, also in a power cut."""
        from .transaction import Transaction

        return Transaction(self)

    def set_time(self, utc_ms: int, error_ms: int, source: int, now: int, proven: bool = False) -> bool:
        """See Peer.set_time; it waits while a transaction is open, which it would make void."""
        return not self.in_transaction and super().set_time(utc_ms, error_ms, source, now, proven)

    # ---- live queries

    def observe(self, text: str, on_change: object, **parameters: object) -> object:
        """Call `on_change(changes)` at once and after each change of what a SELECT gives.

        Changes (of query.live) have the rows and what is other than before. The next ones come after
        `on_change` has returned; what happened meanwhile is in them. Returns a function that ends it.
        OBSERVERS_FULL for one more than are kept.
        """
        from .observe import Observer

        if len(self._observers) >= limits.MAX_OBSERVERS:
            raise HedgerowError("OBSERVERS_FULL", str(limits.MAX_OBSERVERS))
        if not self._observers:
            self.down.documents.on_touch = self._touch
        observer = Observer(self, self.parse(text), parameters, on_change)
        self._observers.append(observer)

        def stop() -> None:
            if observer in self._observers:
                self._observers.remove(observer)

        self._refresh()
        try:
            observer.run()
        except BaseException:
            # Nobody has got the function that ends it.
            stop()
            raise
        return stop

    def _touch(self, collection: str, document_id: object) -> None:
        for observer in self._observers:
            observer.touch(collection, document_id)

    def dispatch(self) -> None:
        """Tell observers what has changed; a shell calls it when something came, and when time has passed.

        An error of a callback is raised when all have been told; what was written before stays.
        """
        if self._down is None:
            return
        self._refresh()
        first: object = None
        for observer in list(self._observers):
            try:
                observer.run()
            except Exception as error:  # noqa: BLE001  an application's own
                first = first or error
        if first is not None:
            raise first

    def touch_own(self, first: int, last: int) -> None:
        """Tell observers, at their next turn, that own operations go."""
        for number in range(first, last + 1) if self._observers else ():
            for place in self.down.documents.touched(self.author, number):
                self._touch(*place)

    def _refresh(self) -> None:
        """Let in what waited for its time."""
        for collection, document_id in self.down.set_horizon(self.now()):
            self._touch(collection, document_id)

    # ---- subscriptions

    def subscribe(self, text: str, hops: int = limits.SUBSCRIPTION_HOPS, **parameters: object) -> object:
        """Ask others for the documents of SELECT * FROM a collection [WHERE ...]; return a cancel function.

        The subscription is durable until it is cancelled. `hops` relays take it on where they have to.
        """
        from .subscribe import interest_of

        interest = interest_of(text, parameters, hops)
        self.down.subscriptions.subscribe(interest)
        self.may_want = True

        def cancel() -> None:
            self.down.subscriptions.cancel(interest.key)

        return cancel

    # ---- what is here

    def status(self, now: int | None = None) -> dict:
        """Return {author: {"held", "sealed", "seen", "open", "receipted", "holes"}}.

        Holes are [(first, last, why)]: superseded, lost (losses() says how), not here (receipted, or
        evicted), not asked for.
        """
        status = super().status(self.now() if now is None else now)
        for author in status:
            status[author]["seen"] = self.log.seen(author)
            status[author]["holes"] = self.holes(author)
        return status

    def holes(self, author: bytes) -> list:
        """Return [(first, last, why)] of an author's operations that are not here."""
        log = self.log
        found = [(first, last, _WHY[kind]) for first, last, kind in log.missing(author)]
        number = log.held(author) + 1
        if log.seen(author) >= number:
            # From what is here: the numbers between may be more than can be counted.
            filled = [at for who, at, _ in self.down.documents.operations() if who == author and at >= number]
            for at in sorted(filled):
                if at > number:
                    found.append((number, at - 1, "not asked for"))
                number = at + 1
        return found
