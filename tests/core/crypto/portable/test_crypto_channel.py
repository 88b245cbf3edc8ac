"""Connections from first message to keys: first sight, again, resumed; replays, reflections, power cuts."""

from crypto_kit import DAY, GROUP, NOW, Issuer, agree, drive, link, meet, member, talk
from kit import Random, raises

from hedgerow import limits
from hedgerow.crypto.channel import UNKNOWN, Answering, Member, Opening
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.edhoc import KID
from hedgerow.crypto.handshake import Gate
from hedgerow.crypto.initiator import Initiator
from hedgerow.crypto.port import finish
from hedgerow.crypto.resume import Answerer, Beginner, Resumable, Resumables

HEAP = "1200k"


class World:
    def __init__(self, enrolled: bool = False, **more: object) -> None:
        self.root = Issuer(1)
        self.issuer = self.root.delegate(2) if enrolled else self.root
        self.one = self.peer(3, **more)
        self.two = self.peer(4)

    def peer(self, seed: int, **more: object) -> Member:
        return member(seed, self.issuer, self.root.roots, **more)

    def spent(self) -> list:
        counts = [peer.ephemerals.p256.multiplications for peer in (self.one, self.two)]
        for peer in (self.one, self.two):
            peer.ephemerals.p256.multiplications = 0
        return counts

    def meet(self, know: bool = True, **more: object) -> tuple:
        return meet(self.one, self.two, know, **more)


def reboot(peer: Member) -> None:
    """A power cut: what is in flash is there again, nothing else."""
    entries = [Resumable.unpack(entry.pack()) for entry in peer.resumables.entries]
    peer.resumables = Resumables()
    for entry in entries:
        peer.resumables.add(entry)
    peer.busy = None
    peer.gate = Gate([GROUP])


def test_multiplications_of_handshakes() -> None:
    """7 a side on first sight, 5 with the issuer known, 3 with the other side known, none resumed."""
    world = World(enrolled=True)
    near, far, said = world.meet(know=False)
    agree(near, far)
    assert world.spent() == [7, 7]
    first = [len(message) for message in said]
    # The issuer is known, the peer is another.
    world.one, other = world.peer(5), world.one
    known = Credential(world.issuer.value)
    world.one.trust.keep(known)
    for peer in (world.one, world.two):
        peer.ephemerals._ready += [finish(peer.ephemerals._make()) for _ in range(2)]
    world.spent()
    near, far, _ = world.meet(know=False)
    agree(near, far)
    assert world.spent() == [5, 5]
    # Known by name.
    world.one = other
    world.one.resumables = Resumables()
    for peer in (world.one, world.two):
        peer.ephemerals._ready += [finish(peer.ephemerals._make())]
    world.spent()
    near, far, said = world.meet()
    agree(near, far)
    assert world.spent() == [3, 3] and not near.resumed
    again = [len(message) for message in said]
    near, far, said = world.meet()
    agree(near, far)
    assert world.spent() == [0, 0] and near.resumed
    assert [len(message) for message in said] == [14, 16, 8]
    # RFC 9528 has 37, 45 and 19 with a name of one byte; here it has 8, 12 bytes admit, message 4 has 9.
    assert again == [37 + 12, 45 + 8, 19 + 9, 9]
    assert first[0] == 37 + 12 + 3 and first[3] == 9 and 900 < sum(first) < 1200, first


def test_both_know_who_it_is() -> None:
    world = World()
    near, far, _ = world.meet(know=False)
    agree(near, far)
    assert (near.remote, far.remote) == (world.two.own.name, world.one.own.name)
    near, far, _ = world.meet()
    agree(near, far)
    assert (near.remote, far.remote) == (world.two.own.name, world.one.own.name)


def test_resumed_from_either_side() -> None:
    world = World()
    world.meet(know=False)
    for one, two in ((world.one, world.two), (world.two, world.one)) * 2:
        near, far, said = meet(one, two)
        agree(near, far)
        assert near.resumed and sum([len(message) for message in said]) == 38


