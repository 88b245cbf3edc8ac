"""Lost operations of one's own: the author is closed, what survives elsewhere counts, a new one goes on."""

from sync_kit import board, converse, durable, gateway, keeper, operations, record, sync

from hedgerow import limits
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import DAMAGED, LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import CLOSED, ENTRY_OP, ENTRY_SKIP, STATE_CONFIG, MemoryLog, MemoryStore
from hedgerow.operation import CLOCK, decode_body
from hedgerow.peer import Peer
from hedgerow.trust.seal import NO_SEAL, bare_seals, is_bare, make_seal
from hedgerow.trust.verify import verify_seal

HEAP = "1m"


def _image(store: MemoryStore) -> tuple:
    return list(store.entries), dict(store.state)


def _set_back(store: MemoryStore, image: tuple) -> Peer:
    """Return the board that wakes up on an earlier state of its store."""
    store.entries, store.state = list(image[0]), dict(image[1])
    return board(store=store)


def _numbers(log: MemoryLog, author: bytes) -> list:
    return [number for number, _ in operations(log, author)]


def _set_back_board() -> tuple:
    """Return (board that has lost all but its first reading, its author, a keeper with all of it, time)."""
    store = MemoryStore()
    leaf, top = board(store=store), keeper()
    record(leaf, 1)
    image = _image(store)
    record(leaf, 6)
    now = sync(leaf, top, 5000).now
    back = _set_back(store, image)
    return back, back.author, top, now


def test_a_board_that_was_set_back_goes_on_as_another_author() -> None:
    back, author, top, now = _set_back_board()
    before = operations(top.log, author)
    now = sync(back, top, now).now
    assert back.author != author and back.former == {author: before[-1][0]}
    record(back, 3, now)
    now = sync(back, top, now + limits.CLOSING_DELAY_MS).now
    assert operations(top.log, author) == before, "no number comes twice"
    written = back.log.held(back.author)
    assert _numbers(top.log, back.author) == list(range(1, written + 1)) and written > 3
    assert back.receipted(back.author) == written and back.summary()[0] == 0
    first = decode_body(top.log.fetch(back.author, 1))[1][0]
    assert first[0] == CLOCK and first[1] == back.epoch, "a new author begins with the clock of this boot"


def test_the_new_author_is_durable_and_the_old_one_stays_closed() -> None:
    back, author, top, now = _set_back_board()
    sync(back, top, now)
    again = board(store=back.log.store)
    assert again.author == back.author and again.former == back.former
    assert again.is_own(author) and not again.is_own(top.author)


def test_a_cut_between_closing_and_renewing_is_made_good() -> None:
    store = MemoryStore()
    leaf = board(store=store)
    record(leaf, 3)
    leaf.log.put(STATE_CONFIG, CLOSED + leaf.author, (9).to_bytes(4, "big") + leaf.clock.last)
    leaf.log.commit()
    again = board(store=store)
    assert again.author != leaf.author and again.former == {leaf.author: 9}
    assert again.log.held(leaf.author) == again.log.sealed(leaf.author) == 9


def test_the_local_documents_of_a_closed_author_stay_local() -> None:
    back, author, top, now = _set_back_board()
    local = back.local
    sync(back, top, now)
    assert back.local != local and back.writer_of(local) == author
    assert back.writer_of(back.local) == back.author


def test_nothing_but_a_claim_closes_no_author() -> None:
    leaf, liar = board(), board("liar", distance=0)
    author = leaf.author
    record(leaf, 2)
    liar.log.append(ENTRY_SKIP, author, 1, 9, Skip(1, 9, LOST, [0, b"123456"]).encode())
    pipe = converse(leaf, liar, 5000)
    assert pipe.ends[0].error.code == "SYNC_OWN_AUTHOR"
    assert leaf.author == author and not leaf.former


def test_what_nobody_brings_is_lost_by_name_and_custody_goes_on() -> None:
    back, author, top, now = _set_back_board()
    relay = board("relay")
    (number, body) = operations(top.log, author)[-1]
    for schema in top.schemas.values():
        back.ingest_schema(schema.encoded)
        relay.ingest_schema(schema.encoded)
    back.claimed = number + 2
    back.down.fill(author, number, [body], False)
    assert back.former == {author: number + 2} and back.author != author
    back.seal(now)
    held = back.log.held(author)
    assert held == 3, "others may still bring some"
    now += limits.CLOSING_DELAY_MS
    back.seal(now)
    entries = back.log.read(author, held, 1 << 30, 4096)
    assert [entry[:3] for entry in entries] == [
        (ENTRY_SKIP, held + 1, number - 1),
        (ENTRY_OP, number, number),
        (ENTRY_SKIP, number + 1, number + 2),
    ]
    skip = Skip.decode(entries[0][3])
    assert skip.kind == LOST and skip.detail[0] == DAMAGED
    assert back.log.sealed(author) == number + 2
    record(back, 2, now)
    now = sync(back, top, now).now
    assert (top.log.held(author), top.log.sealed(author)) == (number + 2, number + 2)
    assert _numbers(top.log, author) == list(range(1, number + 1)), "an operation beats a skip"
    assert back.receipted(author) == number + 2 and back.summary()[0] == 0
    check = durable(top)
    assert check.held(author) == number + 2


