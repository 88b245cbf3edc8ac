"""A fleet of peers in which everything happens that may happen, and what must hold all the while.

`run_case(seed, peers, steps)` plays one case; the same seed plays the same case on every VM.
"""

from converge_model import Union
from kit import Random
from sync_kit import UTC, Pipe

from hedgerow.application import ReadyPeer
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import SCOPE_BIG_PEER, SCOPE_LOCAL, STREAM
from hedgerow.custody.skip import LOST, RECEIPTED
from hedgerow.document import Document
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import STATE_CONFIG, MemoryLog, MemoryStore
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.query.condition import Condition
from hedgerow.sync import hello
from hedgerow.sync.exchange import Exchange

KINDS = {"readings": STREAM, "audit": SCOPE_BIG_PEER << 1, "notes": SCOPE_LOCAL << 1}
SHARED = ("cars", "jobs", "readings")
SECRET = "s3cret"
CONDITIONS = ("n > 5", "n = 3", "k = 'x' OR m.x > 4")
IDS = (0, 1, 2, "d")
YEAR_MS = const(31557600000)
ROUNDS = const(14)


class Member:
    """A peer of the fleet: its store outlives it, its clock starts with each boot."""

    def __init__(self, fleet: "Fleet", at: int, role: int):
        random = fleet.random
        self.fleet = fleet
        self.role = role
        self.name = "LRGK"[role] + str(at)
        self.keeper = role == hello.KEEPER
        self.store = MemoryStore(b"author%02d" % at)
        self.image: tuple | None = None
        self.options: dict = {"name": self.name, "role": role, "kinds": KINDS, "keeper": self.keeper}
        self.options["distance"] = random.choice([255, 255, 1, 3])
        if not self.keeper and random.chance(25):
            self.options["quota"] = 3 + random.below(12)
        # Most boards begin in 2000, as their clocks do; some are decades ahead.
        self.jump = 0 if self.keeper else random.choice([0, 0, 0, 0, 7, 28, 43]) * YEAR_MS
        # What it wrote and has to have: numbers of its own that nobody has taken away on purpose.
        self.own: dict = {}
        self.marks: dict = {}
        self.receipted: dict = {}
        self.retired = False
        self.former: list = []
        self.boot()

    def boot(self) -> None:
        self.booted = self.fleet.now
        self.peer = ReadyPeer(MemoryLog(self.store), self.uptime, **self.options)
        if self.keeper:
            self.peer.set_time(UTC + self.fleet.now, 5, SOURCE_KEEPER, self.uptime())
        elif self.jump:
            self.peer.clock.jump(max(self.jump, self.peer.clock.base_ms))
            self.jump = 0

    def uptime(self) -> int:
        return self.fleet.now - self.booted

    def utc(self) -> int | None:
        known = self.peer.utc(self.uptime())
        return known and known[0]

    def wanted(self) -> list:
        """Return the collections that it wants whole; a keeper has all."""
        if self.keeper:
            return list(SHARED)
        return [interest.collection for interest in self.peer.down.subscriptions.own if not interest.where]

    def view(self, collection: str) -> dict:
        """Return {encoded id: encoded fields} as the peer itself shows them."""
        shown = {}
        for row in self.peer.execute("SELECT * FROM " + collection).rows:
            key = cbor.encode(row.pop("_id"))
            row.pop("_time", None)
            row.pop("_time_error_ms", None)
            shown[key] = cbor.encode(row)
        return shown

    def ahead(self) -> bool:
        """Say whether its own writes wait for their time, at itself too."""
        utc = self.utc()
        return utc is not None and hlc.stamp_ms(self.peer.clock.last) > utc + 200000


class BadPipe(Pipe):
    """A pipe that doubles a record or changes the places of two, and on which peers write meanwhile."""

    random: object = None
    between: object = None
    trouble = 0

    def step(self) -> bool:
        if self.between:
            self.between()
        return super().step()

    def _carry(self, at: int, data: bytes) -> None:
        if self.trouble and self.random.chance(self.trouble):
            if self.random.chance(50):
                super()._carry(at, data)
            else:
                other = self.ends[at].outgoing(1200, self.now)
                if other:
                    self.records[at].append(other)
                    super()._carry(at, other)
        super()._carry(at, data)


