"""Merge rules: any order, any repetition, the same document."""

from document_kit import AB, A, B, check, count, delete, merged, superseded, write
from kit import Random, raises
from samples import AUTHOR, PLANT, READING, random_change

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.document import Document, document_ids
from hedgerow.operation import CLOCK, COUNTER, DELETE, INITIAL, INSERT, MERGE_STAMP, UNSET, UPDATE


def test_last_writer_wins_each_field() -> None:
    check(
        {"a": 3, "b": 2},
        write(1, A, {"a": 1, "b": 1}),
        write(2, B, {"b": 2}, UPDATE),
        write(3, A, {"a": 3}, UPDATE),
    )


def test_equal_stamps_are_settled_by_author() -> None:
    check({"a": 1}, write(5, A, {"a": 2}), write(5, B, {"a": 1}))
    check({"a": "late a"}, write(6, A, {"a": "late a"}), write(5, B, {"a": "from b"}))


def test_an_update_alone_makes_no_document() -> None:
    check(None, write(5, A, {"a": 1}, UPDATE))
    check({"a": 1, "b": 2}, write(5, A, {"a": 1}, UPDATE), write(3, B, {"b": 2}))


def test_maps_merge_by_child() -> None:
    check({"a": {"x": 1, "y": 2}}, write(1, A, {"a": {"x": 1}}), write(1, B, {"a": {"y": 2}}))
    check({"a": {"x": 9, "y": 2}}, write(1, A, {"a": {"x": 1, "y": 2}}), write(2, B, {("a", "x"): 9}, UPDATE))
    check({"a": {"x": {"y": {"z": 1}}}}, write(1, A, {}), write(2, B, {("a", "x", "y", "z"): 1}, UPDATE))
    check({"a": {}}, write(1, A, {"a": {}}))


def test_a_value_in_the_place_of_a_map_hides_older_children_only() -> None:
    old, new = write(1, A, {"a": {"x": 1, "y": 1}}), write(3, B, {("a", "x"): 3}, UPDATE)
    check({"a": 7}, old, write(2, B, {"a": 7}, UPDATE))
    check({"a": {"x": 3}}, old, write(2, B, {"a": 7}, UPDATE), new)
    check({"a": 7}, old, new, write(4, A, {"a": 7}, UPDATE))


def test_arrays_are_single_values() -> None:
    check({"a": [3]}, write(1, A, {"a": [1, 2]}), write(2, B, {"a": [3]}))


def test_unset_hides_what_is_older() -> None:
    base = write(1, A, {"a": {"x": 1, "y": 2}, "b": 5})
    unset_b = write(2, B, {}, UPDATE, {UNSET: ["b"]})
    unset_x = write(2, B, {}, UPDATE, {UNSET: [["a", "x"]]})
    check({"a": {"x": 1, "y": 2}}, base, unset_b)
    check({"a": {"y": 2}, "b": 5}, base, unset_x)
    check({"b": 5}, base, write(2, B, {}, UPDATE, {UNSET: ["a"]}))
    check({"a": {"x": 1, "y": 2}, "b": 6}, base, unset_b, write(3, A, {"b": 6}, UPDATE))
    check(
        {"a": {"y": 4}, "b": 5},
        base,
        write(2, B, {}, UPDATE, {UNSET: ["a"]}),
        write(4, A, {("a", "y"): 4}, UPDATE),
    )


def test_delete_hides_and_a_later_insert_shows_only_what_is_newer() -> None:
    base, gone, back = write(1, A, {"a": 1, "b": 1}), delete(3, B), write(4, A, {"a": 4})
    check(None, base, gone)
    check({"a": 4}, base, gone, back)
    check({"a": 4, "b": 5}, base, gone, back, write(5, B, {"b": 5}, UPDATE))
    check({"a": 4}, base, write(2, B, {"b": 2}, UPDATE), gone, back)
    check(None, base, gone, write(4, A, {"a": 4}, UPDATE))
    check({"a": 4}, write(1, A, {"b": {"x": 1}}), gone, back)


def test_delete_wins_over_an_insert_with_the_same_stamp_and_author() -> None:
    check(None, write(3, A, {"a": 1}), delete(3, A))
    check({"a": 1}, write(3, B, {"a": 1}), delete(3, A))


