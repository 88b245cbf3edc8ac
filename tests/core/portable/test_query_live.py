"""Live queries: each step gives what a fresh SELECT gives, and its changes lead there."""

from kit import Random, raises

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.query.evaluate import Select
from hedgerow.query.live import Live
from hedgerow.query.load import parse_statement

STATEMENTS = (
    "SELECT * FROM c",
    "SELECT a FROM c WHERE a > 3",
    "SELECT a, b FROM c ORDER BY a DESC, b",
    "SELECT a, _id FROM c WHERE b < 3 ORDER BY b LIMIT 3",
    "SELECT * FROM c ORDER BY a DESC LIMIT 2 OFFSET 2",
    "SELECT * FROM c LIMIT 4",
    "SELECT a FROM c ORDER BY b OFFSET 3",
    "SELECT * FROM c LIMIT 0",
    "SELECT count(*) AS n, max(a) AS m FROM c WHERE b = 1",
    "SELECT b, sum(a) AS s FROM c GROUP BY b HAVING count(*) > 1 ORDER BY s DESC",
    "SELECT DISTINCT a FROM c WHERE b > 1 ORDER BY a LIMIT 3",
    "SELECT avg(a) AS mean FROM c",
)


def in_order(documents: dict) -> list:
    """Return documents as a peer reads them: in the order of their encoded ids."""
    return [documents[ident] for ident in sorted(documents, key=cbor.encode)]


def fresh(statement: tuple, documents: dict) -> list:
    query = Select(statement)
    for document in in_order(documents):
        query.add(document)
    return query.rows()


def applied(rows: list, changes: object) -> list:
    """Do to the rows before what the changes say; the rows now are looked at for new content alone."""
    gone = set(changes.deletions) | {was for was, _ in changes.moves}
    stay = [row for place, row in enumerate(rows) if place not in gone]
    put = {place: changes.rows[place] for place in changes.insertions}
    for was, place in changes.moves:
        put[place] = rows[was]
    result = []
    for place in range(len(stay) + len(put)):
        result.append(put[place] if place in put else stay.pop(0))
    for place in changes.updates:
        result[place] = changes.rows[place]
    return result


def scan(live: Live, random: Random, documents: dict) -> None:
    live.start()
    for document in random.shuffle(in_order(documents)) if live._select.plain else in_order(documents):
        live.add(document)


def change(random: Random, documents: dict) -> list:
    """Change some documents; return them as touched."""
    touched = []
    for _ in range(random.between(0, 4)):
        ident = random.below(12)
        if random.chance(30):
            documents.pop(ident, None)
        else:
            documents[ident] = {"_id": ident, "a": random.below(8), "b": random.below(4)}
        touched.append(ident)
    return [(ident, documents.get(ident)) for ident in touched]


def test_steps_agree_with_a_fresh_select() -> None:
    random = Random(5)
    scans = steps = 0
    for text in STATEMENTS:
        statement = parse_statement(text)
        for _ in range(3):
            documents = {}
            change(random, documents)
            live = Live(statement)
            scan(live, random, documents)
            rows = live.finish().rows
            assert rows == fresh(statement, documents)
            for _ in range(40):
                if live.touch(change(random, documents)):
                    scan(live, random, documents)
                    scans += 1
                steps += 1
                changes = live.finish()
                assert changes.rows == fresh(statement, documents), text
                assert applied(rows, changes) == changes.rows, text
                assert bool(changes) or rows == changes.rows
                rows = changes.rows
    assert 0 < scans < steps * 2 // 3


def rows_of(text: str, documents: dict) -> Live:
    live = Live(parse_statement(text))
    for document in in_order(documents):
        live.add(document)
    live.finish()
    return live


def test_what_a_step_says() -> None:
    documents = {n: {"_id": n, "a": n} for n in range(5)}
    live = rows_of("SELECT * FROM c ORDER BY a", documents)
    assert not live.touch([(1, None), (3, {"_id": 3, "a": 3, "b": 0}), (9, {"_id": 9, "a": 2.5})])
    changes = live.finish()
    assert (changes.insertions, changes.deletions, changes.updates, changes.moves) == ([2], [1], [3], [])
    assert not live.touch([(0, {"_id": 0, "a": 7})])
    changes = live.finish()
    assert (changes.insertions, changes.deletions, changes.updates, changes.moves) == ([], [], [4], [(0, 4)])
    assert not live.touch([(0, {"_id": 0, "a": 7})])
    changes = live.finish()
    assert not changes and len(changes.rows) == 5
    assert not live.touch([(0, {"_id": 0, "a": Decimal(70, -1)})])
    assert live.finish().updates == [4], "other digits are another content"


def test_a_row_that_slides_in_needs_a_scan() -> None:
    documents = {n: {"_id": n, "a": n} for n in range(5)}
    live = rows_of("SELECT * FROM c ORDER BY a LIMIT 2", documents)
    assert not live.touch([(4, None), (3, {"_id": 3, "a": 9})]), "outside of the window"
    assert not live.finish()
    assert not live.touch([(1, None), (3, {"_id": 3, "a": -1})]), "another one takes the place"
    assert [row["_id"] for row in live.finish().rows] == [3, 0]
    assert live.touch([(3, {"_id": 3, "a": 9})])
    full = rows_of("SELECT * FROM c ORDER BY a LIMIT 2", {n: {"_id": n, "a": n} for n in (1, 2)})
    assert full.touch([(0, {"_id": 0, "a": 0}), (1, None), (0, None), (5, {"_id": 5, "a": 5})]) is False
    assert [row["_id"] for row in full.finish().rows] == [2, 5]
    assert full.touch([(0, {"_id": 0, "a": 0}), (6, {"_id": 6, "a": 6})]) is False
    assert full.touch([(2, None)]), "5 was pushed out, and 6 with it"
    small = rows_of("SELECT * FROM c ORDER BY a LIMIT 9", documents)
    assert not small.touch([(1, None)]), "all there is is known"


def test_groups_run_again_only_if_concerned() -> None:
    documents = {n: {"_id": n, "a": n, "b": n % 2} for n in range(6)}
    live = rows_of("SELECT sum(a) AS s FROM c WHERE b = 1", documents)
    assert not live.touch([(2, {"_id": 2, "a": 50, "b": 0})])
    assert not live.finish()
    assert live.touch([(1, None)]) and live.touch([(2, {"_id": 2, "a": 50, "b": 1})])
    assert rows_of("SELECT sum(a) AS s FROM c", documents).touch([(2, None)])
    many = {n: {"_id": n, "a": n, "b": 1} for n in range(65)}
    assert rows_of("SELECT sum(a) AS s FROM c WHERE b = 1", many).touch([(99, None)]), "ids are bounded"


def test_a_live_result_is_bounded() -> None:
    live = Live(parse_statement("SELECT * FROM c"), None, 3)
    for n in range(3):
        live.add({"_id": n})
    raises("QUERY_ROWS", live.add, {"_id": 3})