class Fleet:
    """The peers, the truth about what they wrote, and the steps that a case is made of."""

    def __init__(self, seed: int, count: int):
        self.random = Random(seed)
        self.now = 1000000
        self.truth: dict = {}
        # Dots that may be nowhere in the end, because a step took them away; and those that a keeper collected.
        self.lost: dict = {}
        self.collected: dict = {}
        self.tainted: dict = {}
        self.schemas: dict = {}
        self.pairs = 0
        roles = [hello.KEEPER, hello.GATEWAY, hello.RELAY]
        while len(roles) < count:
            roles.append(self.random.choice([hello.RELAY, hello.RELAY, hello.LEAF, hello.GATEWAY, hello.KEEPER]))
        if roles.count(hello.KEEPER) > 2:
            roles = [hello.RELAY if role == hello.KEEPER else role for role in roles]
            roles[0] = hello.KEEPER
        self.members = [Member(self, at, roles[at]) for at in range(count)]
        self.keepers = [member for member in self.members if member.keeper]
        self.restored = False
        for member in self.members:
            if not member.keeper:
                if len(self.keepers) == 2 and self.random.chance(20):
                    member.options["keepers"] = tuple([keeper.peer.identity for keeper in self.keepers])
                    member.boot()
                self.subscribe(member)
            self.note(member)

    # ---- the truth

    def note(self, member: Member) -> None:
        """Take down what a peer wrote; it never gives one number to two things, nor takes one back."""
        log = member.peer.log
        self.schemas.update(member.peer.schemas)
        for author in (member.peer.author, member.peer.local):
            for number in range(1, log.held(author) + 1):
                body = log.fetch(author, number)
                if body is not None:
                    known = self.truth.setdefault((author, number), body)
                    assert known == body, "%s wrote %d anew" % (member.name, number)
                    member.own.setdefault((author, number), True)

    def union(self) -> Union:
        union = Union(self.schemas)
        for author, number in sorted(self.truth):
            union.add(author, number, self.truth[author, number])
        return union

    def held(self, member: Member) -> dict:
        """Return {dot: body} of all that a peer holds."""
        found = {}
        for _, author, number, body in member.peer.log.since(0, 1 << 30):
            found[author, number] = body
        return found

    # ---- steps

    def subscribe(self, member: Member) -> str:
        where = self.random.choice(CONDITIONS) if self.random.chance(25) else ""
        text = "SELECT * FROM " + self.random.choice(SHARED) + (" WHERE " + where if where else "")
        member.peer.subscribe(text, self.random.below(4))
        return text

    def cancel(self, member: Member, interest: object = None) -> str:
        own = member.peer.down.subscriptions.own
        if own:
            interest = interest or self.random.choice(own)
            member.peer.down.subscriptions.cancel(interest.key)
            for place in [place for place in member.marks if place[9:] == interest.key]:
                del member.marks[place]
        return ""

    def write(self, member: Member) -> str:
        random = self.random
        collection = random.choice(["cars", "cars", "jobs", "readings", "audit", "notes"])
        name = random.choice(IDS)
        value = random.choice([1, 3, 6, 9, Decimal(random.below(90), -1), "x"])
        if collection == "readings" and random.chance(70):
            return self.run(member, "INSERT INTO readings DOCUMENTS (:d)", {"d": {"n": value}})
        secret = {"s": SECRET} if collection == "notes" else {}
        text, row = "UPDATE " + collection + " ", {"_id": name}
        kind = random.below(11)
        if kind < 3:
            row.update({"n": value, "m": {"x": random.below(9)}} if random.chance(50) else {"k": value})
            row.update(secret)
            policy = random.choice(["NOTHING", "UPDATE", "UPDATE_LOCAL_DIFF"])
            text = "INSERT INTO " + collection + " DOCUMENTS (:d) ON ID CONFLICT DO " + policy
            return self.run(member, text, {"d": row}, ("there", collection, name, None))
        if kind == 3:
            row.update({"n": 4})
            row.update(secret)
            text = "INSERT INTO " + collection + " INITIAL DOCUMENTS (:d) ON ID CONFLICT DO NOTHING"
            return self.run(member, text, {"d": row}, ("there", collection, name, None))
        if kind == 4:
            text = "DELETE FROM " + collection + " WHERE _id = :i"
            return self.run(member, text, {"i": name}, ("gone", collection, name, None))
        if kind == 5:
            return self.transact(member)
        if kind == 6:
            text += random.choice(["UNSET m.x", "UNSET k", "UNSET m"]) + " WHERE _id = :i"
            return self.run(member, text, {"i": name})
        if kind == 7:
            text += random.choice(["APPLY c INCREMENT BY 2", "APPLY m.c INCREMENT BY -1", "APPLY c RESTART WITH 5"])
            return self.run(member, text + " WHERE _id = :i", {"i": name})
        if kind == 8:
            return self.run(member, text + "SET m.x = :v WHERE _id = :i", {"i": name, "v": value})
        text += "SET n = :v WHERE _id = :i"
        return self.run(member, text, {"i": name, "v": value}, ("is", collection, name, value))

    def delete(self, member: Member) -> str:
        collection, name = self.random.choice(SHARED), self.random.choice(IDS)
        text = "DELETE FROM " + collection + " WHERE _id = :i OR n = 3"
        return self.run(member, text, {"i": name}, ("gone", collection, name, None))

    def run(self, member: Member, text: str, parameters: dict, after: tuple | None = None) -> str:
        """Execute a statement; what it wrote is read at once."""
        self.now += 1 + self.random.below(3)
        result = member.peer.execute(text, **parameters)
        self.note(member)
        if after and not member.ahead():
            kind, collection, name, value = after
            rows = member.peer.execute("SELECT * FROM " + collection + " WHERE _id = :i", i=name).rows
            if kind == "there":
                # A default does not bring back what was deleted.
                assert rows or "INITIAL" in text, "an insert does not show"
            elif kind == "gone":
                assert not rows, "a deleted document shows"
            elif result.mutated:
                assert [row["n"] for row in rows] == [value], "an update does not show"
        return text + " " + repr(parameters)

    def transact(self, member: Member) -> str:
        """Write two documents of two collections that nobody touches again, in one operation."""
        self.now += 1
        self.pairs += 1
        if self.pairs > 1 and self.random.chance(25):
            # A delete of one half is as good as of both: what stays is all that its peers may show.
            name = "pair%d" % (1 + self.random.below(self.pairs - 1))
            with member.peer.transaction() as work:
                for collection in ("cars", "jobs"):
                    work.execute("DELETE FROM " + collection + " WHERE _id = :i", i=name)
            self.note(member)
            return "delete " + name
        if self.random.chance(25):
            name = "lone%d" % self.pairs
            with member.peer.transaction() as work:
                for collection in ("cars", "jobs"):
                    work.execute("INSERT INTO " + collection + " DOCUMENTS (:d)", d={"_id": name, "n": 1})
            work = member.peer.execute("DELETE FROM jobs WHERE _id = :i", i=name)
            self.note(member)
            return name
        name = "pair%d" % self.pairs
        with member.peer.transaction() as work:
            for collection in ("cars", "jobs"):
                work.execute("INSERT INTO " + collection + " DOCUMENTS (:d)", d={"_id": name, "n": 100 + self.pairs})
            work.execute("UPDATE cars SET m.x = 5 WHERE _id = :i", i=name)
        self.note(member)
        return name

    def evict(self, member: Member) -> str:
        if member.keeper:
            return ""
        collection = self.random.choice(SHARED)
        before = self.held(member)
        try:
            member.peer.execute(
                "EVICT FROM " + collection + " WHERE n > 3" + (" FORCE" if self.random.chance(20) else "")
            )
        except HedgerowError as error:
            if error.code not in ("EVICT_SUBSCRIBED",):
                raise
            return error.code
        self.forgive(member, before)
        # Who evicts what it asks for has to ask anew.
        subscriptions = member.peer.down.subscriptions
        for interest in list(subscriptions.own):
            if interest.collection == collection:
                self.cancel(member, interest)
                subscriptions.subscribe(interest)
        return collection

    def forgive(self, member: Member, before: dict) -> None:
        """What a peer has dropped, receipted, need not be there any more."""
        after = self.held(member)
        for dot in sorted(before):
            if dot not in after:
                number = member.peer.receipted(dot[0])
                assert dot[0] != member.peer.author or dot[1] <= number, "%s drops open %s" % (member.name, dot)
                member.own.pop(dot, None)

    def restart(self, member: Member) -> str:
        """Power fails between two calls: what was acknowledged is there again."""
        before = self.held(member)
        member.boot()
        for dot in sorted(before):
            assert member.peer.log.fetch(dot[0], dot[1]) == before[dot], "a power cut took something"
        self.note(member)
        return ""

    def lose(self, member: Member) -> str:
        """An author loses an open operation of its own, and says so in its place."""
        peer = member.peer
        if member.keeper:
            return ""
        peer.seal(member.uptime())
        first, last = peer.receipted(peer.author) + 1, peer.log.held(peer.author)
        dots = [number for number in range(first, last + 1) if peer.log.fetch(peer.author, number)]
        if not dots:
            return ""
        number = self.random.choice(dots)
        peer.down.documents.forget(peer.author, number, peer.log.fetch(peer.author, number))
        peer.commit()
        member.own.pop((peer.author, number), None)
        self.lost[peer.author, number] = True
        return str(number)

    def cut(self, member: Member) -> str:
        """A relay gives up another's open operations, above some number."""
        peer = member.peer
        others = [author for author in peer.authors() if author != peer.author and peer.log.held(author)]
        if member.keeper or not others:
            return ""
        author = self.random.choice(sorted(others))
        low = peer.receipted(author)
        held = peer.log.held(author)
        if held > low:
            peer.log.cut(author, low + self.random.below(held - low))
            peer.commit()
        return str(author)

    def want(self, member: Member) -> str:
        """Ask for a hole, if there is one."""
        authors = sorted(member.peer.authors())
        missing = []
        for author in authors:
            missing += [(author,) + entry for entry in member.peer.log.missing(author)]
        if missing:
            author, first, last, _ = self.random.choice(missing)
            member.peer.down.want(author, first, min(last, first + 200))
        return ""

    def collect(self, member: Member) -> str:
        before = self.held(member)
        dropped = member.peer.down.collect()
        self.forgive(member, before)
        if member.keeper:
            after = self.held(member)
            gone = [dot for dot in sorted(before) if dot not in after]
            assert len(gone) == dropped
            self.judge(member, gone)
        return str(dropped)

    def judge(self, member: Member, gone: list) -> None:
        """Take down what a keeper has collected with its deleted documents."""
        union = self.union()
        frontier = member.peer.down.frontier
        for dot in gone:
            assert frontier.covers(dot[0], dot[1]), "collected above the frontier"
        for place in sorted(union.places):
            dots = union.places[place][1]
            if [dot for dot in dots if dot in gone]:
                for dot in sorted(dots):
                    if dot in gone:
                        self.collected[dot] = True

    def advance(self, member: Member) -> str:
        if not member.keeper or member is not self.keepers[0]:
            return ""
        if self.random.chance(30):
            other = self.random.choice([other for other in self.members if not other.keeper])
            member.peer.down.stability.retire(other.peer.author)
            other.retired = True
        moved = member.peer.down.advance(member.uptime(), 1)
        member.peer.commit()
        return str(moved)

    def save(self, member: Member) -> str:
        """Keep a copy of a keeper's store, or put the copy back: its next incarnation, a new author."""
        if not member.keeper:
            return ""
        store = member.store
        if member.image is None:
            member.image = (list(store.entries), dict(store.state), self.now)
            return "saved"
        before = self.held(member)
        self.restored = True
        # What it wrote itself since the copy, only subscribers have: nothing tells it of their numbers.
        number = len([1 for entry in member.image[0] if entry[0] == 0 and entry[1] == store.author])
        member.former.append((store.author, number))
        fresh = MemoryStore(self.random.bytes(8), store.incarnation + 1)
        fresh.entries, fresh.state = member.image[0], member.image[1]
        member.store = fresh
        member.image = None
        member.own = {}
        member.marks = {}
        member.boot()
        self.note(member)
        after = self.held(member)
        for dot in sorted(before):
            if dot not in after:
                self.lost[dot] = True
        return "restored"

    def sync(self, one: Member, two: Member, trouble: bool = False) -> object:
        """Hold one session; the checks of both peers come after it."""
        random = self.random
        options: dict = {"chunk": 1 << 12, "delay": random.below(5)}
        if trouble and random.chance(40):
            options["cut"] = {random.below(2): random.below(6000)}
        first = Exchange(one.peer, one.uptime(), central=True, linger_ms=0)
        second = Exchange(two.peer, two.uptime())
        pipe = Crossing(self, one, two, first, second, options)
        pipe.random = random
        if trouble and random.chance(10):
            pipe.trouble = 8
        if trouble and random.chance(15):
            pipe.between = lambda: random.chance(8) and self.write(random.choice([one, two]))
        pipe.run()
        for end in pipe.ends:
            if end.error is not None and not pipe.trouble:
                raise AssertionError("%s-%s: %s" % (one.name, two.name, end.error))
        for records in pipe.records:
            for record in records:
                assert SECRET.encode() not in record, "a local value on a link"
                for member in self.members:
                    assert member.peer.local not in record, "a local author on a link"
        for member in (one, two):
            self.note(member)
        for member in (one, two):
            self.check(member)
        return pipe

    # ---- what holds at every step

    def check(self, member: Member) -> None:
        peer = member.peer
        held = self.held(member)
        for dot in sorted(held):
            assert self.truth.get(dot) == held[dot], "%s: %s is not what the author wrote" % (member.name, dot)
        for dot in sorted(member.own):
            assert dot in held, "%s: own operation %s is gone" % (member.name, dot)
        self.check_holes(member)
        self.check_receipts(member)
        self.check_marks(member)
        cars, jobs = member.view("cars"), member.view("jobs")
        pairs = [key for key in cars if b"pair" in key]
        if not set(member.wanted()) & {"cars", "jobs"} or {"cars", "jobs"} <= set(member.wanted()):
            others = sorted([key for key in jobs if b"pair" in key])
            assert sorted(pairs) == others, "half of a transaction: %s %s" % (pairs, others)

    def check_holes(self, member: Member) -> None:
        """Above what was ever receipted there is an operation or a skip for every number."""
        peer = member.peer
        for author in peer.authors():
            best = member.receipted.get(author, 0)
            best = member.receipted[author] = max(best, peer.receipted(author))
            for first, last, kind in peer.log.missing(author):
                if kind == RECEIPTED and author != peer.author:
                    frontier = peer.down.frontier if member.keeper else None
                    if frontier is not None:
                        assert frontier.covers(author, last), "a keeper has a hole"
                    else:
                        assert last <= best and not member.keeper, "a hole above the receipted number"

    def check_receipts(self, member: Member) -> None:
        """No receipt says more than its keeper holds, or has a skip for."""
        peer = member.peer
        for author in peer.authors():
            for receipt in peer.receipts(author):
                for keeper in self.keepers:
                    log = MemoryLog(keeper.store)
                    if keeper.peer.identity == receipt.keeper and log.incarnation == receipt.incarnation:
                        most = min(log.held(author), log.sealed(author))
                        assert receipt.number <= most, "a receipt above what is held"

    def check_marks(self, member: Member) -> None:
        """A position never goes back, except to the start."""
        now = {}
        for name, value in member.peer.log.items(STATE_CONFIG):
            if name[:1] == b"m" and len(name) == 13 and value:
                now[name] = (int.from_bytes(value[:4], "big"), int.from_bytes(value[4:], "big"))
                assert now[name] >= member.marks.get(name, (0, 0)), "a position went back"
        member.marks = now

    # ---- the end

    def settle(self) -> int:
        """Let all pairs meet without faults until nothing moves; return how many rounds it took."""
        before: list = []
        for member in self.members:
            # Who has lost something of its own asks for a survivor.
            for author, number in sorted(self.lost):
                if author == member.peer.author and member.peer.log.fetch(author, number) is None:
                    member.peer.down.want(author, number, number)
        for at in range(ROUNDS):
            for one in self.members:
                for two in self.members:
                    if one is not two:
                        self.now += 1
                        self.sync(one, two)
            after = [self.fingerprint(member) for member in self.members]
            if after == before:
                return at
            before = after
        raise AssertionError("still moving after %d rounds" % ROUNDS)

    def fingerprint(self, member: Member) -> tuple:
        peer = member.peer
        numbers = [(a, peer.log.held(a), peer.log.sealed(a), peer.receipted(a)) for a in sorted(peer.authors())]
        return numbers, sorted(self.held(member))

    def check_end(self) -> None:
        union = self.union()
        everywhere: dict = {}
        for member in self.members:
            everywhere.update(self.held(member))
        self.check_custody()
        gone = dict(self.collected)
        for dot in self.lost:
            if dot not in everywhere:
                gone[dot] = True
        for member in self.members:
            if member.utc() is None:
                continue
            for collection in member.wanted():
                self.compare(member, collection, union, gone)
            for interest in member.peer.down.subscriptions.own:
                if interest.where:
                    self.compare_some(member, interest, union, gone)

    def check_custody(self) -> None:
        """Every operation that was acknowledged is at every keeper, or said to be lost, or collected."""
        for keeper in self.keepers:
            log = keeper.peer.log
            locals_ = [member.peer.local for member in self.members]
            for dot in sorted(self.truth):
                if dot[0] in locals_ or log.fetch(dot[0], dot[1]) is not None:
                    continue
                kinds = [k for first, last, k in log.missing(dot[0]) if first <= dot[1] <= last]
                frontier = keeper.peer.down.frontier
                if kinds == [LOST]:
                    assert dot in self.lost, "said to be lost, and nobody lost it"
                elif frontier is not None and frontier.covers(dot[0], dot[1]):
                    continue
                else:
                    assert dot in self.lost and self.restored, "%s lacks %s: %s" % (
                        keeper.name,
                        dot,
                        (log.held(dot[0]), log.missing(dot[0])),
                    )

    def compare(self, member: Member, collection: str, union: Union, gone: dict) -> None:
        expected = union.view(collection, member.peer.author, member.keeper, member.utc(), gone)
        shown = member.view(collection)
        held = self.held(member)
        for place in sorted(union.places):
            if place[0] != collection or place in self.tainted or self.forgot(member, union.places[place][1]):
                continue
            one, other = shown.get(place[1]), expected.get(place[1])
            if one != other:
                raise AssertionError(
                    "%s shows %s of %s as %s, and not as %s; it holds %s of %s"
                    % (
                        member.name,
                        union.places[place][0],
                        collection,
                        one and cbor.decode(one),
                        other and cbor.decode(other),
                        [dot for dot in sorted(union.places[place][1]) if dot in held],
                        [dot for dot in sorted(union.places[place][1]) if dot not in gone],
                    )
                )
            self.compare_stored(member, place, union, gone, held)

    def forgot(self, member: Member, dots: dict) -> bool:
        """Say whether a restored keeper cannot know what it wrote itself."""
        for author, number in member.former:
            if [dot for dot in dots if dot[0] == author and dot[1] > number]:
                return True
        return False

    def compare_some(self, member: Member, interest: object, union: Union, gone: dict) -> None:
        """Documents that fulfil a condition are the same for who wants those alone."""
        condition = Condition(interest.where, interest.parameters)
        expected = union.view(interest.collection, member.peer.author, member.keeper, member.utc(), gone)
        for shown, other in ((member.view(interest.collection), expected), (expected, None)):
            for place in sorted(shown):
                if (interest.collection, place) in self.tainted:
                    continue
                row = cbor.decode(shown[place])
                row["_id"] = cbor.decode(place)
                if condition.holds(row):
                    there = (other or member.view(interest.collection)).get(place)
                    assert there == shown[place], "%s WHERE %s: %s shows %s as %s, not %s" % (
                        interest.collection,
                        interest.where,
                        member.name,
                        cbor.decode(place),
                        row if other is not None else there and cbor.decode(there),
                        there and cbor.decode(there) if other is not None else row,
                    )

    def compare_stored(self, member: Member, place: tuple, union: Union, gone: dict, held: dict) -> None:
        """What a document still needs is here."""
        document = Document()
        dots = union.places[place][1]
        for dot in sorted(dots):
            for change, schema, stamp, author in dots[dot]:
                if dot not in gone:
                    document.apply(change, schema, stamp, author)
        if not document.exists():
            return
        for dot in sorted(dots):
            for change, schema, stamp, author in dots[dot]:
                if dot not in gone and document.carries(change, schema, stamp, author):
                    assert dot in held, "%s lacks %s" % (member.name, dot)


