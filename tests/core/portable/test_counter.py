"""Counters: totals per author under a base (SPEC 3.18 to 3.24)."""

from document_kit import A, B, check, count, delete, increment, merged, superseded, write
from kit import Random

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.document import Document
from hedgerow.operation import COUNTER, INITIAL, UNSET, UPDATE


def test_a_counter_adds_up_over_authors() -> None:
    base = write(1, A, {"a": 1})
    check({"a": 1, "n": 5}, base, count(2, A, "n", b"", 2), count(2, B, "n", b"", 3))
    check({"a": 1, "n": 4}, base, count(2, A, "n", b"", 2), count(3, A, "n", b"", 4))
    check({"a": 1, "m": {"n": 4}}, base, count(2, A, ("m", "n"), b"", 4))
    check({"a": 1, "n": 0}, base, count(2, A, "n", b"", 2), count(3, B, "n", b"", -2))


def test_a_counter_alone_makes_no_document() -> None:
    check(None, count(2, A, "n", b"", 2))
    check(None, count(2, A, "n", b"", 2), delete(1, A))
    check({"n": 2}, count(2, A, "n", b"", 2), write(1, B, {}))
    check({"n": 2}, count(2, A, "n", b"", 2), write(3, B, {}))


def test_a_plain_write_starts_a_counter_anew() -> None:
    start = write(1, A, {"n": 10})
    key = hlc.pack(1) + A
    old = count(2, A, "n", key, 3)
    check({"n": 13}, start, old)
    check({"n": 7}, start, old, write(3, B, {"n": 7}, UPDATE))
    check({"n": 9}, start, old, write(3, B, {"n": 7}, UPDATE), count(4, A, "n", hlc.pack(3) + B, 2))
    check({}, start, old, write(3, B, {}, UPDATE, {UNSET: ["n"]}))
    check({"n": 2}, start, old, write(3, B, {}, UPDATE, {UNSET: ["n"]}), count(4, A, "n", hlc.pack(3) + B, 2))
    check({"n": "seven"}, start, old, write(3, B, {"n": "seven"}, UPDATE))
    # An increment that was made without knowing the restart is later than it, and is not counted.
    check({"n": 7}, start, write(3, B, {"n": 7}, UPDATE), count(4, A, "n", key, 3))


def test_a_restart_above_a_counter_restarts_it() -> None:
    start, old = write(1, A, {}), count(2, A, ("m", "n"), b"", 3)
    check({"m": {"n": 3}}, start, old)
    check({"m": 0}, start, old, write(3, B, {"m": 0}, UPDATE))
    new = count(4, B, ("m", "n"), hlc.pack(3) + B, 1)
    check({"m": {"n": 1}}, start, old, write(3, B, {"m": 0}, UPDATE), new)


def test_a_delete_ends_counts_and_an_insert_does_not() -> None:
    start, old = write(1, A, {}), count(2, A, "n", b"", 3)
    check(None, start, old, delete(3, B))
    check({}, start, old, delete(3, B), write(4, B, {}))
    check({"n": 1}, start, old, delete(3, B), write(4, B, {}), count(5, A, "n", hlc.pack(3) + B, 1))
    check({"n": 3}, start, old, write(4, B, {}))
    # The tombstone is gone, and what was counted since it still counts.
    check({"n": 1}, write(4, B, {}), count(5, A, "n", hlc.pack(3) + B, 1))


def test_defaults_never_restart_a_counter() -> None:
    one, two = write(1, A, {"n": 5}, INITIAL), write(2, B, {"n": 5, "m": 1}, INITIAL)
    check({"n": 8}, one, count(3, A, "n", b"", 3))
    check({"n": 8, "m": 1}, one, count(3, A, "n", b"", 3), two)
    check({"n": 9, "m": 1}, one, count(3, A, "n", b"", 3), two, count(4, B, "n", b"", 1))


def test_the_newest_base_of_an_author_counts() -> None:
    start, again = write(1, A, {"n": 0}), write(3, B, {"n": 0}, UPDATE)
    old, new = count(9, A, "n", hlc.pack(1) + A, 100), count(8, A, "n", hlc.pack(3) + B, 1)
    check({"n": 1}, start, again, old, new)
    # A base that its own author cannot have seen counts nothing.
    check({"n": 0}, start, again, count(3, A, "n", hlc.pack(3) + B, 50))


