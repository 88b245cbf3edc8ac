"""A fleet of peers in which everything happens that may happen.

`run_case(seed, peers, steps)` plays one case; on CPython the same seed plays the same case again.
"""

from converge_check import Checks
from converge_member import SHARED, Crossing, Member
from converge_model import Union
from kit import Random

from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryStore
from hedgerow.sync import hello
from hedgerow.sync.exchange import Exchange

SECRET = "s3cret"
CONDITIONS = ("n > 5", "n = 3", "k = 'x' OR m.x > 4")
IDS = (0, 1, 2, "d")


class Fleet(Checks):
    """The peers, the truth about what they wrote, and the steps that a case is made of."""

    def __init__(self, seed: int, count: int):
        self.random = Random(seed)
        self.now = 1000000
        self.truth: dict = {}
        # Dots that may be nowhere in the end: a step took them away, or a keeper collected them.
        self.lost: dict = {}
        self.collected: dict = {}
        self.late: dict = {}
        self.schemas: dict = {}
        self.pairs = 0
        roles = [hello.KEEPER, hello.GATEWAY, hello.RELAY]
        while len(roles) < count:
            roles.append(
                self.random.choice([hello.RELAY, hello.RELAY, hello.LEAF, hello.GATEWAY, hello.KEEPER])
            )
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
            text += random.choice(
                ["APPLY c INCREMENT BY 2", "APPLY m.c INCREMENT BY -1", "APPLY c RESTART WITH 5"]
            )
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
                work.execute(
                    "INSERT INTO " + collection + " DOCUMENTS (:d)", d={"_id": name, "n": 100 + self.pairs}
                )
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
                assert dot[0] != member.peer.author or dot[1] <= number, "%s drops open %s" % (
                    member.name,
                    dot,
                )
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
            self.judge(member, gone, before)
        return str(dropped)

    def judge(self, member: Member, gone: list, before: dict) -> None:
        """Take down what a keeper has collected with its deleted documents.

        A write to one of them that was made before, and has not reached the keeper, comes too late: whoever
        still has the delete hides it, and the others do not. A frontier waits for what takers wrote (its
        giver learns how far that is), and not for who takes nothing or was retired: there is no right answer.
        """
        union = self.union()
        frontier = member.peer.down.frontier
        for dot in gone:
            known = dot[0] == member.peer.local or frontier.covers(dot[0], dot[1])
            assert known, "collected above the frontier"
        for place in sorted(union.places):
            dots = union.places[place][1]
            if [dot for dot in dots if dot in gone]:
                if [dot for dot in dots if dot not in before and dot not in self.collected]:
                    self.late[place] = True
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
            if end.error is not None and (not pipe.trouble or end.error.code != "RECORD_SEQUENCE"):
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
            told: object = (
                other.name + (" broken" if pipe.broken else "") + str([str(e.error) for e in pipe.ends])
            )
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
