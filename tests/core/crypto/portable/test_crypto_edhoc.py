"""EDHOC: RFC 9529, section 3, value by value, through the sides that sessions use; and what is refused."""

from crypto_kit import Given, Known, Peers, drive, rfc, rfc_9529, shake
from kit import Random, raises

from hedgerow.codec import cbor
from hedgerow.crypto import edhoc, handshake, port
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.handshake import Gate, Own
from hedgerow.crypto.initiator import Initiator
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.responder import Responder
from hedgerow.errors import HedgerowError

HEAP = "800k"
SECOND = "message_1 (second time)"


def x_of(cred: bytes) -> bytes:
    at = cred.find(b"\x21\x58\x20")
    return cred[at + 3 : at + 35]


def sides(first: bool = False) -> tuple:
    """Both sides as in the RFC: given are the ephemerals and connection identifiers alone."""
    p256 = P256(Random(1).bytes)
    cred_i, cred_r = rfc("CRED_I"), rfc("CRED_R")
    peers = Peers({b"\x2b": Known(cred_i, x_of(cred_i)), b"\x32": Known(cred_r, x_of(cred_r))})
    section = "first" if first else SECOND
    pair = (rfc("X", section), rfc("G_X", section, "Raw"))
    initiator = Initiator(
        Given(p256, [pair]),
        Own(rfc("SK_I"), cred_i, b"\x2b"),
        peers,
        rfc("C_I", section, "Raw"),
        confirm=True,
        suites=(6,) if first else (6, 2),
    )
    responder = Responder(
        Given(p256, [(rfc("Y"), rfc("G_Y", "", "Raw"))]),
        Own(rfc("SK_R"), cred_r, b"\x32"),
        peers,
        b"\x27",
        confirm=True,
    )
    return initiator, responder


class Digest:
    """A hash that was asked already."""

    def __init__(self, data: bytes):
        self.data = data

    def digest(self) -> bytes:
        return self.data


class Notes:
    """All that goes into hashes, key derivations and ciphers, and comes out, while it is entered."""

    def __enter__(self) -> "Notes":
        self.seen: set = set()
        self.kept = [(edhoc, name, getattr(edhoc, name)) for name in ("sha256", "expand", "extract")]
        self.kept += [(port, "seal", port.seal), (port, "unseal", port.unseal)]
        self.kept.append((edhoc.Transcript, "stream", edhoc.Transcript.stream))
        for place, name, function in self.kept:
            setattr(place, name, self.noting(function))
        return self

    def __exit__(self, *details: object) -> None:
        for place, name, function in self.kept:
            setattr(place, name, function)

    def noting(self, function: object) -> object:
        def noted(*args: object) -> object:
            result = function(*args)
            if not isinstance(result, bytes):
                # MicroPython gives a digest once.
                result = Digest(result.digest())
            self.note(result if isinstance(result, bytes) else result.digest())
            for part in args:
                if isinstance(part, bytes):
                    self.note(part)
            return result

        return noted

    def note(self, data: bytes) -> None:
        self.seen.add(data)
        self.seen.add(cbor.encode(data))
        at = 0
        # What is a sequence of items is each of them, too.
        try:
            while at < len(data):
                item, end = cbor.decode_at(data, at)
                self.seen.add(data[at:end])
                if isinstance(item, bytes) and item not in self.seen:
                    self.note(item)
                at = end
        except HedgerowError:
            # Keys and streams are no items.
            pass


