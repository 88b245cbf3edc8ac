"""The small engine of a board that relays for nobody, and relays that run the whole one, in virtual time."""

import pytest
from kit import Random
from mesh_kit import KEY, Air, Member
from sync_kit import UTC, check_copies, check_receipts, sync

from hedgerow.custody.receipt import PROOF_MAC, Receipt
from hedgerow.log import ENTRY_SEAL
from hedgerow.mesh import asks, frames, pace, tells
from hedgerow.mesh.down import proof_of, short_of
from hedgerow.mesh.letters import SEAL_BRIEF
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.sync import hello
from hedgerow_device.teller import Teller

MESH = b"\x11\x22\x33"
BEHIND = 254


class Small(Member):
    """A board with the small engine; `shelve` does to it what a session does to that of a node."""

    seal_ms = 3000

    def boot(self, now: int) -> None:
        super().boot(now)
        self.mesh.close()
        self._make(self.now(now))

    def _make(self, now: int) -> None:
        random = Random(self.air.seed * 31 + self.number + now)
        self.mesh = Teller(self.peer, now, random=random.below, key=KEY, seal_ms=self.seal_ms)

    def shelve(self, handed: tuple[int, int]) -> None:
        now = self.now(self.air.now)
        saved = self.mesh.save()
        self.mesh.close()
        self._make(now)
        self.mesh.restore(saved, now)
        self.mesh.pushed(handed)


class Calm(Small):
    """One that does not seal after every few readings."""

    seal_ms = 60000


def small(air: Air, kind: type[Small] = Small) -> Small:
    far = kind(air, "far", hello.RELAY, False)
    air.members.append(far)
    air.links[far] = []
    air._wake(far, 0)
    return far


def field(seed: int, sessions: bool = True, kind: type[Small] = Small) -> tuple[Air, Small, Member, Member]:
    """A keeper, a relay, and out of the keeper's reach a small board."""
    air = Air(seed)
    keeper = air.add("keeper", hello.GATEWAY, True)
    keeper.peer.set_time(UTC, 5, SOURCE_KEEPER, 0)
    relay = air.add("relay")
    far = small(air, kind)
    air.line([keeper, relay, far])
    if sessions:
        air.at(50, visit, air, relay, far, [])
        air.at(50, visit, air, keeper, relay, [])
    return air, far, relay, keeper


def visit(air: Air, central: Member, other: Member, count: list[int]) -> None:
    """Let a peer connect when its engine wants to, and call again."""
    now = central.now(air.now)
    if central.mesh.visit(now) is not None:
        count.append(air.now)
        pipe = sync(central.peer, other.peer, now)
        ours, theirs = pipe.ends
        central.mesh.synced(other.address, ours.summary, now, ours.told())
        assert theirs.settled
        if isinstance(other, Small):
            other.shelve(theirs.courier.theirs(other.author))
    air.look(central)
    air.look(other)
    air.at(air.now + 250, visit, air, central, other, count)


def pushes(air: Air, far: Small) -> list[bytes]:
    """Collect the frames that the small board says."""
    said: list[bytes] = []

    def sent(member: Member, payload: bytes) -> None:
        if member is far:
            at = frames.find(payload)
            said.append(payload[at : frames.end(payload, at)])

    air.on_sent = sent
    return said


def numbers(said: list[bytes]) -> list[int]:
    return [frame[7] << 8 | frame[8] for frame in said if frame[0] & 15 == frames.OP]


@pytest.mark.parametrize("seed", range(6))
def test_a_burst_is_at_the_relay_soon(seed: int) -> None:
    """Four readings a second are more than advertisements bring: a few sessions do it."""
    air, far, relay, _keeper = field(seed)
    air.run(2000)
    for at in range(80):
        air.at(2000 + 250 * at, air.reading, far)
    air.run(22100)
    own = far.peer.log.held(far.author)
    assert own >= 81
    while relay.peer.log.held(far.author) < own:
        air.run(air.now + 250)
        assert air.now < 45000
    check_copies([member.peer for member in air.members])
    check_receipts([member.peer for member in air.members])


@pytest.mark.parametrize("seed", range(6))
def test_a_reading_now_and_then_needs_no_connection(seed: int) -> None:
    air, far, relay, keeper = field(seed, False, Calm)
    for at in range(30):
        air.at(4000 + 10000 * at, air.reading, far)
    air.run(450000)
    assert relay.mesh.visit(450000) is None
    assert relay.mesh.stats["calls"] == 0
    assert keeper.peer.log.held(far.author) == far.peer.log.held(far.author) >= 31
    assert far.peer.receipted(far.author) == far.peer.log.held(far.author)


def alone(count: int) -> tuple[Air, Small, list[bytes]]:
    """A small board that nobody hears, with readings, and what it says."""
    air = Air(3)
    far = small(air)
    said = pushes(air, far)
    for _ in range(count):
        air.now += 250
        air.reading(far)
    return air, far, said


def hears(air: Air, far: Small, kind: int, body: bytes) -> None:
    frame = frames.make(kind, MESH, body, KEY)
    assert far.mesh.heard(b"x", -50, frames.advertise(frame), far.now(air.now))
    air.look(far)