def test_keys_are_new_each_time() -> None:
    world = World()
    world.meet(know=False)
    seen = set()
    for _ in range(6):
        near, far, said = world.meet()
        seen.add(near.sending.seal(0, b""))
        seen.add(far.sending.seal(0, b""))
        seen.add(said[0][:6])
    # Also the name by which they meet.
    assert len(seen) == 18


def test_keys_are_of_one_mesh() -> None:
    """Mode and mesh go into the keys: with others nothing is read, and nothing resumed."""
    world = World()
    world.two.mesh = b"other"
    near, far, _ = world.meet(know=False)
    assert near.done and far.done
    raises("RECORD_TAG", far.hearing.unseal, near.sending.seal(0, b"x"), 0)
    near, far, _ = world.meet()
    assert not near.resumed


def test_a_name_that_the_other_side_does_not_know() -> None:
    """Who meets again by name is asked for the whole where the other has lost it."""
    for lost in ("one", "two", "both"):
        world = World()
        world.meet(know=False)
        for name in ("one", "two"):
            if lost in (name, "both"):
                peer = getattr(world, name)
                peer.trust = type(peer.trust)(
                    peer.ephemerals.p256, world.root.roots, "app-1", peer.trust.mode
                )
            getattr(world, name).resumables = Resumables()
        near, far, said = world.meet()
        agree(near, far)
        assert world.two.trust.find(KID, near._member.own.name) is not None
        assert far.remote == world.one.own.name and len(said) > 4, lost


def test_resumption_survives_power_cuts_at_every_step() -> None:
    """Whoever is cut, and whenever: the next contact is resumed, without any multiplication."""
    for cut in range(5):
        for who in ("one", "two", "both"):
            world = World()
            world.meet(know=False)
            world.spent()

            near, far, _ = world.meet(change=upto(cut))
            assert near.done == (cut > 2) and far.done == (cut > 3)
            for name in ("one", "two"):
                if who in (name, "both"):
                    reboot(getattr(world, name))
            near, far, _ = world.meet()
            agree(near, far)
            assert near.resumed and world.spent() == [0, 0], (cut, who)


def upto(count: int) -> object:
    """Lose the messages from number `count` on."""
    return lambda at, message: message if at < count else b""


def test_handshakes_survive_power_cuts_at_every_step() -> None:
    """Whoever is cut before both are done meets again, by another handshake where one has lost it."""
    for cut in range(1, 6):
        world = World()
        near, far, _ = world.meet(know=False, change=upto(cut))
        assert near.done == (cut > 4) and far.done == (cut > 3)
        near.close()
        far.close()
        reboot(world.one)
        reboot(world.two)
        near, far, _ = world.meet()
        agree(near, far)
        near, far, _ = world.meet()
        agree(near, far)
        assert near.resumed


def test_every_message_of_a_resumption_altered() -> None:
    random = Random(1)
    for number in (1, 2, 3):
        for _ in range(30):
            world_keys = CHANGED
            near, far, _ = world_keys.meet(change=flip(random, number))
            # One side may be done before the other hears anything wrong.
            assert not far.done or number == 0, number
            assert not near.done or number == 3
            near.close()
            far.close()


def flip(random: Random, number: int) -> object:
    def change(at: int, message: bytes) -> bytes:
        if at != number:
            # A handshake instead is not what is tested here.
            return message if len(message) in (14, 16, 8) else b""
        wrong = bytearray(message)
        wrong[random.below(len(wrong))] ^= 1 << random.below(8)
        return bytes(wrong)

    return change


CHANGED = World()
CHANGED.meet(know=False)


def test_what_was_said_before_is_of_no_use() -> None:
    """A recorded contact, played to either side, ends in nothing; nor does it take what they have."""
    world = World()
    world.meet(know=False)
    _, _, said = world.meet()
    far = Answering(world.two, 0)
    far.receive(said[0], 0)
    assert len(talk(far)[0]) == 16
    far.receive(said[2], 0)
    assert far.error.code == "RESUMPTION_INVALID"
    near = Opening(world.one, 0, world.two.own.name, Gate([GROUP]))
    assert len(talk(near)[0]) == 14
    near.receive(said[1], 0)
    assert near.error.code == "RESUMPTION_INVALID"
    near, far, _ = world.meet()
    assert near.resumed and far.resumed