def test_rfc_9529_value_by_value() -> None:
    with Notes() as notes:
        initiator, responder = sides(first=True)
        first = drive(initiator)
        responder.receive(first)
        error = drive(responder)
        notes.note(error)
        initiator, responder = sides()
        said = shake(initiator, responder)
        for message in [first, error] + said:
            notes.seen.add(message)
            notes.note(message)
        notes.seen.add(said[1][34:])
        # The parts of message 1, that of message 2, and what is given.
        for name in ("X", "Y", "SK_I", "SK_R"):
            notes.seen.add(rfc(name))
        notes.seen.add(rfc("X", SECOND))
        for name in ("CRED_I", "CRED_R"):
            notes.seen.add(rfc(name))
            notes.seen.add(x_of(rfc(name)))
            notes.seen.add(rfc(name)[-32:])
        message_2 = edhoc.read_message_2(said[1])
        notes.note(message_2[0])
        notes.note(message_2[1])
        assert initiator.done and responder.done
        for side in (initiator, responder):
            assert side.export(0, b"", 16) == rfc("OSCORE Master Secret")
            assert side.export(1, b"", 8) == rfc("OSCORE Master Salt")
            side.update(rfc("context for KeyUpdate"))
            assert side.export(0, b"", 16) == rfc("OSCORE Master Secret after KeyUpdate")
            assert side.export(1, b"", 8) == rfc("OSCORE Master Salt after KeyUpdate")
    assert error == rfc("error") and first == rfc("message_1", "first")
    assert said == [rfc("message_1", SECOND)] + [rfc("message_%d" % at) for at in (2, 3, 4)]
    missing = [
        (section, name, encoding)
        for section, name, encoding, value in rfc_9529()
        if value not in notes.seen and name not in ELSEWHERE
    ]
    assert not missing, missing
    assert len(rfc_9529()) == 108


# Values of another protocol, numbers that stand in no byte string, the y of ephemerals, which nobody sends.
ELSEWHERE = (
    "Application AEAD Algorithm (int)",
    "Client's OSCORE Sender ID",
    "Server's OSCORE Sender ID",
    "SUITES_R",
    "",
)


def test_what_has_no_name_is_a_y() -> None:
    """Of those without a name, those of the static keys are in the credentials; of ephemerals y^2 fits."""
    from hedgerow.crypto.curve import point_of

    nameless = [(section, value) for section, name, _, value in rfc_9529() if not name]
    known = rfc("CRED_I") + rfc("CRED_R")
    for section, value in nameless:
        if value in known:
            continue
        x = rfc("G_X" if section == SECOND else "G_Y", section, "Raw")
        point_of(b"\4" + x + value)
    assert len(nameless) == 6


# ---- what is refused


class World:
    """Two peers that know each other."""

    def __init__(self, seed: int):
        self.random = Random(seed)
        self.p256 = [P256(self.random.bytes), P256(self.random.bytes)]
        self.owns = []
        self.known = {}
        for at in range(2):
            private, public = finish(self.p256[at].make_key())
            cred = cbor.encode({2: "peer %d" % at, 8: {1: {1: 2, -1: 1, -2: public[1:], -3: public[0] == 3}}})
            kid = bytes((at + 1,))
            self.owns.append(Own(private, cred, kid, edhoc.KCCS))
            self.known[kid] = Known(cred, public)
        self.peers = Peers(self.known)

    def initiator(self, **options: object) -> Initiator:
        return Initiator(Ephemerals(self.p256[0]), self.owns[0], self.peers, b"\x07", **options)

    def responder(self, **options: object) -> Responder:
        return Responder(Ephemerals(self.p256[1]), self.owns[1], self.peers, b"longer", **options)


def test_by_name_and_by_value() -> None:
    world = World(1)
    sizes = []
    for whole in (False, True):
        for ask in (False, True):
            one, two = world.initiator(whole=whole, ask=ask), world.responder()
            said = shake(one, two)
            assert one.done and two.done and len(said) == 3
            assert one.export(40000, b"ctx", 50) == two.export(40000, b"ctx", 50)
            assert one.export(40000, b"ctx", 50) != one.export(40000, b"ctx2", 50)
            assert one.remote is world.known[b"\2"] and two.remote is world.known[b"\1"]
            sizes.append([len(message) for message in said])
    # As RFC 9528 has them, but for a connection identifier of 6 bytes.
    assert sizes[0] == [37, 45 + 6, 19]


def test_no_keys_before_it_is_done() -> None:
    world = World(2)
    one, two = world.initiator(confirm=True), world.responder(confirm=True)
    raises("HANDSHAKE_INVALID", one.export, 0, b"", 16)
    two.receive(drive(one))
    one.receive(drive(two))
    message = drive(one)
    assert not one.done
    raises("HANDSHAKE_INVALID", one.export, 0, b"", 16)
    two.receive(message)
    one.receive(drive(two))
    drive(one)
    assert one.done and two.done


def test_every_message_altered_or_cut() -> None:
    """One bit changed, anywhere: nobody who would see it is done, and nothing but an error comes of it."""
    random = Random(3)
    world = World(4)
    for number in (1, 2, 3, 4):
        for cut in (False, True):
            for _ in range(6):
                one, two = world.initiator(confirm=True), world.responder(confirm=True)
                shake(one, two, harm(random, number, cut))
                assert not one.done and (number == 4 or not two.done), number


