"""What custody and receipts outlive: boots, full logs, words heard before. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, gradient
from sync_kit import board
from ways_kit import MESH, hear, op, relay, take

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.mesh import frames, pace, tells
from hedgerow.mesh.custody import Custody, name_of
from hedgerow.mesh.down import proof_of
from hedgerow.mesh.mesh import Mesh

HEAP = "4m"


def passes(mesh: Mesh, address: bytes, frame: bytes, now: int) -> bool:
    """Let it hear a frame; say whether it says one of that kind within 12 seconds."""
    hear(mesh, address, frame, now)
    kinds = []
    for at in range(now, now + 12000, 200):
        said = mesh.say(at)
        if said is not None:
            kinds.append(said[0][frames.find(said[0])] & 0x0F)
    return frame[0] & 0x0F in kinds


def test_a_receipt_is_passed_on_when_its_way_has_become_known_though_it_was_heard_before() -> None:
    """As after a boot: the way that operations came is not known any more until they come again."""
    with gradient():
        mesh = relay()
        body = tells.encode_receipt(b"keep", 1, b"aut", 7)
        receipt = frames.with_hop(frames.make(frames.RECEIPT, MESH, body, KEY), 2, 0)
        assert not passes(mesh, b"nea", receipt, 1000)
        hear(mesh, b"far", op(4), 20000)
        take(mesh, 20000)
        assert passes(mesh, b"ne2", receipt, 40000)
        # Those who pass it on as well are not answered; who says it anew, much later, is.
        assert not passes(mesh, b"ne3", receipt, 60000)
        assert passes(mesh, b"ne4", receipt, 60000 + pace.AGAIN_MS)


def test_a_new_relay_begins_behind_the_receipt_of_an_author_whose_operations_it_never_had() -> None:
    """It has not to ask for all that came before, and knows the high bits of the numbers that follow."""
    keeper, author, number = b"keeper-1", b"author-1", 70000
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY)
    for name, flags in ((author, 0), (keeper, 1)):
        body = tells.encode_announce(tells.Announce(name, 1, 0, 1, flags))
        hear(mesh, b"nea", frames.make(frames.ANNOUNCE, MESH, body, KEY), 1000)
    receipt = Receipt(keeper, 1, author, number)
    body = tells.encode_receipt(keeper, 1, author, number, proof_of(receipt))
    hear(mesh, b"nea", frames.make(frames.RECEIPT, MESH, body, KEY), 2000)
    assert mesh.peer.receipted(author) == mesh.intake.base(author) == number


def test_a_place_that_is_filled_often_is_not_taken_for_one_that_was_passed_on() -> None:
    """However many frames went through it since that was noted last: none is lost by a power cut."""
    store = MemoryStore(bytes(range(8)))
    stats = {"custody": 0, "acked": 0}

    def boot() -> Custody:
        custody = Custody(MemoryLog(store), Random(1).below, stats, 0)
        custody.code, custody.flood = 3, False
        return custody

    held = boot()
    for number in range(1, 520):
        frame = op(4, 0, number)
        assert held.take(frame, name_of(frame), 0)
        assert boot().count() == 1, number
        held.echo(name_of(frame), 1, 0, 0)
        assert held.count() == 0
        if number == 1:
            held.step(pace.NOTE_MS, 1)


def test_a_full_log_takes_nothing_and_the_engine_goes_on() -> None:
    def full(*_: object) -> None:
        raise HedgerowError("LOG_FULL", "")

    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        log = mesh.peer.log
        put = log.put
        mesh.custody._note_at = 1000
        log.put = full
        take(mesh, 1000)
        assert not mesh.custody.count() and mesh.stats["refused"] == 1
        # What has no place is still pushed by the one before.
        log.put = put
        hear(mesh, b"far", op(4, 1), 14000)
        take(mesh, 14000)
        assert mesh.custody.count() == 1 and mesh.custody.due() is not None
