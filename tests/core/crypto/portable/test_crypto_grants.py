"""Keys of confidential collections, and how their holders come to them (SPEC 11.17.3, 11.17.4)."""

from conceal_kit import NEWER, WHOLE, carry, own, peer
from enrolled_kit import Agreed, Enrolled
from kit import raises
from sync_kit import sync

from hedgerow import limits
from hedgerow.codec import cbor
from hedgerow.codec.schema import GRANTS
from hedgerow.crypto.confidential import CollectionKeys, author_key, join_keys, read_keys
from hedgerow.crypto.grants import FIELD, ask, drop, granted, unwrap, wrap
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import GATEWAY

HEAP = "1600k"


def test_keys_that_break_the_rules_are_refused() -> None:
    good = ["visits", 1, WHOLE]
    assert read_keys(cbor.encode([good])) == [good]
    bad = (
        7,
        [good[:2]],
        [good + [1]],
        [["visits", 0, WHOLE]],
        [["visits", 1 << 28, WHOLE]],
        [["visits", True, WHOLE]],
        [["visits", 1, WHOLE[:31]]],
        [["visits", 1, "x" * 32]],
        [good] * (limits.MAX_COLLECTION_KEYS + 1),
    )
    for entries in bad:
        raises("KEYS_INVALID", read_keys, cbor.encode(entries))
    raises("SCHEMA_INVALID", read_keys, cbor.encode([["", 1, WHOLE]]))


def test_a_grant_is_its_holders_and_its_keepers() -> None:
    pair, keeper, holder = bytes(range(32)), b"k" * 8, b"a" * 8
    data = wrap(pair, keeper, holder, own(b"a"))
    assert data == wrap(pair, keeper, holder, own(b"a"))
    assert WHOLE not in data and author_key(WHOLE, holder) not in data
    assert unwrap({keeper: pair}.get, holder, data) == own(b"a")
    for pairs, name, code in (
        ({}, holder, "KEY_UNKNOWN"),
        ({keeper: bytes(32)}, holder, "TAG_INVALID"),
        ({keeper: pair}, b"b" * 8, "TAG_INVALID"),
    ):
        raises(code, unwrap, pairs.get, name, data)


def test_a_grant_comes_down_as_a_document() -> None:
    pair, keeper = bytes(range(32)), b"k" * 8
    store = peer(b"k", keeper=True)
    board = peer(b"a")
    ask(board)
    ask(board)
    assert [interest.collection for interest in board.down.subscriptions.own] == [GRANTS]
    drop(board)
    assert board.down.subscriptions.own == []
    ask(board, True)
    ask(board)
    assert [interest.where for interest in board.down.subscriptions.own] == ["_id = :me"]
    assert granted(board, {keeper: pair}.get) is None
    store.execute(
        "INSERT INTO %s DOCUMENTS (:d)" % GRANTS,
        d={"_id": board.author, FIELD: wrap(pair, keeper, board.author, own(b"a"))},
    )
    heard: list = []
    board.on_filled = heard.extend
    body = store.log.fetch(store.author, 2)
    board.ingest_schema(list(store.schemas.values())[0].encoded)
    board.down.fill(store.author, 2, [body], False)
    assert heard == [body]
    assert granted(board, {keeper: pair}.get) == sorted(own(b"a"))
    assert granted(board, {keeper: bytes(32)}.get) is None
    assert granted(board, {}.get) is None
    # Whoever has put something else there, or has deleted it, has said nothing.
    stranger = peer(b"z")
    for keys in (b"", "text", wrap(pair, keeper, stranger.author, []), None):
        text = "INSERT INTO %s DOCUMENTS (:d) ON ID CONFLICT DO UPDATE" % GRANTS
        stranger.execute(text, d={"_id": board.author, FIELD: keys})
    stranger.execute("DELETE FROM %s" % GRANTS)
    carry(stranger, board)
    assert board.down.documents.view(GRANTS, board.author) is None
    assert granted(board, {keeper: pair}.get) == sorted(own(b"a"))