def test_the_same_default_on_a_thousand_boards_is_one() -> None:
    document = Document()
    assert document.apply(*write(1, A, {"a": 1, "b": 2}, INITIAL))
    state = document.encode()
    random = Random(1)
    for _ in range(1000):
        assert not document.apply(*write(random.below(1 << 40), random.bytes(8), {"a": 1, "b": 2}, INITIAL))
    assert document.encode() == state and document.value() == {"a": 1, "b": 2}


def test_defaults_yield_to_everything_and_never_resurrect() -> None:
    default = write(900, A, {"a": 1, "b": 2}, INITIAL)
    check({"a": 5, "b": 2}, default, write(1, B, {"a": 5}, UPDATE))
    check({"a": 5, "b": 2}, default, write(1, B, {"a": 5}))
    check(None, default, delete(1, B))
    value = merged(default, write(900, B, {"a": 7}, INITIAL)).value()
    check(value, default, write(900, B, {"a": 7}, INITIAL))
    assert value["b"] == 2 and value["a"] in (1, 7)


def test_merge_stamp_lets_a_slow_clock_change_what_it_has_read() -> None:
    future = write(1 << 40, A, {"a": 1, "b": 1})
    document = merged(future)
    slow = hlc.pack(60)
    merge = document.merge_stamp(slow)
    assert merge == hlc.above(hlc.pack(1 << 40))
    options = {MERGE_STAMP: hlc.wire(merge)}
    check({"a": 2, "b": 1}, future, write(60, B, {"a": 2}, UPDATE, options))
    check(None, future, ([DELETE, AB.name, "id", options], AB, slow, B))
    assert document.merge_stamp(hlc.pack((1 << 40) + 1)) is None
    assert document.merge_stamp(hlc.pack(1 << 40)) == merge
    assert Document().merge_stamp(slow) is None


def test_decimals_keep_their_exponent() -> None:
    value = merged(write(1, A, {"a": Decimal(3940, -2), "b": Decimal(394, -1)})).value()
    assert (value["a"].mantissa, value["a"].exponent) == (3940, -2)
    assert value["a"] == value["b"]


def test_one_operation_that_writes_a_field_twice_has_one_outcome() -> None:
    check({"a": 2}, write(1, A, {"a": 1}), write(1, A, {"a": 2}))


def test_a_refused_change_changes_nothing() -> None:
    document = merged(write(1, A, {"a": 1}))
    state = document.encode()
    raises("CHANGE_FIELDS", document.apply, [INSERT, AB.name, "id", [1]], AB, hlc.pack(2), B)
    assert document.encode() == state


def test_the_stamp_of_a_document_is_the_greatest_in_it() -> None:
    assert Document().stamp() == b""
    for last in (
        write(9, A, {"a": 1}),
        write(9, A, {"a": {}}, UPDATE),
        write(9, A, {}, UPDATE, {UNSET: ["a"]}),
        delete(9, A),
        count(9, A, "a", b"", 1),
    ):
        document = merged(write(3, B, {"a": 1}), last)
        assert document.stamp() == hlc.pack(9)
        assert document.merge_stamp(hlc.pack(9)) == hlc.above(hlc.pack(9))
        assert document.merge_stamp(hlc.pack(10)) is None


def test_what_is_superseded() -> None:
    def check_lost(*operations: tuple) -> list:
        return superseded(merged(*operations), *operations)

    base, both = write(1, A, {"a": 1, "b": 1}), write(2, B, {"a": 2, "b": 2}, UPDATE)
    # The greatest insert stays, whatever happened to its fields; an older one with nothing left goes.
    assert check_lost(base, both) == [False, False]
    assert check_lost(base, write(2, B, {"a": 2, "b": 2})) == [True, False]
    assert check_lost(base, write(2, B, {"a": 2})) == [False, False]
    assert check_lost(base, both, delete(3, A)) == [True, True, False]
    assert check_lost(base, delete(3, A), write(4, A, {})) == [True, False, False]
    assert check_lost(delete(2, A), delete(3, A)) == [True, False]
    assert check_lost(base, both, write(3, A, {"a": 3}, UPDATE)) == [False, False, False]
    assert check_lost(base, both, write(3, A, {"a": 3, "b": 3}, UPDATE)) == [False, True, False]
    assert check_lost(write(1, A, {}, UPDATE)) == [True]
    # A plain value or unset hides what is older below it, for ever; a map above hides nothing.
    deep = write(2, A, {("a", "x"): 1}, UPDATE)
    assert check_lost(deep, write(3, A, {"a": 1}, UPDATE)) == [True, False]
    assert check_lost(deep, write(3, A, {}, UPDATE, {UNSET: ["a"]})) == [True, False]
    assert check_lost(write(1, A, {"a": 1}, UPDATE), deep) == [False, False]
    assert check_lost(write(1, A, {"a": {}}, UPDATE), deep) == [True, False]
    assert check_lost(write(3, A, {"a": {}}, UPDATE), deep) == [False, False]
    assert check_lost(write(2, A, {}, UPDATE, {UNSET: ["a"]}), write(3, A, {"a": 1}, UPDATE)) == [True, False]


