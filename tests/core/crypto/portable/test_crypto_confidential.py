"""Confidential collections: what holders of a key read, and nobody else (SPEC 11.17)."""

from conceal_kit import KINDS, NAMES, NEWER, WHOLE, carry, own, peer, rows, whole
from kit import Random, raises
from sync_kit import sync

from hedgerow.codec import cbor
from hedgerow.codec.schema import CONFIDENTIAL, KEEP, SCOPE_LOCAL, STREAM, Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.crypto.grants import hold
from hedgerow.operation import COUNTER, HIDDEN, UPDATE, decode_body
from hedgerow.sync.hello import LEAF

HEAP = "1600k"


def test_holders_of_the_key_read_and_others_see_nothing() -> None:
    author = peer(b"a", own(b"a"))
    author.insert("visits", {"who": "Ada Lovelace", "n": 3}, 1000)
    author.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "open": True})
    dot = [author.author, 2]
    assert rows(author, "visits") == [{"_id": dot, "who": "Ada Lovelace", "n": 3}]
    reader, relay, other = peer(b"r", whole()), peer(b"m"), peer(b"o", own(b"o"))
    for each in (reader, relay, other):
        carry(author, each)
    assert rows(reader, "visits") == [{"_id": dot, "who": "Ada Lovelace", "n": 3}]
    assert rows(reader, "doors") == [{"_id": "shed", "open": True}]
    for each in (relay, other):
        assert rows(each, "visits") == rows(each, "doors") == []
        stored = b"".join([body for _, _, _, body in each.log.since(0, 65536)])
        assert b"Ada" not in stored and b"who" not in stored
    # It comes later: what is here shows.
    hold(relay, whole())
    assert rows(relay, "doors") == [{"_id": "shed", "open": True}]


def test_nothing_confidential_is_written_without_its_key() -> None:
    author = peer(b"a")
    before = author.log.held(author.author)
    for keys in ([], [["other", 1, WHOLE]]):
        hold(author, keys)
        raises("COLLECTION_KEY_MISSING", author.insert, "visits", {"n": 3}, 1000)
    assert author.log.held(author.author) == before


def test_a_key_makes_its_collection_confidential() -> None:
    author = peer(b"a", own(b"a"), kinds={"visits": STREAM})
    author.insert("visits", {"who": "Ada"}, 1000)
    author.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "by": "Ada"})
    author.execute("INSERT INTO open DOCUMENTS (:d)", d={"_id": "shed", "by": "Eve"})
    stored = b"".join([body for _, _, _, body in author.log.since(0, 65536)])
    assert b"Ada" not in stored and b"Eve" in stored


class Forged(CollectionKeys):
    """Encrypts nothing."""

    def conceal(self, author: bytes, number: int, stamp: bytes, changes: list, schemas: list) -> list:
        return changes


def test_what_is_plain_in_a_confidential_schema_does_not_count() -> None:
    schema = Schema("visits", STREAM | CONFIDENTIAL, (("n", None), ("who", None)))
    reader = peer(b"r", whole())
    forger = peer(b"f")
    forger.collection_keys = Forged(forger.author, whole())
    for values in ([3, "Ada"], [b"", cbor.UNDEFINED], [b"\2" + bytes(40), cbor.UNDEFINED], [b"\2", 1]):
        forger.write([[0, schema.name, None, values]], [schema], 1000)
    carry(forger, reader)
    assert rows(reader, "visits") == []