def test_who_is_behind_says_so_at_once_and_lets_others_come() -> None:
    air, _far, said = alone(40)
    air.run(air.now + 6000)
    states = [frames.decode_state(frame) for frame in said if frame[0] & 15 == frames.STATE]
    assert len(states) >= 2, "it is to be heard soon"
    assert {state.window for state in states} == {BEHIND}
    assert {state.flags & frames.CONNECTABLE for state in states} == {frames.CONNECTABLE}
    assert not numbers(said), "advertisements would not bring it"


def test_if_nobody_comes_it_pushes_oldest_first() -> None:
    air, _far, said = alone(40)
    air.run(air.now + 200000)
    found = numbers(said)
    assert len(found) > 6
    firsts = [number for at, number in enumerate(found) if number not in found[:at]]
    assert firsts == list(range(2, 2 + len(firsts))), "the clock record is a letter"


def test_what_a_session_has_handed_over_is_not_pushed_again() -> None:
    air, far, said = alone(40)
    far.shelve((38, 0))
    air.run(air.now + 20000)
    assert set(numbers(said)) == {39, 40, 41}
    assert not [frame for frame in said if b"reading" in frame], "the schema went with them"
    assert BEHIND not in [frames.decode_state(f).window for f in said if f[0] & 15 == frames.STATE]


def test_a_session_that_broke_off_hands_over_nothing() -> None:
    air, far, said = alone(10)
    far.shelve((0, 0))
    air.run(air.now + 300000)
    assert set(numbers(said)) == set(range(2, 12))


@pytest.fixture
def pushed() -> tuple[Air, Small, list[bytes]]:
    """A small board that has pushed twenty readings in vain."""
    air, far, said = alone(20)
    air.run(air.now + 600000)
    assert set(numbers(said)) == set(range(2, 22))
    said.clear()
    return air, far, said


def test_a_want_is_answered_with_what_it_names_alone(pushed: tuple[Air, Small, list[bytes]]) -> None:
    air, far, said = pushed
    hears(air, far, frames.WANT, asks.encode_want(asks.WANT_OPERATIONS, [(far.author[:3], 3, 0b10011)]))
    air.run(air.now + 3000)
    assert numbers(said) == [3, 4, 7]


def test_a_want_says_what_the_asker_has() -> None:
    air, far, said = alone(9)
    air.run(air.now + 4000)
    assert min(numbers(said)) == 2
    said.clear()
    hears(air, far, frames.WANT, asks.encode_want(asks.WANT_OPERATIONS, [(far.author[:3], 5, 1)]))
    air.run(air.now + 2000)
    assert min(numbers(said)) == 5


def test_a_want_of_what_is_another_authors_is_passed_over(pushed: tuple[Air, Small, list[bytes]]) -> None:
    air, far, said = pushed
    hears(air, far, frames.WANT, asks.encode_want(asks.WANT_OPERATIONS, [(b"xyz", 3, 0b10011)]))
    air.run(air.now + 3000)
    assert numbers(said) == []


def test_a_want_of_everything_is_answered_with_six(pushed: tuple[Air, Small, list[bytes]]) -> None:
    air, far, said = pushed
    hears(air, far, frames.WANT, asks.encode_want(asks.WANT_OPERATIONS, [(far.author[:3], 2, 0xFFFF)]))
    air.run(air.now + 3000)
    assert numbers(said) == [2, 3, 4, 5, 6, 7]


def test_a_want_of_a_seal_is_answered_and_its_letter_can_be_asked_for(
    pushed: tuple[Air, Small, list[bytes]],
) -> None:
    air, far, said = pushed
    air.reading(far)
    air.run(air.now + 300000)
    said.clear()
    hears(air, far, frames.WANT, asks.encode_want(asks.WANT_OPERATIONS, [(far.author[:3], 22, 0)]))
    air.run(air.now + 3000)
    parts = [frame for frame in said if frame[0] & 15 == frames.LETTER_UP]
    # Its operations are there: a brief one does.
    assert len({frame[7] for frame in parts}) == 2
    air.run(air.now + 60000)
    said.clear()
    hears(air, far, frames.WANT, asks.encode_want(asks.WANT_LETTERS, [(parts[0][4:7], 0b10)]))
    air.run(air.now + 500)
    assert [frame[7] for frame in said if frame[0] & 15 == frames.LETTER_UP] == [0x12]


def test_schema_announcement_and_whole_operations_are_said_when_asked_for(
    pushed: tuple[Air, Small, list[bytes]],
) -> None:
    air, far, said = pushed
    (name,) = far.peer.shared_schemas()
    for what, entry in (
        (asks.WANT_SCHEMAS, name[:2]),
        (asks.WANT_ANNOUNCES, far.author[:3]),
        (asks.WANT_WHOLE, (far.author[:3], 5)),
    ):
        said.clear()
        hears(air, far, frames.WANT, asks.encode_want(what, [entry]))
        air.run(air.now + 2000)
        kinds = {frame[0] & 15 for frame in said} - {frames.STATE}
        wanted = frames.ANNOUNCE if what == asks.WANT_ANNOUNCES else frames.LETTER_UP
        assert kinds == {wanted}, what