def test_an_older_grant_said_again_takes_no_key_away() -> None:
    """Any member may copy what it has carried. SPEC 11.17.4."""
    pair, keeper = bytes(range(32)), b"k" * 8
    board, evil, store = peer(b"a"), peer(b"z"), peer(b"k", keeper=True)
    text = "INSERT INTO %s DOCUMENTS (:d) ON ID CONFLICT DO UPDATE" % GRANTS
    first, second = own(b"a"), own(b"a") + own(b"a", 2, NEWER)
    for who, keys in ((store, first), (store, second), (evil, first)):
        who.execute(text, d={"_id": board.author, FIELD: wrap(pair, keeper, board.author, keys)})
    carry(store, board)
    carry(evil, board)
    assert granted(board, {keeper: pair}.get) == sorted(second)
    # Nor does one of fewer that comes when those before are not here any more.
    late = peer(b"a", second)
    carry(evil, late)
    assert granted(late, {keeper: pair}.get) == sorted(second)
    # What another author's log was granted is not mixed with it.
    late.collection_keys = CollectionKeys(b"b" * 8, own(b"b", 9))
    assert granted(late, {keeper: pair}.get) == sorted(first)


def test_of_too_many_keys_the_oldest_go() -> None:
    many = [["visits", epoch, WHOLE] for epoch in range(1, 2 * limits.MAX_COLLECTION_KEYS)]
    found = join_keys(many, [["doors", 1, WHOLE], ["visits", 5, WHOLE[:16]]])
    assert len(found) == limits.MAX_COLLECTION_KEYS == len(read_keys(cbor.encode(found)))
    assert ["doors", 1, WHOLE] in found and many[-1] in found and many[0] not in found
    assert join_keys([["visits", 1, WHOLE[:16]]], [many[0]]) == [many[0]] == join_keys([many[0]], [])


class Told:
    """Who is told things by the other side of a session."""

    def __init__(self, of: Enrolled):
        self.grants: list = []
        of.members.take_grant = self.grants.append


def meet(one: Enrolled, two: Enrolled, keys: bool = True) -> None:
    shown = [Agreed(other.members.own.claims) if keys else None for other in (two, one)]
    sides = [Exchange(who.peer, 0, central=at == 0, keys=shown[at]) for at, who in enumerate((one, two))]
    for _ in range(40):
        for at in range(2):
            record = sides[at].outgoing(400, 0)
            if record:
                sides[1 - at].receive(record, 0)


def test_a_host_tells_a_member_its_own_grant_in_three_sessions() -> None:
    """SPEC 11.17.4."""
    gateway, board, other = Enrolled(21), Enrolled(22), Enrolled(23)
    mine, others = Told(board), Told(other)
    gateway.members.grant_of = {board.identity.author: b"grant"}.get
    for _ in range(5):
        meet(board, gateway)
    meet(other, gateway)
    assert mine.grants == [b"grant"] * 3 and others.grants == []
    gateway.members.grant_of = {board.identity.author: b"a newer one"}.get
    meet(gateway, board)
    assert mine.grants[3:] == [b"a newer one"]
    # What does not fit the other side's credit never comes, and ends nothing.
    gateway.members.grant_of = {other.identity.author: bytes(8000)}.get
    meet(other, gateway)
    assert others.grants == []


def test_who_has_shown_no_keys_is_told_no_grant() -> None:
    gateway, board = Enrolled(21), Enrolled(22)
    told = Told(board)
    gateway.members.grant_of = {board.identity.author: b"grant"}.get
    meet(board, gateway, False)
    assert told.grants == []


def test_the_grants_of_all_are_asked_of_keepers_alone() -> None:
    """What is asked of boards loads documents into their heaps, and goes on from relay to relay."""
    store, gateway, board = peer(b"k", keeper=True), peer(b"g", role=GATEWAY), peer(b"a")
    store.execute("INSERT INTO %s DOCUMENTS (:d)" % GRANTS, d={"_id": b"a" * 8, FIELD: b"grant"})
    ask(gateway, True)
    assert not gateway.wants(0) and gateway.wants(0, True)
    sync(board, gateway, 0)
    assert board._down is None or not board.down.subscriptions.adopted
    sync(gateway, store, 0)
    assert gateway.down.documents.view(GRANTS, b"a" * 8)[FIELD] == b"grant"
    # One for itself goes by whatever way there is.
    ask(gateway)
    assert gateway.wants(0)
    sync(board, gateway, 0)
    assert [entry[0].collection for entry in board.down.subscriptions.adopted.values()] == [GRANTS]