def test_values_are_bound_to_all_that_stands_beside_them() -> None:
    author, reader = peer(b"a", own(b"a")), CollectionKeys(b"r" * 8, whole())
    number = author.insert("visits", {"n": 3, "who": "Ada"}, 1000)
    stamp, changes = decode_body(author.log.fetch(author.author, number))
    change = changes[0]
    schema = author.schemas[change[1]]
    other = Schema("visits", STREAM | CONFIDENTIAL, (("m", None), ("who", None)))
    at = (author.author, number, stamp, 0, change, schema)
    assert reader.reveal(*at)[3] == [3, "Ada"]
    blob = change[3][0]
    changed = (
        (b"b" * 8,) + at[1:],
        at[:1] + (number + 1,) + at[2:],
        at[:2] + (stamp[:-1] + b"\7",) + at[3:],
        at[:3] + (1,) + at[4:],
        at[:4] + ([UPDATE] + change[1:], schema),
        at[:4] + (change[:2] + ["shed"] + change[3:], schema),
        at[:4] + (change + [{2: ["n"]}], schema),
        at[:5] + (other,),
        at[:4] + (change[:3] + [[blob[:-1] + bytes((blob[-1] ^ 1,)), cbor.UNDEFINED]], schema),
        at[:4] + (change[:3] + [[bytes((blob[0] ^ 2,)) + blob[1:], cbor.UNDEFINED]], schema),
    )
    for each in changed:
        assert reader.reveal(*each) is None, each
    assert CollectionKeys(b"o" * 8, own(b"o")).reveal(*at) is None
    # Each author's key is its own: none of them opens what another one wrote.
    assert own(b"o") != own(b"a")
    assert CollectionKeys(b"o" * 8, own(b"a")).reveal(*at) is None


def test_no_two_changes_are_encrypted_under_one_iv() -> None:
    author = peer(b"a", own(b"a"))
    with author.transaction() as batch:
        for name in ("one", "two"):
            batch.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": name, "secret": "the same text"})
    author.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "three", "secret": "the same text"})
    blobs = []
    for _, _, _, body in author.log.since(0, 65536):
        blobs += [bytes(change[3][0])[1:14] for change in decode_body(body)[1] if change[0] == 0]
    assert len(blobs) == 3 == len(set(blobs))


def test_updates_counters_and_deletes_of_several_authors_merge() -> None:
    one, two, relay = peer(b"a", whole()), peer(b"b", whole()), peer(b"m")
    one.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "opened": 1, "gone": 1})
    one.execute("UPDATE doors APPLY opened PN_INCREMENT BY 2.0 WHERE _id = 'shed'")
    carry(one, two)
    two.execute("UPDATE doors APPLY opened PN_INCREMENT BY 4.0 WHERE _id = 'shed'")
    two.execute("UPDATE doors UNSET gone WHERE _id = 'shed'")
    kinds = [change[0] for _, _, _, body in two.log.since(0, 65536) for change in decode_body(body)[1]]
    assert COUNTER not in kinds
    carry(two, one)
    assert rows(one, "doors") == rows(two, "doors") == [{"_id": "shed", "opened": 7}]
    carry(one, relay)
    carry(two, relay)
    assert rows(relay, "doors") == []
    two.execute("DELETE FROM doors WHERE _id = 'shed'")
    carry(two, one)
    assert rows(one, "doors") == []


def test_a_newer_key_is_written_under_and_the_one_before_still_reads() -> None:
    author = peer(b"a", own(b"a"))
    author.insert("visits", {"n": 1}, 1000)
    hold(author, own(b"a") + own(b"a", 2, NEWER))
    author.insert("visits", {"n": 2}, 1000)
    assert [row["n"] for row in rows(author, "visits")] == [1, 2]
    for keys, seen in ((whole(), [1]), (whole(2, NEWER), [2]), (whole() + whole(2, NEWER), [1, 2])):
        reader = peer(b"r", keys)
        carry(author, reader)
        assert [row["n"] for row in rows(reader, "visits")] == seen


def test_a_log_that_goes_on_as_another_author_writes_under_the_key_that_it_has() -> None:
    moved, reader = peer(b"n"), peer(b"r", whole())
    moved.collection_keys = CollectionKeys(b"a" * 8, own(b"a"))
    moved.insert("visits", {"n": 1}, 1000)
    carry(moved, reader)
    assert [row["n"] for row in rows(reader, "visits")] == [1]
    stranger = peer(b"s")
    carry(moved, stranger)
    assert rows(stranger, "visits") == []


def test_observers_are_told_of_what_a_key_reveals() -> None:
    author, late = peer(b"a", own(b"a")), peer(b"r")
    author.insert("visits", {"n": 1}, 1000)
    carry(author, late)
    told: list = []
    late.observe("SELECT n FROM visits", lambda changes: told.append(changes.rows))
    assert told == [[]]
    hold(late, whole())
    late.dispatch()
    assert told == [[], [{"n": 1}]]


