"""Schemas that are learnt give way as long as nothing uses them (SPEC 5.17)."""

from kit import raises
from sync_kit import board, durable, gateway

from hedgerow import places
from hedgerow.clock import hlc
from hedgerow.codec.schema import KEEP, STREAM, Schema
from hedgerow.limits import MAX_LEARNT_SCHEMAS, MAX_SCHEMAS, MAX_STRANGE_SCHEMAS
from hedgerow.log import STATE_SCHEMA, MemoryLog, stored_schema
from hedgerow.operation import INSERT, decode_body, encode_body
from hedgerow.peer import Peer
from hedgerow.places import look
from hedgerow.sync.interest import Interest

HEAP = "2m"
WRITER = b"a writer"


def schema(at: int, collection: str = "c") -> Schema:
    return Schema("%s%d" % (collection, at), STREAM, (("x", None),))


def under(*schemas: Schema) -> bytes:
    return encode_body(hlc.pack(1), [[INSERT, one.name, None, [1]] for one in schemas])


def take(peer: Peer, *schemas: Schema, author: bytes = WRITER) -> None:
    for one in schemas:
        peer.ingest_schema(one.encoded)
    peer.ingest(author, peer.log.held(author) + 1, [under(*schemas)])
    peer.commit()


def filled(peer: Peer, count: int) -> list:
    """Take operations under so many schemas, one each; return these."""
    every = [schema(at) for at in range(count)]
    for one in every:
        take(peer, one)
    return every


def again(peer: Peer) -> Peer:
    """Return the peer after a power cut now; what it holds can be read."""
    back = Peer(MemoryLog(peer.log.store), 0, role=peer.role, kinds=peer.kinds)
    check(back)
    return back


def check(peer: Peer) -> None:
    known = [Schema.decode(value) for _, value in peer.log.items(STATE_SCHEMA) if value]
    assert len(peer.log.items(STATE_SCHEMA)) <= MAX_SCHEMAS
    assert sorted([one.name for one in known] + (peer.loose or [])) == sorted(peer.schemas)
    for one in known:
        assert stored_schema(peer.log, one.name) == one.encoded
    for author in peer.log.authors():
        for number in range(1, peer.log.held(author) + 1):
            body = peer.log.fetch(author, number)
            for change in decode_body(body)[1] if body else ():
                if change[0] == INSERT:
                    assert stored_schema(peer.log, change[1]) == peer.schemas[change[1]].encoded


def test_what_is_only_said_takes_no_place_for_good() -> None:
    peer = gateway()
    for at in range(3 * MAX_LEARNT_SCHEMAS):
        assert peer.ingest_schema(schema(at).encoded)
        assert len(peer.schemas) <= MAX_LEARNT_SCHEMAS
    peer.commit()
    assert durable(peer).items(STATE_SCHEMA) == []
    late = schema(3 * MAX_LEARNT_SCHEMAS - 1)
    peer.ingest(WRITER, 1, [under(late)])
    peer.commit()
    assert [value for _, value in durable(peer).items(STATE_SCHEMA)] == [late.encoded]
    check(peer)
    peer.insert("own", {"x": 1}, 5)
    check(peer)
    assert len(again(peer).schemas) == 2


def test_the_oldest_that_nothing_has_used_goes_first() -> None:
    peer = gateway()
    take(peer, schema(0))
    for at in range(1, MAX_LEARNT_SCHEMAS + 3):
        peer.ingest_schema(schema(at).encoded)
    gone = [at for at in range(MAX_LEARNT_SCHEMAS + 3) if schema(at).name not in peer.schemas]
    assert gone == [1, 2, 3]


def test_what_is_about_to_be_used_stays() -> None:
    peer = gateway()
    every = filled(peer, MAX_LEARNT_SCHEMAS - 1)
    peer.log.drop(WRITER, 1, MAX_LEARNT_SCHEMAS - 9)
    more = schema(99)
    peer.ingest_schema(more.encoded)
    peer.insert("own", {"x": 1}, 5)
    old = sorted(every[: MAX_LEARNT_SCHEMAS - 9], key=lambda one: one.name)
    take(peer, old[0], more, old[1])
    for one in (old[0], old[1], more):
        assert one.name in peer.schemas
    check(again(peer))


def test_one_that_nothing_uses_yields_its_name() -> None:
    peer = gateway()
    true, false = schema(1), schema(2)
    false.name = true.name
    peer.schemas[true.name], peer.loose = false, [true.name]
    assert peer.ingest_schema(true.encoded) and peer.schemas[true.name].hash == true.hash
    peer.schemas[true.name] = false
    peer.write([[INSERT, true.name, None, [1]]], [true], 5)
    check(again(peer))


