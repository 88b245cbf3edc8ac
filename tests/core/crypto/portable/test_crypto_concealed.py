"""Confidential collections where size, power and what was written before matter (SPEC 11.17)."""

from full_kit import Rig
from sync_kit import sync
from test_crypto_confidential import WHOLE, carry, own, peer, rows, whole

from hedgerow import thin
from hedgerow.codec.schema import CONFIDENTIAL, KEEP, Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.crypto.grants import hold
from hedgerow.operation import UPDATE, encode_body
from hedgerow.query.mutate import batches
from hedgerow.sync.hello import LEAF

HEAP = "1600k"


class Cut(Exception):
    pass


def cut(*_: object) -> None:
    raise Cut


def test_statements_over_many_documents_leave_room_for_what_encrypting_adds() -> None:
    keys = CollectionKeys(b"o" * 8, own(b"o", (1 << 28) - 1))
    for fields in (1, 20, 60):
        schema = Schema("doors", KEEP | CONFIDENTIAL, tuple([("f%02d" % at, None) for at in range(fields)]))
        for size in range(0, 100, 9):
            change = [UPDATE, schema.name, "shed", ["y" * size] + [0] * (fields - 1)]
            groups = batches([[(change, schema)]] * 60)
            for group in groups:
                changes = keys.conceal(b"a" * 8, 1, bytes(7) + b"\1", [entry[0] for entry in group], [schema])
                encode_body(bytes(7) + b"\1", changes)
            assert sum([len(group) for group in groups]) == 60 > len(groups)


def test_what_was_written_before_the_key_came_goes_with_what_is_confidential() -> None:
    author, relay = peer(b"a", kinds={"doors": KEEP}), peer(b"m", distance=1)
    reader = peer(b"r", whole(), role=LEAF)
    author.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "open": False, "n": 1})
    carry(author, relay)
    reader.subscribe("SELECT * FROM doors WHERE open = :yes", yes=True)
    sync(reader, relay, 0)
    assert rows(reader, "doors") == []
    hold(author, whole())
    author.execute("UPDATE doors SET open = true WHERE _id = 'shed'")
    carry(author, relay)
    sync(reader, relay, 0)
    assert rows(reader, "doors") == rows(author, "doors") == [{"_id": "shed", "open": True, "n": 1}]


def test_power_that_goes_behind_a_summary_counts_nothing_twice() -> None:
    """A peer has its keys after it has booted."""
    rig = Rig({"readings": "thin"}, 12000)
    hold(rig.peer, [["readings", 1, WHOLE]])
    put_skip, thin.put_skip = thin.put_skip, cut
    try:
        rig.record(1000)
    except Cut:
        pass
    finally:
        thin.put_skip = put_skip
    assert len(rig.written) < 1000
    rig.open()
    hold(rig.peer, [["readings", 1, WHOLE]])
    found = [row.get("_count", 0) for row in rig.peer.execute("SELECT * FROM readings").rows]
    assert max(found) > 1
    assert sum([count or 1 for count in found]) == len(rig.written)