def test_counters_beside_maps() -> None:
    start, old = write(1, A, {}), count(3, A, "n", b"", 3)
    check({"n": {"x": 1}}, start, old, write(2, B, {("n", "x"): 1}, UPDATE))
    check({"n": {"x": 1}}, start, old, write(4, B, {("n", "x"): 1}, UPDATE))
    check({"n": {"x": 2}}, start, old, count(2, B, ("n", "x"), b"", 2))


def test_sums_are_exact_or_null() -> None:
    def total(start: object, *totals: object) -> object:
        changes = [write(1, A, {"n": start})]
        for at in range(len(totals)):
            changes.append(count(2, b"author-%d" % at, "n", hlc.pack(1) + A, totals[at]))
        return merged(*changes).value()["n"]

    big = 1 << 64
    for expected, *numbers in (
        (Decimal(750, -2), 5, Decimal(250, -2)),
        (Decimal(75, -1), Decimal(5, 0), 1, Decimal(15, -1)),
        (Decimal(51, 0), 1, Decimal(5, 1)),
        (Decimal(55, 1), Decimal(50, 1), Decimal(5, 1)),
        (big - 1, big - 2, 1),
        (None, big - 1, 1),
        (-big, -big + 1, -1),
        (None, -big, -1),
        (None, 1, Decimal(1, -127), Decimal(1, 127)),
        (3, True, 3),
        (3, "7", 3),
        (3, 0.5, 3),
    ):
        assert cbor.encode(total(*numbers)) == cbor.encode(expected), numbers


def test_what_an_increment_builds_on() -> None:
    document = merged(write(1, A, {"n": 10}))
    key = hlc.pack(1) + A
    assert document.counter(("n",), A) == (key, 0)
    increment(document, 2, A, "n", 5)
    increment(document, 3, A, "n", -1)
    increment(document, 3, B, "n", Decimal(1, 0))
    assert document.counter(("n",), A) == (key, 4) and document.counter(("n",), B) == (key, 1)
    assert document.value() == {"n": 15}
    document.apply(*write(4, B, {"n": 0}, UPDATE))
    assert document.counter(("n",), A) == (hlc.pack(4) + B, 0)
    assert Document().counter(("m", "n"), A) == (b"", 0)
    # A base that is not held here any more is kept.
    gone = merged(write(1, A, {}), count(5, A, "n", hlc.pack(4) + B, 6))
    assert gone.counter(("n",), A) == (hlc.pack(4) + B, 6)


def test_no_increment_is_lost_between_peers() -> None:
    random = Random(7)
    for _ in range(30):
        peers = [Document() for _ in range(3)]
        run = [write(1, A, {"n": 1}, INITIAL), write(random.below(4), B, {"m": 1})]
        expected = 1
        for peer in peers:
            peer.apply(*run[0])
        for ms in range(2, 20):
            at, amount = random.below(3), random.between(-5, 9)
            run.append(increment(peers[at], ms, b"author-%d" % at, "n", amount))
            expected += amount
            peers[random.below(3)].apply(*random.choice(run))
        for peer in peers:
            for change in random.shuffle(list(run)):
                peer.apply(*change)
            assert peer.value() == {"n": expected, "m": 1}


def test_superseded_counts() -> None:
    def check_lost(*operations: tuple) -> list:
        return superseded(merged(*operations), *operations)

    one, two, other = count(1, A, "n", b"", 1), count(2, A, "n", b"", 2), count(1, B, "n", b"", 1)
    assert check_lost(one, two, other) == [True, False, False]
    assert check_lost(one, write(2, B, {"n": 0}, UPDATE)) == [True, False]
    assert check_lost(one, delete(2, B)) == [True, False]
    assert check_lost(one, write(2, B, {"n": 0}, INITIAL)) == [False, False]
    assert check_lost(count(1, A, "n", hlc.pack(1) + A, 1)) == [True]
    pair = write(1, A, {"n": [b"", 1], "m": [b"", 1]}, COUNTER)
    assert check_lost(pair, two) == [False, False]