def test_nothing_comes_of_ones_own_words() -> None:
    """Reflected messages: a peer never takes itself for another."""
    world = World()
    world.meet(know=False)
    near = Opening(world.one, 0, world.two.own.name, Gate([GROUP]))
    mirror = Answering(world.one, 0)
    said = link(near, mirror)
    assert said[1] == UNKNOWN and not near.done and mirror.error.code == "HANDSHAKE_BUSY"
    near.close()
    # The answer of who answers is not the third message, and the other way round.
    entry = world.one.resumables.entries[0]
    other = world.two.resumables.entries[0]
    begun = Beginner(entry, world.one.random)
    answerer = Answerer(other, begun.first, world.two.random)
    raises("RESUMPTION_INVALID", answerer.finish, answerer.second[8:])
    third = begun.answer(answerer.second)
    answerer.finish(third)
    assert begun.done and answerer.done


def test_an_unknown_name_is_nobodys_word() -> None:
    """Who answers that it knows nothing may be a stranger: what is kept stays, and a handshake begins."""
    world = World()
    world.meet(know=False)
    near = Opening(world.one, 0, world.two.own.name, Gate([GROUP]))
    talk(near)
    near.receive(UNKNOWN, 0)
    assert len(talk(near)[0]) == 49
    near.close()
    assert world.meet()[0].resumed


def test_strangers_cost_no_multiplication() -> None:
    world = World()
    for gate in (None, Gate([b"x" * 32])):
        near = Opening(world.one, 0, None, gate)
        far = Answering(world.two, 0)
        said = link(near, far)
        assert far.error.code == "HANDSHAKE_STRANGER" and len(said) == 1 and not near.done
        near.close()
    assert world.spent()[1] == 0 and len(world.two.ephemerals) == 2
    # Nor does one that was admitted once and is said again.
    _, _, said = world.meet(know=False)
    world.spent()
    far = Answering(world.two, 0)
    far.receive(said[0], 0)
    assert talk(far) == [] and far.error.code == "HANDSHAKE_STRANGER"
    assert world.spent() == [0, 0]


def test_a_flood_of_names_costs_no_multiplication() -> None:
    world = World()
    world.meet(know=False)
    world.spent()
    for number in range(20):
        far = Answering(world.two, 0)
        far.receive(number.to_bytes(14, "big"), 0)
        assert talk(far) == [UNKNOWN]
        # And once on a connection: the next must be a handshake.
        far.receive(number.to_bytes(14, "big"), 0)
        talk(far)
        assert far.error is not None
    assert world.spent() == [0, 0]


def test_one_handshake_at_a_time() -> None:
    world = World()
    third = world.peer(6)
    near, far = Opening(world.one, 0, None, Gate([GROUP])), Answering(world.two, 0)
    far.receive(talk(near)[0], 0)
    far.work(0)
    assert world.two.busy is far
    late = Answering(world.two, 0)
    begun = Opening(third, 0, None, Gate([GROUP]))
    late.receive(talk(begun)[0], 0)
    assert late.error.code == "HANDSHAKE_BUSY" and world.two.busy is far
    # Neither does one side begin two.
    assert Opening(third, 0, None, Gate([GROUP])).error.code == "HANDSHAKE_BUSY"
    begun.close()
    # Until it is done, or failed, or gone.
    far.close()
    assert world.two.busy is None and far.error is not None
    near.close()
    near, far, _ = meet(third, world.two, False)
    agree(near, far)
    assert world.two.busy is None and third.busy is None


def test_a_flood_does_not_stop_who_resumes() -> None:
    world = World()
    world.meet(know=False)
    other = Answering(world.two, 0)
    other.receive(talk(Opening(world.peer(6), 0, None, Gate([GROUP])))[0], 0)
    other.work(0)
    assert world.two.busy is other
    near, far, _ = world.meet()
    assert near.resumed and far.resumed and world.two.busy is other


def test_who_is_revoked_or_has_changed_is_not_resumed() -> None:
    world = World()
    world.meet(know=False)
    cti = Credential(world.one.own.value).claims.cti
    world.two.trust.revoked[cti] = 0
    near, far, _ = world.meet()
    assert not far.done and far.error.code == "CREDENTIAL_REVOKED" and not near.done
    del world.two.trust.revoked[cti]
    assert world.meet()[0].resumed


