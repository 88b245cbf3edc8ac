"""What must hold in a fleet of peers: at every step, and in the end (see converge_kit)."""

from converge_member import Member
from converge_model import Union

from hedgerow.codec import cbor
from hedgerow.custody.skip import LOST, RECEIPTED
from hedgerow.document import Document, key_of
from hedgerow.limits import const
from hedgerow.log import STATE_CONFIG, MemoryLog
from hedgerow.operation import DELETE
from hedgerow.query.condition import Condition

ROUNDS = const(14)


class Checks:
    """The part of a Fleet that looks at it; it needs the rest of it."""

    # ---- what holds at every step

    def check(self, member: Member) -> None:
        held = self.held(member)
        for dot in sorted(held):
            assert self.truth.get(dot) == held[dot], "%s: %s is not what the author wrote" % (
                member.name,
                dot,
            )
        for dot in sorted(member.own):
            # Who begins anew below a frontier drops its own receipted ones too.
            frontier = member.peer.down.frontier
            below = frontier is not None and frontier.covers(dot[0], dot[1])
            if not below or dot[1] > member.peer.receipted(dot[0]):
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
            for _, last, kind in peer.log.missing(author):
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
        numbers = [
            (a, peer.log.held(a), peer.log.sealed(a), peer.receipted(a)) for a in sorted(peer.authors())
        ]
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
                    # An author that has dropped what one keeper receipted can give the other one no more.
                    frontier = self.keepers[0].peer.down.frontier
                    collected = frontier is not None and frontier.covers(dot[0], dot[1])
                    assert dot in self.lost or collected, "said to be lost, and nobody lost it"
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
            if (
                place[0] != collection
                or self.too_late(place, union)
                or self.forgot(member, union.places[place][1])
            ):
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
        """Say whether a keeper cannot know what one wrote before it was restored."""
        former = [entry for keeper in self.keepers for entry in keeper.former]
        for author, number in former if member.keeper else ():
            if [dot for dot in dots if dot[0] == author and dot[1] > number]:
                return True
        return False

    def too_late(self, place: tuple, union: Union) -> bool:
        """Say whether a document was written below a delete that a keeper had collected (see Fleet.judge).

        So is a default, or a write by a clock that is behind, of who knows nothing of the delete any more.
        """
        dots = union.places[place][1] if place in union.places else {}
        deletes = [
            key_of(*entry)
            for dot in dots
            for entry in dots[dot]
            if dot in self.collected and entry[0][0] == DELETE
        ]
        later = [key_of(*entry) for dot in dots for entry in dots[dot] if dot not in self.collected]
        return place in self.late or bool(deletes and later and min(later) < max(deletes))

    def compare_some(self, member: Member, interest: object, union: Union, gone: dict) -> None:
        """Documents that fulfil a condition are the same for who wants those alone."""
        condition = Condition(interest.where, interest.parameters)
        expected = union.view(interest.collection, member.peer.author, member.keeper, member.utc(), gone)
        for shown, other in ((member.view(interest.collection), expected), (expected, None)):
            for place in sorted(shown):
                if self.too_late((interest.collection, place), union):
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