class Crossing(BadPipe):
    """A pipe between two members, each with its own uptime."""

    def __init__(self, fleet: Fleet, one: Member, two: Member, first: object, second: object, options: dict):
        self.fleet = fleet
        self.members = (one, two)
        Pipe.__init__(self, first, second, fleet.now, **options)

    def step(self) -> bool:
        if self.between:
            self.between()
        moved = False
        for at in (0, 1):
            data = self.ends[at].outgoing(1200, self.members[at].uptime())
            if data and not self.broken:
                moved = True
                self.records[at].append(data)
                self._carry(at, data)
        return moved

    def _deliver(self, at: int, data: bytes) -> None:
        self.fleet.now += self.delay
        left = self.cut[at] - self.sent[at] if at in self.cut else len(data)
        self.broken = self.broken or left < len(data)
        data = data[: max(0, left)]
        self.sent[at] += len(data)
        for start in range(0, len(data), self.chunk):
            self.ends[1 - at].receive(data[start : start + self.chunk], self.members[1 - at].uptime())

    def _carry(self, at: int, data: bytes) -> None:
        if self.trouble and self.random.chance(self.trouble):
            other = data if self.random.chance(50) else self.ends[at].outgoing(1200, self.members[at].uptime())
            if other:
                self._deliver(at, other)
        self._deliver(at, data)

    def run(self, limit: int = 3000) -> "Crossing":
        for _ in range(limit):
            if self.broken or (self.ends[0].finished and self.ends[1].finished):
                return self
            if not self.step():
                waits = []
                for at in (0, 1):
                    if not self.ends[at].finished:
                        uptime = self.members[at].uptime()
                        waits.append(max(1, self.ends[at].next_wakeup(uptime) - uptime))
                self.fleet.now += min(waits)
        raise AssertionError("the exchange does not end")