def test_each_byte_of_message_3_counts() -> None:
    """Also the head of its byte string."""
    world = World(12)
    one, two = world.initiator(whole=True), world.responder()
    two.receive(drive(one))
    one.receive(drive(two))
    message = drive(one)
    keys, private = two._keys, two._private
    for at in range(len(message)):
        wrong = bytearray(message)
        wrong[at] ^= 0x80
        two.receive(bytes(wrong))
        drive(two)
        assert two.error is not None and not two.done, at
        # As if nothing had come.
        two.error, two._keys, two._private = None, keys, private


def harm(random: Random, number: int, cut: bool) -> object:
    def change(at: int, message: bytes) -> bytes:
        if at != number:
            return message
        if cut:
            return message[: random.below(len(message))]
        wrong = bytearray(message)
        wrong[random.below(len(wrong))] ^= 1 << random.below(8)
        return bytes(wrong)

    return change


def test_admission_comes_before_any_curve() -> None:
    world = World(5)
    gate = Gate([b"k" * 32, b"old" * 8], b"to")

    def refused(data: bytes) -> None:
        side = world.responder(gate=gate)
        before = world.p256[1].multiplications
        side.receive(data)
        assert drive(side) == b"" and side.error.code == "HANDSHAKE_STRANGER"
        assert world.p256[1].multiplications == before

    for wrong in (None, Gate([b"x" * 32], b"to"), Gate([b"k" * 32], b"other"), Gate([b"k" * 32])):
        refused(drive(world.initiator(gate=wrong)))
    for key in (b"k" * 32, b"old" * 8):
        one, two = world.initiator(gate=Gate([key], b"to")), world.responder(gate=gate)
        said = shake(one, two)
        assert one.done and two.done and len(said[0]) == 37 + 12
        refused(said[0])
        # The tag is for this message alone.
        refused(said[0].replace(said[0][5:37], bytes(32)))


def test_who_shows_our_own_credential() -> None:
    world = World(6)
    one = world.initiator()
    mirror = Responder(Ephemerals(world.p256[1]), world.owns[0], world.peers, b"\1")
    shake(one, mirror)
    assert one.error.code == "HANDSHAKE_REFLECTED" and not mirror.done


def test_who_lacks_the_key() -> None:
    """A credential is no secret: whoever shows that of another is not done."""
    world = World(7)
    stranger = finish(world.p256[0].make_key())[0]
    for thief in (0, 1):
        own = world.owns[thief]
        world.owns[thief] = Own(stranger, own.value, own.name, own.label)
        one, two = world.initiator(), world.responder()
        shake(one, two)
        world.owns[thief] = own
        honest = two if thief == 0 else one
        assert not honest.done and honest.error.code in ("HANDSHAKE_MAC", "TAG_INVALID"), honest.error


def test_unknown_names() -> None:
    world = World(8)
    known = dict(world.known)
    del world.known[b"\1"]
    one, two = world.initiator(), world.responder()
    shake(one, two)
    # The initiator was done before it heard of it: it is told by the next message.
    assert two.error.code == "CREDENTIAL_UNKNOWN" and not two.done
    assert two.outgoing() == b""
    del world.known[b"\2"]
    world.known[b"\1"] = known[b"\1"]
    one, two = world.initiator(), world.responder()
    shake(one, two)
    assert one.error.code == "CREDENTIAL_UNKNOWN" and two.unknown and two.error.code == "HANDSHAKE_REFUSED"


def test_suites() -> None:
    world = World(9)
    for suites, code in (
        ((6,), "HANDSHAKE_SUITE"),
        ((2, 6), "HANDSHAKE_SUITE"),
        ((2, 2), "HANDSHAKE_INVALID"),
    ):
        two = world.responder()
        two.receive(drive(world.initiator(suites=suites)))
        answer = drive(two)
        assert two.error.code == code
        assert answer == (b"\x02\x02" if code == "HANDSHAKE_SUITE" else b"\x01" + cbor.encode("refused"))
    one, two = world.initiator(suites=(6, 5, 2)), world.responder()
    shake(one, two)
    assert one.done and two.done