def test_the_dominating_key() -> None:
    base = write(1, A, {"a": 1})
    for expected, *later in (
        (hlc.pack(3) + A, write(3, A, {"a": 1})),
        (hlc.pack(3) + B, delete(3, B)),
        (hlc.pack(5) + A, write(3, B, {}), write(5, A, {"a": 2}, UPDATE)),
        (hlc.pack(6) + B, write(3, A, {"a": 1}), delete(6, B)),
    ):
        assert merged(base, *later).superseded_by(*base) == expected
    assert merged(delete(1, A), delete(3, B)).superseded_by(*delete(1, A)) == hlc.pack(3) + B
    one = count(1, A, "n", b"", 1)
    assert merged(one, count(4, A, "n", b"", 2)).superseded_by(*one) == hlc.pack(4) + A
    assert merged(one, write(4, B, {"n": 2}, UPDATE)).superseded_by(*one) == hlc.pack(4) + B
    assert merged(base).superseded_by(*base) is None
    empty = write(1, A, {}, UPDATE)
    assert merged(empty).superseded_by(*empty) == b""


def test_states_without_counters_of_version_1_are_read() -> None:
    state = merged(write(1, A, {"a": {"x": 1}, "b": "text"}), delete(0, B)).encode()
    assert state[0] == 2 and Document.decode(b"\x01" + state[1:]).encode() == state
    counted = merged(write(1, A, {}), count(2, B, "n", b"", 1)).encode()
    raises("DOCUMENT_STATE", Document.decode, b"\x01" + counted[1:])


def test_document_ids() -> None:
    insert, named, clock = (
        [INSERT, PLANT.name, None, []],
        [INSERT, PLANT.name, "x", []],
        [CLOCK, 1, 0, 0, 0, None, 0],
    )
    assert document_ids(A, 9, [insert]) == [[A, 9]]
    assert document_ids(A, 9, [clock, insert, named]) == [None, [A, 9], "x"]
    assert document_ids(A, 9, [insert, named, insert]) == [[A, 9, 0], "x", [A, 9, 2]]
    assert document_ids(A, 9, [[DELETE, PLANT.name, 5]]) == [5]
    assert document_ids(A, 9, [insert, [COUNTER, PLANT.name, "x", []]]) == [[A, 9], "x"]


def test_random_operations_commute() -> None:
    random = Random(99)
    schemas = {schema.name: schema for schema in (PLANT, READING)}
    shown = 0
    for _ in range(40):
        operations = []
        while len(operations) < 8:
            stamp = hlc.pack(random.below(5))
            change = random_change(random, stamp)
            if change[0] != CLOCK and change[1] in schemas:
                operations.append((change, schemas[change[1]], stamp, random.choice([A, B, AUTHOR])))
        first = merged(*operations)
        for _ in range(4):
            mixed = random.shuffle(list(operations))
            assert merged(*(mixed + mixed[:3])).encode() == first.encode()
        shown += first.exists()
        assert Document.decode(first.encode()).value() == first.value()
    assert shown > 10


def test_damaged_state_is_refused_by_code() -> None:
    from hedgerow.errors import CODES, HedgerowError

    state = merged(write(1, A, {"a": {"x": 1}, "b": "text"}), delete(0, B), count(2, A, "n", b"", 1)).encode()
    random = Random(5)
    for _ in range(300):
        damaged = bytearray(state)
        damaged[random.below(len(state))] = random.below(256)
        try:
            Document.decode(bytes(damaged))
        except HedgerowError as error:
            assert error.code in CODES
    raises("DOCUMENT_STATE", Document.decode, cbor.encode(3))
    raises("DOCUMENT_STATE", Document.decode, b"\x01\xf6\x40")
    raises("CBOR_TRUNCATED", Document.decode, b"")