# Steps and how often they come: of all kinds, and with much that is deleted and collected.
STEPS = (
    (("write", 30), ("sync", 30), ("restart", 5), ("evict", 4), ("subscribe", 4), ("cancel", 2), ("want", 2))
    + (("lose", 2), ("cut", 3), ("collect", 6), ("advance", 5), ("save", 3)),
    (("write", 20), ("delete", 8), ("sync", 45), ("restart", 2), ("subscribe", 3), ("evict", 1))
    + (("collect", 12), ("advance", 10)),
)


def run_case(seed: int, peers: int, steps: int, without: tuple = (), say: object = None) -> Fleet:
    """Play one case to its end; return the fleet. `without` names steps that do not come."""
    fleet = Fleet(seed, peers)
    random = fleet.random
    bag = []
    for name, count in random.choice(STEPS):
        if name not in without:
            bag += [name] * count
    for _ in range(steps):
        fleet.now += random.choice([1, 50, 3000, 700000])
        name = random.choice(bag)
        member = random.choice(fleet.members)
        if name == "sync":
            other = random.choice([other for other in fleet.members if other is not member])
            pipe = fleet.sync(member, other, True)
            told: object = other.name + (" broken" if pipe.broken else "") + str([str(e.error) for e in pipe.ends])
        else:
            told = getattr(fleet, name)(member)
            fleet.note(member)
            fleet.check(member)
        if say:
            say(name, member.name, told)
    fleet.settle()
    fleet.check_end()
    # What is below the frontier goes everywhere, and nothing else does.
    for _ in range(2):
        fleet.advance(fleet.keepers[0])
        for member in fleet.members:
            fleet.collect(member)
            fleet.check(member)
        fleet.settle()
        fleet.check_end()
    return fleet