def test_hidden_changes_are_not_given_up_as_superseded() -> None:
    author, relay = peer(b"a", own(b"a")), peer(b"m")
    author.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "n": 1})
    author.execute("UPDATE doors SET n = 2 WHERE _id = 'shed'")
    carry(author, relay)
    body = relay.log.fetch(author.author, 2)
    assert not relay.down.documents.superseded(author.author, 2, body)
    history = relay.down.documents.history("doors", "shed")
    assert [entry[3][0] for entry in history] == [HIDDEN, HIDDEN]
    hold(relay, whole())
    assert relay.down.documents.history("doors", "shed")[0][3][0] != HIDDEN


def test_what_never_leaves_its_peer_is_not_confidential() -> None:
    author = peer(b"a", whole(), kinds={"doors": 2 * SCOPE_LOCAL})
    author.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "n": 1})
    assert rows(author, "doors") == [{"_id": "shed", "n": 1}]
    for kind in (CONFIDENTIAL | 2 * SCOPE_LOCAL, 6, 16, 8 + 6):
        raises("SCHEMA_INVALID", Schema, "visits", kind, ())
    assert Schema("visits", 11, ()).kind == 11


def story(seed: int, confidential: bool) -> list:
    """Four peers change documents and hear of each other in some order; return what those with keys see."""
    random = Random(seed)
    kinds = KINDS if confidential else {"visits": STREAM, "doors": KEEP}
    peers = [peer(name, kinds=dict(kinds)) for name in (b"a", b"b", b"c", b"m")]
    if confidential:
        for one in peers[:3]:
            hold(one, whole())
    for _ in range(24):
        one = peers[random.below(3)]
        name = "door%d" % random.below(2)
        step = random.below(7)
        if step == 0:
            one.execute("INSERT INTO visits DOCUMENTS (:d)", d={"n": random.below(99), "at": {"x": 1}})
        elif step == 1:
            text = "INSERT INTO doors DOCUMENTS (:d) ON ID CONFLICT DO UPDATE"
            one.execute(text, d={"_id": name, "opened": random.below(9), "at": {"y": random.below(9)}})
        elif step == 2:
            one.execute("UPDATE doors SET at.x = :x WHERE _id = :id", x=random.below(9), id=name)
        elif step == 3:
            one.execute("UPDATE doors APPLY opened PN_INCREMENT BY 2.0 WHERE _id = :id", id=name)
        elif step == 4:
            one.execute(
                "INSERT INTO doors INITIAL DOCUMENTS (:d) ON ID CONFLICT DO NOTHING",
                d={"_id": name, "opened": 0},
            )
        elif step == 5 and random.below(3) == 0:
            one.execute("DELETE FROM doors WHERE _id = :id", id=name)
        else:
            carry(one, peers[random.below(4)]) if one is not peers[3] else None
    for at in (3, 0, 1, 2):
        for source in peers[:3]:
            if source is not peers[at]:
                carry(source, peers[at])
    if confidential:
        assert rows(peers[3], "visits") == rows(peers[3], "doors") == []
    return [sorted([cbor.encode(row) for row in rows(one, name)]) for one in peers[:3] for name in NAMES]


def test_confidential_documents_are_what_open_ones_would_be() -> None:
    for seed in range(12):
        seen = story(seed, True)
        assert seen == story(seed, False), seed
        assert seen[:2] == seen[2:4] == seen[4:]


def test_who_cannot_read_passes_on_whatever_is_asked() -> None:
    """SPEC 11.17.2."""
    author, relay = peer(b"a", own(b"a")), peer(b"m", distance=1)
    reader = peer(b"r", whole(), role=LEAF)
    author.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "open": True})
    carry(author, relay)
    reader.subscribe("SELECT * FROM doors WHERE open = :yes", yes=True)
    sync(reader, relay, 0)
    assert rows(reader, "doors") == [{"_id": "shed", "open": True}]
    author.execute("UPDATE doors SET open = false WHERE _id = 'shed'")
    carry(author, relay)
    sync(reader, relay, 0)
    assert rows(reader, "doors") == [{"_id": "shed", "open": False}]
