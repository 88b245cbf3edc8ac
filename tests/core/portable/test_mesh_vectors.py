"""The golden vectors of SPEC 6: this implementation reads and writes exactly these bytes, on every VM."""

from kit import load_json
from vector_form import hexed, unhexed

from hedgerow.codec.schema import Schema
from hedgerow.mesh import asks, frames, letters, ops, tag, tells

HEAP = "800k"
VECTORS = load_json("frames.json")
KEY = tag.mesh_key(VECTORS["mesh"][0]["name"])
MESH = unhexed(VECTORS["mesh"][0]["mesh"])
SCHEMAS = {}
for form in VECTORS["schemas"]:
    schema = Schema.decode(unhexed(form))
    SCHEMAS[schema.name] = schema
KINDS = ["STATE", "OP", "WANT", "HAVE", "RECEIPT", "TIME", "ANNOUNCE"]
KINDS += ["LETTER_UP", "LETTER_DOWN", "ACK", "CALL"]
PARTS = ("counter", "bucket", "open_count", "distance", "flags", "role", "log2", "window")


def _of_kind(name: str) -> list:
    """Return (row, frame as it is found in its payload) of one kind; each is made anew from its body."""
    found = []
    for row in VECTORS["frames"]:
        if row["kind"] == name:
            payload = unhexed(row["payload"])
            at = frames.find(payload)
            frame = payload[at : frames.end(payload, at)]
            assert hexed(frame) == row["frame"] and tag.check(KEY, frame)
            assert frames.advertise(frame) == payload
            kind = frame[0] & 15
            assert kind == getattr(frames, name) == KINDS.index(name)
            if name != "STATE":
                assert frame == frames.make(kind, MESH, frame[4:-3], KEY, row["hop"])
            found.append((row, frame))
    assert found
    return found


def _plain(entries: list) -> list:
    return [[hexed(part) if isinstance(part, bytes) else part for part in entry] for entry in entries]


def test_the_key() -> None:
    assert hexed(KEY) == VECTORS["mesh"][0]["key"]


def test_states() -> None:
    for row, frame in _of_kind("STATE"):
        state = frames.decode_state(frame)
        assert [getattr(state, part) for part in PARTS] == [row[part] for part in PARTS]
        assert (hexed(state.digest), hexed(state.author)) == (row["digest"], row["author"])
        assert frames.encode_state(state, KEY) == frame


def test_asks() -> None:
    whats = set()
    for row, frame in _of_kind("WANT"):
        what, entries = asks.decode_want(frame)
        whats.add(what)
        shown = [entry if isinstance(entry, tuple) else (entry,) for entry in entries]
        assert (what, _plain(shown)) == (row["what"], row["entries"])
        assert asks.encode_want(what, entries) == frame[4:-3]
    assert whats == {0, 1, 2, 3, 4}
    for row, frame in _of_kind("HAVE"):
        log2, bucket, entries = asks.decode_have(frame)
        assert (log2, bucket, _plain(entries)) == (row["log2"], row["bucket"], row["entries"])
        assert asks.encode_have(log2, bucket, entries) == frame[4:-3]
    for row, frame in _of_kind("ACK"):
        what, keys = asks.decode_ack(frame)
        assert (what, [hexed(key) for key in keys]) == (row["what"], row["keys"])
        assert asks.encode_ack(what, keys) == frame[4:-3]


def test_tells() -> None:
    for row, frame in _of_kind("RECEIPT"):
        keeper, incarnation, author, number, proof = tells.decode_receipt(frame)
        assert (hexed(keeper), incarnation, hexed(author), number, proof) == (
            row["keeper"],
            row["incarnation"],
            row["author"],
            row["number"],
            bytes(8),
        )
        assert tells.encode_receipt(keeper, incarnation, author, number) == frame[4:-3]
    for row, frame in _of_kind("TIME"):
        parts = tells.decode_time(frame)
        assert list(parts[:4]) == [row["utc"], row["error"], row["source"], row["hops"]]
        assert (hexed(parts[4]), parts[5]) == (row["asker"], row["counter"])
        assert tells.encode_time(*parts) == frame[4:-3]
    for row, frame in _of_kind("ANNOUNCE"):
        announce = tells.decode_announce(frame)
        for part, value in announce.__dict__.items():
            assert (hexed(value) if part == "author" else value) == row[part]
        assert tells.encode_announce(announce) == frame[4:-3]
    for row, frame in _of_kind("CALL"):
        target, sender, seconds = tells.decode_call(frame)
        assert (hexed(target), hexed(sender), seconds) == (row["target"], row["sender"], row["seconds"])
        assert tells.encode_call(target, sender, seconds) == frame[4:-3]


def test_operations() -> None:
    packed = 0
    for row in VECTORS["operations"]:
        author, number, stored = unhexed(row["author"]), row["number"], unhexed(row["stored"])
        body = ops.pack(author, number, stored, SCHEMAS, row["before"])
        assert (body and hexed(body)) == row["body"]
        if body:
            packed += 1
            op = frames.decode_op(frames.make(frames.OP, MESH, body, KEY))
            assert ops.rebuild(op, author, number, row["before"], SCHEMAS) == stored
            assert frames.encode_op(op) == body
    assert 5 < packed < len(VECTORS["operations"]) - 5


def test_letters() -> None:
    assert [frames.OP, frames.LETTER_UP, frames.LETTER_DOWN] == [1, 7, 8]
    for row in VECTORS["letters"]:
        content = unhexed(row["content"])
        bodies = letters.split(content)
        assert [hexed(body) for body in bodies] == row["bodies"]
        table = letters.Letters()
        given = [table.take(frames.make(frames.LETTER_UP, MESH, body, KEY), 0) for body in bodies]
        assert given == [None] * (len(bodies) - 1) + [content]
