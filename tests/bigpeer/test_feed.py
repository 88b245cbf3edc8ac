"""Which changes a reader of the outbox is told."""

from pathlib import Path

from bigpeer_harness import local
from log_writer import JUNE

from hedgerow.codec import cbor
from hedgerow_bigpeer.auth.rights import EVERY_RIGHT
from hedgerow_bigpeer.feed import Reader
from hedgerow_bigpeer.store.rows import OutboxRow


def test_what_is_equal_and_of_another_type_is_a_change(tmp_path: Path) -> None:
    values = [0, 1, True, 1, False, 0]
    with local(tmp_path) as served:
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
        for value in values:
            served.execute("UPDATE c SET n = :n WHERE _id = 1", {"n": value})
        rows = list(served.run(served.peer.service.store.outbox((0, 0), 100)))
    _, *changes = Reader(EVERY_RIGHT, "c").read(rows)
    assert [repr((change.after or {})["n"]) for change in changes] == list(map(repr, values))


def test_a_change_that_is_not_seen_is_not_told() -> None:
    before, after = (cbor.encode({"_id": hidden, "n": 1}) for hidden in (1, 2))
    row = OutboxRow(1, 1, "c", cbor.encode("x"), "u", before, after, b"author 1", 1, bytes(8), JUNE)
    assert Reader(EVERY_RIGHT, "c").read([row]) == []