def test_a_seal_goes_before_the_operations_behind_it() -> None:
    air, far, said = alone(5)
    assert far.peer.seal(far.now(air.now))
    for _ in range(3):
        air.now += 250
        air.reading(far)
    air.run(air.now + 300000)
    assert set(numbers(said)) == set(range(2, 10))
    firsts = [at for at, frame in enumerate(said) if frame[0] & 15 == frames.OP and frame[8] == 9]
    seals = [at for at, frame in enumerate(said) if is_seal(frame)]
    assert seals[0] < firsts[0]


def is_seal(frame: bytes) -> bool:
    """Say whether this is the first fragment of a brief seal, with its zeros told by their number or not."""
    return frame[0] & 15 == frames.LETTER_UP and frame[7] >> 4 == 0 and frame[8] & 0x7F == SEAL_BRIEF


def test_what_was_sealed_and_has_no_receipt_is_pushed_again_later() -> None:
    air, far, said = alone(3)
    air.run(60000)
    assert [entry for entry in far.peer.log.read(far.author, 0, 0, 1 << 20) if entry[0] == ENTRY_SEAL]
    said.clear()
    air.run(60000 + pace.AGAIN_MS + 20000)
    assert set(numbers(said)) == {2, 3, 4}


def test_a_wake_is_over_before_the_next_one_is_due() -> None:
    far = field(1)[1].mesh
    for period, longest in ((5000, 3750), (60000, pace.LEAF_MOST_MS)):
        far.period = period
        far.woke_at = far.until = 0
        for now in range(0, 20000, 100):
            far.stir(now)
        assert far.until == longest


@pytest.mark.parametrize("late, error", [(0, 65), (400, 465), (2000, None)])
def test_a_time_that_waited_is_not_believed_to_be_exact(late: int, error: int | None) -> None:
    air, far, _ = alone(1)
    far.mesh.late_ms = late
    now = far.now(air.now)
    far.mesh._asked_time = (7, now) * 2
    hears(air, far, frames.TIME, tells.encode_time(UTC, 5, SOURCE_KEEPER, 0, far.author, 7))
    known = far.peer.utc(now)
    if error is None:
        assert known is None
    else:
        assert known is not None and known[1] == error
        assert known[0] - error <= UTC and UTC + late <= known[0] + error


@pytest.mark.parametrize(
    "counter, ago, taken", [(7, 0, True), (6, 2999, True), (6, 3000, False), (8, 0, False), (7, 3000, False)]
)
def test_a_time_is_taken_that_answers_what_was_asked_lately(counter: int, ago: int, taken: bool) -> None:
    air, far, _ = alone(1)
    now = far.now(air.now)
    far.mesh._asked_time = tells.ask((6, now - ago) * 2, 7, now - ago)
    hears(air, far, frames.TIME, tells.encode_time(UTC, 5, SOURCE_KEEPER, 0, far.author, counter))
    assert (far.peer.utc(now) is not None) == taken


def test_what_has_no_receipt_is_pushed_again_over_many_sleeps() -> None:
    air, far, said = alone(3)
    far.mesh.period = 60000
    air.run(60000)
    assert far.peer.log.sealed(far.author)
    far.mesh._again_at = far.now(air.now) + pace.AGAIN_MS
    for _ in range(pace.AGAIN_MS // 60000 + 2):
        said.clear()
        far.mesh.until = far.now(air.now)
        saved = far.mesh.save()
        far.mesh.close()
        far._make(far.now(air.now + 60000))
        far.mesh.period = 60000
        air.now += 60000
        assert far.mesh.restore(saved, far.now(air.now))
        far.mesh._look(far.now(air.now))
    assert far.mesh._tries == 1


class Shared:
    """Stands for a board's keys; its keeper proves what it says with a word."""

    def proves(self, receipt: Receipt) -> bool:
        return receipt.proof_kind == PROOF_MAC and receipt.proof == b"a secret"


def test_a_small_board_with_keys_takes_receipts_with_a_proof_alone() -> None:
    air = Air(81)
    keeper = b"keeper-1"
    announce = tells.encode_announce(tells.Announce(keeper, 0, 0, hello.KEEPER, 1))
    for keys, freed in ((Shared(), [0, 0, 1]), (None, [1])):
        far = small(air)
        far.peer.members = keys
        bare = Receipt(keeper, 2, far.author, 1)
        shown = [
            bare,
            *(Receipt(keeper, 2, far.author, 1, PROOF_MAC, by) for by in (b"a guess!", b"a secret")),
        ]
        for receipt, number in zip(shown, freed, strict=False):
            body = tells.encode_receipt(short_of(receipt), 2, far.author[:3], 1, proof_of(receipt))
            for kind, content in ((frames.ANNOUNCE, announce), (frames.RECEIPT, body)):
                frame = frames.make(kind, MESH, content, KEY)
                payload = bytes((len(frame) + 3, 0xFF, 0xFF, 0xFF)) + frame
                far.mesh.heard(b"anybody", -60, payload, 1000)
            assert far.peer.receipted(far.author) == number
