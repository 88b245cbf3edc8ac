"""Letters in fragments: lost, doubled, out of order, mixed (SPEC 6.15)."""

from kit import Random, raises
from samples import AUTHOR, NOW, READING, reading

from hedgerow import limits
from hedgerow.errors import HedgerowError
from hedgerow.mesh import frames, letters, pace, tag
from hedgerow.trust.seal import make_seal

KEY = tag.mesh_key("shed")


def _frames(content: bytes) -> list:
    return [frames.make(frames.LETTER_UP, b"msh", body, KEY) for body in letters.split(content)]


def _content(random: Random, zeros: int = 20) -> bytes:
    data = bytearray((random.below(128),))
    while len(data) < 1 + random.below(100):
        data.append(0 if random.chance(zeros) else random.below(256))
    return bytes(data)


def opened(table: letters.Letters) -> list:
    """Return [(name, bitmap of missing fragments, moment of the last new one)], the oldest first."""
    found = [(letter[0], key[:3], letter[1]) for key, letter in table._open.items()]
    return [(name, missing, moment) for moment, name, missing in sorted(found)]


def test_layout() -> None:
    content = b"\1" + b"sixteen bytes 1" + b"rest"
    first, last = letters.split(content)
    name = letters.letter_id(content)
    assert first == name + b"\x02" + content[:16] and last == name + b"\x12rest"
    assert [len(frame) for frame in _frames(content)] == [27, 15]
    assert letters.decode_fragment(_frames(content)[1]) == (name, 1, 2, b"rest")


def test_fragments_in_any_order_and_often() -> None:
    random = Random(1)
    table = letters.Letters()
    for now in range(300):
        content = _content(random, random.choice([0, 10, 50, 90]))
        todo = _frames(content)
        name = todo[0][4:7]
        random.shuffle(todo)
        table.forget(name)
        given = None
        for frame in todo:
            assert given is None
            given = table.take(frame, now)
            again = table.take(frame, now)
            assert again is None
        assert given == content
        assert table.done(name, now) and opened(table) == []
        assert [table.take(frame, now) for frame in todo] == [None] * len(todo)


def test_missing_fragments_are_known() -> None:
    table = letters.Letters()
    todo = _frames(bytes(range(1, 81)))
    name = todo[0][4:7]
    assert len(todo) == 5 and table.missing(name) == 0
    table.take(todo[3], 70)
    assert table.missing(name) == 0b10111 and opened(table) == [(name, 0b10111, 70)]
    table.take(todo[0], 80)
    table.take(todo[0], 90)
    assert opened(table) == [(name, 0b10110, 80)]
    table.forget(name)
    assert opened(table) == [] and not table.done(name, 90)
    for _ in range(2):
        assert [table.take(frame, 95) for frame in todo][-1] is not None and table.done(name, 95)
        table.forget(name)
        assert not table.done(name, 95)


def test_what_was_whole_is_remembered_for_a_while() -> None:
    table = letters.Letters(2, 4)
    names = []
    for at in range(5):
        (frame,) = _frames(bytes((at, 7)))
        assert table.take(frame, 0) == bytes((at, 7))
        names.append(frame[4:7])
    assert [table.done(name, 1) for name in names] == [False, True, True, True, True]
    assert table.done(names[4], pace.AROUND_MS) and not table.done(names[4], 2 * pace.AROUND_MS)
    # Somebody may want it then who did not when it came before.
    assert table.take(frame, 2 * pace.AROUND_MS) == bytes((4, 7))


def test_several_letters_at_once() -> None:
    random = Random(2)
    contents = [_content(random) for _ in range(limits.MAX_LETTERS)]
    todo = [frame for content in contents for frame in _frames(content) * 2]
    random.shuffle(todo)
    table = letters.Letters()
    given = [found for found in [table.take(frame, 0) for frame in todo] if found]
    assert sorted(given) == sorted(contents)


def test_the_one_without_progress_makes_room() -> None:
    table = letters.Letters(2)
    first, second, third = [_frames(bytes((at,)) + bytes(range(1, 40))) for at in (1, 2, 3)]
    table.take(first[0], 1)
    table.take(second[0], 2)
    table.take(first[1], 3)
    table.take(third[0], 4)
    assert [entry[0] for entry in opened(table)] == [first[0][4:7], third[0][4:7]]
    assert table.take(first[2], 5) is not None
    table.take(second[0], 6)
    assert len(opened(table)) == 2
    for frame in second + third:
        table.take(frame, 7)
    assert table.done(first[0][4:7], 7) and table.done(third[0][4:7], 7)