def test_a_survivor_comes_to_the_keeper_after_the_skip() -> None:
    store = MemoryStore()
    leaf, relay, top = board(store=store), board("relay"), keeper()
    image = _image(store)
    record(leaf, 5)
    author = leaf.author
    now = sync(leaf, relay, 5000).now
    whole = operations(relay.log, author)
    back = _set_back(store, image)
    back.ingest_receipt(Receipt(b"keeper-9", 1, author, 6))
    back.note_keeper(b"keeper-9", 2)
    now += limits.CLOSING_DELAY_MS
    for _ in range(2):
        back.seal(now)
        now += limits.CLOSING_DELAY_MS
    now = sync(back, top, now).now
    # Numbers 1 and 2 are those of its boots.
    assert top.lost(author) == [(3, 6)] and top.receipted(author) == 6
    now = sync(relay, top, now).now
    assert [(n, top.log.fetch(author, n)) for n in range(3, 7)] == whole[2:] and not top.lost(author)


def test_a_neighbour_that_invents_operations_cannot_mint_for_ever() -> None:
    leaf, relay = board(), board("relay")
    record(relay, 1)
    body = operations(relay.log, relay.author)[0][1]
    authors = [leaf.author]
    for _ in range(limits.MAX_OWN_AUTHORS - 1):
        leaf.ingest(leaf.author, leaf.log.held(leaf.author) + 1, [body])
        leaf.commit()
        assert leaf.author not in authors
        authors.append(leaf.author)
    for _ in range(3):
        try:
            leaf.ingest(leaf.author, leaf.log.held(leaf.author) + 1, [body])
        except HedgerowError as error:
            assert error.code == "SYNC_OWN_AUTHOR"
        else:
            raise AssertionError("one more")
    assert leaf.author == authors[-1] and len(leaf.former) == limits.MAX_OWN_AUTHORS - 1
    assert leaf.insert("readings", {"a": 1}, 9000) == 2
    again = board(store=leaf.log.store)
    assert again.author == leaf.author and len(again.former) == len(leaf.former)


def test_a_number_too_far_away_is_not_believed() -> None:
    leaf, relay = board(), board("relay")
    record(relay, 1)
    body = operations(relay.log, relay.author)[0][1]
    author = leaf.author
    top = leaf.log.held(author) + limits.MAX_CLOSED_GAP
    try:
        leaf.ingest(author, top + 1, [body])
    except HedgerowError as error:
        assert error.code == "SYNC_OWN_AUTHOR"
    assert leaf.author == author
    leaf.claimed = limits.MAX_NUMBER
    leaf.ingest(author, top, [body])
    assert leaf.former == {author: top}


def test_a_closed_author_may_be_closed_higher() -> None:
    back, author, top, _ = _set_back_board()
    bodies = [body for _, body in operations(top.log, author)]
    for schema in top.schemas.values():
        back.ingest_schema(schema.encoded)
    back.ingest(author, 3, bodies[2:4])
    assert back.former == {author: 4}
    back.ingest(author, 5, bodies[4:6])
    assert back.former == {author: 6} and back.log.held(author) == 6
    assert board(store=back.log.store).former == {author: 6}


def test_the_same_board_twice_parts_into_two_authors() -> None:
    """One of them wrote what the other one meets: that one gives up the name."""
    store, other = MemoryStore(), MemoryStore()
    board(store=store)
    other.author = store.author
    other.entries, other.state = _image(store)
    one, two, top = board(store=store), board(store=other), keeper()
    record(one, 3)
    record(two, 2)
    now = sync(one, top, 5000).now
    mine = operations(one.log, one.author)
    pipe = converse(two, top, now)
    now = pipe.now
    for _ in range(3):
        now = converse(two, top, now + limits.CLOSING_DELAY_MS).now
    assert two.author != one.author
    assert operations(top.log, one.author) == mine, "what came first stands"
    record(one, 2, now)
    now = sync(one, top, now).now
    assert one.author == store.author and top.log.held(one.author) == one.log.held(one.author)


def test_a_bare_seal_lets_receipts_pass_and_the_next_seal_is_checked_for_its_root() -> None:
    leaf, top = board(), keeper()
    record(leaf, 3)
    author = leaf.author
    for schema in leaf.schemas.values():
        top.ingest_schema(schema.encoded)
    top.ingest(author, 1, [body for _, body in operations(leaf.log, author)])
    ((first, last, body),) = bare_seals(author, 1, 2)
    assert (first, last) == (1, 2) and is_bare(author, body) and not is_bare(top.author, body)
    top.ingest_seal(author, body)
    assert top.receipted(author) == 2
    marks = leaf._h16s[2:]
    for wrong in (make_seal(author, 3, 4, [bytes(16)] * 2, NO_SEAL), bare_seals(b"author-b", 3, 4)[0][2]):
        try:
            verify_seal(top.log, top.schemas, author, wrong)
        except HedgerowError as error:
            assert error.code == "SEAL_INVALID"
        else:
            raise AssertionError("taken")
    # The seal before it is one that its author has lost.
    top.ingest_seal(author, make_seal(author, 3, 4, marks, b"of a lost one..."))
    assert top.receipted(author) == 4


def test_many_plain_kills_mint_no_author() -> None:
    store = MemoryStore()
    author = board(store=store).author
    for boot in range(100):
        leaf = board(store=store, now=boot)
        assert leaf.author == author and not leaf.former
        leaf.insert("readings", {"a": boot}, boot)
    assert gateway(store=store).author == author