def test_external_data() -> None:
    read = edhoc.read_ead
    assert read(b"", 0, ()) == {}
    items = [(5, b"x"), (0, b"padding"), (32769, None), (-7, b"y")]
    assert read(edhoc.write_ead(items), 0, (7,)) == {5: b"x", 32769: None, 7: b"y"}
    raises("HANDSHAKE_CRITICAL", read, edhoc.write_ead([(-8, None)]), 0, (7,))
    for wrong in ([(5, None), (5, None)], [(5, b"x"), (-5, b"x")]):
        raises("HANDSHAKE_INVALID", read, edhoc.write_ead(wrong), 0, (5,))
    for wrong in (b"\x41x", b"\x05\x41x\x41x", b"\x05\xf5", b"\x60", b"\x05\xf6"):
        raises("HANDSHAKE_INVALID", read, wrong, 0, (5,))


def test_message_1_refused() -> None:
    good = edhoc.message_1((2,), bytes(32), b"\1")
    assert edhoc.read_message_1(good) == (bytes(32), b"\1", len(good))
    key = cbor.encode(bytes(32))
    for wrong in (
        b"\x02\x02" + key + b"\x01",
        b"\xf5\x02" + key + b"\x01",
        b"\x03\xf5" + key + b"\x01",
        b"\x03\x81\x02" + key + b"\x01",
        b"\x03\x82\x02\x02" + key + b"\x01",
        b"\x03\x82\x41x\x02" + key + b"\x01",
        b"\x03\x02" + cbor.encode(bytes(31)) + b"\x01",
        b"\x03\x02" + cbor.encode("x" * 32) + b"\x01",
        b"\x03\x02" + key + b"\x18\x18",
        b"\x03\x02" + key + b"\x41\x01",
        b"\x03\x02" + key + b"\x49123456789",
        b"\x03\x02" + key + b"\xf5",
    ):
        raises("HANDSHAKE_INVALID", edhoc.read_message_1, wrong)
    raises("CBOR_TRUNCATED", edhoc.read_message_1, good[:-1])
    raises("CBOR_TRUNCATED", edhoc.read_message_1, b"")


def test_plaintexts_refused() -> None:
    mac = b"\x48" + bytes(8)
    assert edhoc.read_plaintext(b"\x05" + mac, 0) == (edhoc.KID, b"\x05", bytes(8), 10)
    assert edhoc.read_plaintext(b"\xf5\xf5\x05" + mac, 0) == (edhoc.KID, b"\x05", bytes(8), 12)
    assert edhoc.read_plaintext(b"\xa1\x0e\xa0" + mac, 0) == (edhoc.KCCS, b"\xa0", bytes(8), 12)
    for wrong in (
        b"\xa0" + mac,
        b"\xa2\x0d\xa0\x0e\xa0" + mac,
        b"\xa1\x04\x41\x05" + mac,
        b"\xa1\x18\x22\xa0" + mac,
        b"\xa1\x61x\xa0" + mac,
        b"\xf6" + mac,
        b"\x41\x05" + mac,
        b"\x05\x47" + bytes(7),
        b"\x05\x49" + bytes(9),
        b"\x05\xf6",
    ):
        raises("HANDSHAKE_INVALID", edhoc.read_plaintext, wrong, 0)


def test_messages_out_of_turn() -> None:
    world = World(10)
    one, two = world.initiator(), world.responder()
    first = drive(one)
    two.receive(first)
    # A message while another is worked on, and one after the last.
    two.receive(first)
    assert two.error.code == "HANDSHAKE_INVALID"
    one, two = world.initiator(), world.responder()
    said = shake(one, two)
    assert two.done
    two.receive(said[2])
    drive(two)
    assert two.error.code == "HANDSHAKE_INVALID" and not two.done
    raises("HANDSHAKE_INVALID", two.export, 0, b"", 16)


def test_multiplications() -> None:
    """Three a side, and the ephemeral, which is made ahead."""
    world = World(11)
    stores = []
    for p256 in world.p256:
        stores.append(Ephemerals(p256))
        finish(stores[-1].prepare())
        p256.multiplications = 0
    one = Initiator(stores[0], world.owns[0], world.peers, b"\1")
    two = Responder(stores[1], world.owns[1], world.peers, b"\2")
    shake(one, two)
    assert one.done and two.done
    assert [p256.multiplications for p256 in world.p256] == [3, 3]
    assert handshake.ADMISSION == 32768