def test_fragments_of_two_letters_with_one_name() -> None:
    """What is put together from both is dropped, and the true one can come afterwards."""
    good = _frames(bytes(range(1, 40)))
    bad = _frames(bytes(range(2, 41)))
    bad = [frame[:4] + good[0][4:7] + frame[7:] for frame in bad]
    table = letters.Letters()
    table.take(good[0], 0)
    table.take(bad[1], 0)
    raises("LETTER_INVALID", table.take, good[2], 0)
    assert opened(table) == []
    assert [table.take(frame, 0) for frame in good][-1] == bytes(range(1, 40))
    # Another number of fragments is another letter.
    short = _frames(bytes(range(3, 20)))
    short = [frame[:4] + b"abc" + frame[7:] for frame in short]
    longer = [frame[:4] + b"abc" + frame[7:] for frame in good]
    table.take(short[0], 0)
    table.take(longer[1], 0)
    assert [entry[:2] for entry in opened(table)] == [(b"abc", 0b10), (b"abc", 0b101)]


def test_zeros_travel_short() -> None:
    seal = make_seal(AUTHOR, 1, 32, [bytes(16)] * 32, bytes(range(1, 17)))
    content = bytes((letters.SEAL,)) + AUTHOR + seal
    assert len(content) > 100 and len(letters.split(content)) <= 5
    table = letters.Letters()
    assert [table.take(frame, 0) for frame in _frames(content)][-1] == content
    # What would not become shorter goes as it is.
    assert letters.split(b"\1\0a")[0][4:] == b"\1\0a"
    assert letters.split(b"\1\0\0\0a")[0][4:] == b"\x81\0\3a"


def test_limits() -> None:
    most = 16 * limits.MAX_FRAGMENTS
    dense = bytes([1 + at % 255 for at in range(most)])
    assert len(letters.split(dense)) == limits.MAX_FRAGMENTS
    raises("LETTER_TOO_LONG", letters.split, dense + b"x")
    raises("LETTER_TOO_LONG", letters.split, b"")
    hollow = b"\1" + bytes(limits.MAX_LETTER - 1)
    assert letters.Letters().take(_frames(hollow)[0], 0) == hollow
    raises("LETTER_TOO_LONG", letters.split, hollow + b"\0")


def test_broken_ones_are_refused() -> None:
    frame = _frames(bytes(range(1, 40)))[0]
    for broken in (
        frame[:7] + b"\x00" + frame[8:],
        frame[:7] + b"\x09" + frame[8:],
        frame[:7] + b"\x33" + frame[8:],
        frame[:7] + b"\x13" + frame[9:],
        frame[:8] + frame[-3:],
        frame[:8] + bytes(17) + frame[-3:],
    ):
        raises("BEACON_INVALID", letters.decode_fragment, broken)
        raises("BEACON_INVALID", letters.Letters().take, broken, 0)
    for sent in (b"\x81\0", b"\x81\0\0", b"\x81\0\xff", b"\x81" + b"\0\x40" * 4):
        frame = frames.make(7, b"ms", letters.letter_id(sent) + b"\x01" + sent, KEY)
        raises("LETTER_INVALID", letters.Letters().take, frame, 0)


def test_operations() -> None:
    kinds = (letters.OPERATION, letters.SEAL, letters.SCHEMA, letters.SKIP, letters.INTEREST)
    assert kinds == (1, 2, 3, 5, 6)
    body = reading(NOW, 512, 394)
    content = letters.encode_operation(AUTHOR, 300, body)
    assert content == b"\1" + AUTHOR + b"\xac\x02" + body
    assert letters.decode_operation(content) == (AUTHOR, 300, body)
    assert len(letters.split(content)) == 3
    assert len(letters.split(bytes((letters.SCHEMA,)) + READING.encoded)) <= 4
    assert letters.decode_operation(b"\1" + AUTHOR + b"\1x") == (AUTHOR, 1, b"x")
    most = letters.encode_operation(AUTHOR, limits.MAX_NUMBER, body)
    assert letters.decode_operation(most) == (AUTHOR, limits.MAX_NUMBER, body)
    raises("LETTER_INVALID", letters.decode_operation, b"\2" + content[1:])
    raises("LETTER_INVALID", letters.decode_operation, content[:10])
    raises("LETTER_INVALID", letters.decode_operation, b"\1" + AUTHOR + b"\0" + body)
    raises("LETTER_INVALID", letters.decode_operation, b"\1" + AUTHOR + b"\x80\x80\x80\x80\x10" + body)


def test_any_fragments_give_a_letter_or_a_code() -> None:
    random = Random(5)
    table = letters.Letters()
    whole = 0
    for now in range(3000):
        data = random.bytes(random.choice([1, 2, 16, 16, random.below(18)]))
        name = random.choice([b"abc", b"abd", b"abe", letters.letter_id(data)])
        frame = frames.make(
            7, b"ms", (name + bytes((random.choice([1, 2, 0x12, 3, 0x23, 255]),)) + data)[:20], KEY
        )
        try:
            whole += table.take(frame, now) is not None
        except HedgerowError as error:
            assert error.code in ("BEACON_INVALID", "LETTER_INVALID")
        assert len(opened(table)) <= limits.MAX_LETTERS
    assert whole > 20