def test_who_has_another_credential_is_not_resumed() -> None:
    """Neither who begins nor who answers goes on with a secret of the credential before."""
    for name in ("one", "two"):
        world = World()
        world.meet(know=False)
        before = world.two.own.name
        getattr(world, name).own = world.peer(9).own
        near, far = Opening(world.one, 0, before, Gate([GROUP])), Answering(world.two, 0)
        said = link(near, far)
        agree(near, far)
        assert not near.resumed and (said[1] == UNKNOWN) == (name == "two")


def test_one_secret_for_each_peer() -> None:
    world = World()
    for _ in range(2):
        world.meet(know=False)
        assert len(world.one.resumables.entries) == len(world.two.resumables.entries) == 1
    assert world.meet()[0].resumed


def test_long_after_its_end_a_credential_is_not_resumed() -> None:
    world = World()
    world.meet(know=False)
    for peer in (world.one, world.two):
        peer.trust.floor = NOW + 30 * DAY + limits.RESUME_GRACE_S
    assert world.meet()[0].resumed
    world.two.trust.floor += 1
    near, far, _ = world.meet()
    agree(near, far)
    # But met all the same: an expired credential still brings what it has.
    assert not near.resumed


def test_who_meets_too_often_makes_a_handshake() -> None:
    world = World()
    world.meet(know=False)
    world.one.resumables.entries[0].contacts = limits.RESUME_CONTACTS - 1
    assert world.meet()[0].resumed
    near, far, _ = world.meet()
    agree(near, far)
    assert not near.resumed
    assert world.meet()[0].resumed


def test_in_slices() -> None:
    """Between two messages there are many slices, and the sides can be told apart from done at each."""
    world = World()
    near, far = Opening(world.one, 0, None, Gate([GROUP])), Answering(world.two, 0)
    far.receive(talk(near)[0], 0)
    slices = 0
    while far.work(0):
        slices += 1
        assert not far.done and not far.outgoing()
    assert slices >= 2
    near.receive(talk(far)[0] if far._out else b"", 0)


def test_what_comes_in_between_ends_it() -> None:
    world = World()
    near, far = Opening(world.one, 0, None, Gate([GROUP])), Answering(world.two, 0)
    message = talk(near)[0]
    far.receive(message, 0)
    far.work(0)
    far.receive(message, 0)
    far.work(0)
    assert far.error.code == "HANDSHAKE_INVALID" and world.two.busy is None


def test_stored_form() -> None:
    entry = Resumable(bytes(range(32)), b"remote-8", b"cti-cti-", b"own-own-", NOW, True)
    packed = entry.pack()
    assert len(packed) == 63
    again = Resumable.unpack(packed)
    assert again.pack() == packed and again.began is True and again.until == NOW
    raises("RESUMPTION_INVALID", Resumable.unpack, packed[:-1])
    raises("RESUMPTION_INVALID", Resumable.unpack, packed[:-1] + b"\2")


def test_a_refusal_reaches_the_other_side() -> None:
    world = World()
    cti = Credential(world.one.own.value).claims.cti
    world.two.trust.revoked[cti] = 0
    near, far, _ = world.meet(know=False)
    assert far.error.code == "CREDENTIAL_REVOKED"
    assert near.error.code == "HANDSHAKE_REFUSED" and not near.done
    assert world.one.resumables.entries == world.two.resumables.entries == []
    initiator = Initiator(world.one.ephemerals, world.one.own, world.one.trust, b"\1")
    drive(initiator)
    initiator.receive(b"\x01\x60")
    drive(initiator)
    assert initiator.error.code == "HANDSHAKE_REFUSED" and not initiator.unknown
    # One's own first message begins as a refusal does: who sends it back has refused nothing.
    initiator = Initiator(world.one.ephemerals, world.one.own, world.one.trust, b"\1")
    drive(initiator)
    initiator.receive(initiator._message_1)
    drive(initiator)
    assert initiator.error.code == "HANDSHAKE_INVALID" and not initiator.unknown