def test_what_is_known_or_lies_unused_has_nothing_loaded() -> None:
    peer = gateway()
    take(peer, schema(0))
    peer.ingest_schema(schema(1).encoded)
    kept = places.learn, places.settle
    places.learn = places.settle = None  # type: ignore[assignment]
    try:
        beside: list = []
        assert not peer.ingest_schema(schema(0).encoded, beside)
        assert not peer.ingest_schema(schema(1).encoded, beside)
        assert beside == [schema(0).name, schema(1).name]
        peer.ingest(WRITER, 2, [under(schema(0))])
    finally:
        places.learn, places.settle = kept
    take(peer, schema(1))
    check(again(peer))


class _Known:
    """Members that know one author."""

    ready = False
    sealed_under = verdict = own = None

    def knows(self, author: bytes) -> bool:
        return author == WRITER

    def vouches(self, author: bytes) -> bool:
        return True


def test_who_has_no_credential_leaves_places_to_who_has() -> None:
    peer = gateway()
    peer.members = _Known()
    for at in range(MAX_STRANGE_SCHEMAS):
        take(peer, schema(at), author=b"stranger")
    for author in (b"stranger", b"another1"):
        peer.ingest_schema(schema(90).encoded)
        body = under(schema(90))
        raises("SCHEMAS_FULL", peer.ingest, author, peer.log.held(author) + 1, [body])
    assert peer.log.held(b"stranger") == MAX_STRANGE_SCHEMAS and not peer.log.held(b"another1")
    for at in range(MAX_STRANGE_SCHEMAS, MAX_LEARNT_SCHEMAS):
        take(peer, schema(at))
    check(again(peer))
    # Under what is in use it writes on.
    take(peer, schema(MAX_LEARNT_SCHEMAS - 1), author=b"stranger")
    peer.insert("own", {"x": 1}, 5)


def test_a_kept_collection_of_ones_own_stays_what_it_is() -> None:
    peer = board()
    peer.insert("notes", {"x": 1}, 5)
    for at in range(3 * MAX_SCHEMAS):
        peer.ingest_schema(schema(at).encoded)
    assert peer.kind_of("notes") == KEEP
    peer.insert("notes", {"x": 2}, 6)
    assert len(durable(peer).items(STATE_SCHEMA)) == 1


def test_what_no_operation_uses_any_more_makes_room() -> None:
    peer = gateway()
    every = filled(peer, MAX_LEARNT_SCHEMAS)
    more = schema(99)
    raises("SCHEMAS_FULL", peer.ingest_schema, more.encoded)
    peer.log.drop(WRITER, 3, 5)
    take(peer, more)
    check(peer)
    gone = [at for at, one in enumerate(every) if one.name not in peer.schemas]
    assert gone == [2, 3, 4]
    back = again(peer)
    assert sorted(back.schemas) == sorted(peer.schemas) and more.name in back.schemas
    # What has gone is learnt again.
    take(back, every[2], every[3])
    check(again(back))


def test_places_are_used_again() -> None:
    peer = gateway()
    for at in range(3 * MAX_SCHEMAS):
        take(peer, schema(at))
        if at % 3 == 0:
            peer = again(peer)
        if at >= MAX_LEARNT_SCHEMAS // 2:
            peer.log.drop(WRITER, at + 1 - MAX_LEARNT_SCHEMAS // 2, at + 1 - MAX_LEARNT_SCHEMAS // 2)
        if at % 10 == 0:
            peer.insert("own%d" % (at % 40), {"x": 1}, 5)
        assert len(peer.log.items(STATE_SCHEMA)) <= MAX_SCHEMAS
    check(again(peer))


def test_collections_that_are_named_here_go_last() -> None:
    peer = gateway()
    peer.down.subscriptions.subscribe(Interest("wanted1", "", [], 3))
    peer.may_want = True
    peer.kinds["wanted2"] = STREAM
    for at in range(MAX_LEARNT_SCHEMAS):
        take(peer, schema(at, "wanted" if at < 40 else "c"))
    peer.log.drop(WRITER, 1, MAX_LEARNT_SCHEMAS)
    assert look(peer) == 8
    named = [schema(1, "wanted").name, schema(2, "wanted").name]
    for _ in range(5):
        assert look(peer) == 8 and [name for name in named if name in peer.schemas] == named
    # Those are all: what is wanted is no reason to keep what nothing uses.
    assert look(peer) == 8 and peer.schemas == {}


def test_a_search_goes_on_where_it_was() -> None:
    peer = board()
    every = filled(peer, MAX_LEARNT_SCHEMAS - 1)
    peer.log.drop(WRITER, 1, MAX_LEARNT_SCHEMAS - 1)
    for _ in range(300):
        peer.insert("readings", {"x": 1}, 5)
    assert look(peer) == 0 and peer.search is not None
    # Meanwhile one comes into use again.
    peer.ingest(WRITER, MAX_LEARNT_SCHEMAS, [under(every[7])])
    found, looks = 0, 1
    while not found:
        found = look(peer)
        looks += 1
    assert 1 < looks < 12 and found == 8
    while look(peer) or peer.search:
        pass
    check(again(peer))
    assert len(peer.schemas) == 2 and every[7].name in peer.schemas
