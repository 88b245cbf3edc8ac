"""Without a flood a receipt that is known ends the way of what it covers (SPEC 6.24.6). Runs on both VMs."""

from mesh_kit import KEY
from ways_kit import MESH, hear, op, relay, state, take

from hedgerow.custody.receipt import Receipt
from hedgerow.mesh import asks, frames, tells
from hedgerow.mesh.down import proof_of, short_of

HEAP = "4m"
AUTHOR = b"author-1"
KEEPER = b"keeper-1"
ADDRESS = b"farther"
NEARER = b"nearer"


def knowing(number: int, code: int = 3) -> object:
    """A relay that knows an author by name, and a receipt over its operations up to a number."""
    mesh = relay(code)
    mesh.names.learn(AUTHOR, 0)
    mesh.names.learn(KEEPER, 0)
    for at in range(4):
        state(mesh, ADDRESS, at, code + 1, 1000 + at)
        state(mesh, NEARER, at, code - 1, 1000 + at)
    if number:
        learn(mesh, number)
    return mesh


def learn(mesh: object, number: int) -> None:
    assert mesh.peer.ingest_receipt(Receipt(KEEPER, 1, AUTHOR, number), True)
    mesh.peer.commit()


def said(mesh: object, now: int, until: int, kind: int) -> list:
    """What it says of a kind."""
    found = []
    for at in range(now, until, 100):
        out = mesh.say(at)
        if out and out[0][4] & 15 == kind:
            found.append(out[0][4:])
    return found


def test_custody_ends_with_the_receipt() -> None:
    mesh = knowing(0)
    for number in (1, 2, 3):
        hear(mesh, ADDRESS, op(4, number=number), 2000 + number)
    take(mesh, 3000)
    assert mesh.custody.count() == 3
    learn(mesh, 2)
    mesh.say(16000)
    assert mesh.custody.count() == 1


def test_a_push_of_what_is_receipted_goes_no_farther_and_is_answered() -> None:
    mesh = knowing(7)
    mesh.say(1500)
    for number in (3, 7):
        hear(mesh, ADDRESS, op(4, 1, number), 20000 + number)
    acks = []
    receipts = []
    for at in range(20100, 32000, 100):
        out = mesh.say(at)
        frame = out[0][4:] if out else b"\0"
        if frame[0] & 15 == frames.ACK:
            acks.append(asks.decode_ack(frame))
        elif frame[0] & 15 == frames.RECEIPT:
            receipts.append(tells.decode_receipt(frame))
    assert mesh.stats["custody"] == 0
    # All of it at once, whichever was pushed.
    assert acks and acks[0][0] == asks.ACK_ALL
    assert [key[:5] for key in acks[0][1]] == [b"aut" + (7).to_bytes(2, "big")]
    assert receipts and receipts[0][2:4] == (b"aut", 7)
    # Who missed it is told once in a while.
    hear(mesh, ADDRESS, op(4, 1, 2), 33000)
    assert not said(mesh, 33000, 45000, frames.RECEIPT)


def test_what_is_behind_the_receipt_goes_on() -> None:
    mesh = knowing(7)
    hear(mesh, ADDRESS, op(4, 1, 8), 20000)
    take(mesh, 20100)
    assert mesh.stats["custody"] == 1


def test_one_of_two_authors_with_a_name_is_not_taken_for_the_other() -> None:
    mesh = knowing(7)
    mesh.names.learn(b"author-2", 0)
    hear(mesh, ADDRESS, op(4, 1, 3), 20000)
    take(mesh, 20100)
    assert mesh.stats["custody"] == 1


def test_a_receipt_that_is_heard_ends_custody_though_its_author_has_no_place() -> None:
    for right in (True, False):
        mesh = knowing(0)
        for number in (1, 2):
            hear(mesh, ADDRESS, op(4, number=number), 2000 + number)
        take(mesh, 3000)
        assert mesh.custody.count() == 2
        receipt = Receipt(KEEPER, 1, AUTHOR, 1)
        proof = proof_of(receipt) if right else bytes(len(proof_of(receipt)))
        body = tells.encode_receipt(short_of(receipt), 1, AUTHOR[:3], 1, proof)
        hear(mesh, NEARER, frames.with_hop(frames.make(frames.RECEIPT, MESH, body, KEY), 2, 0), 17000)
        mesh.say(17500)
        assert mesh.custody.count() == (1 if right else 2)
        assert mesh.peer.receipted(AUTHOR) == 0
