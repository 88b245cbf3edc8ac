"""Runs in the VM: what the radio's handler does with reports, with the heap locked as tight as can be.

Prints one line for each question that the test asks.
"""

import gc
import time

import micropython

from hedgerow.sync.hello import LEAF
from hedgerow_device import node, opening, radio, uptime

SCAN_RESULT = 5
woken = []
ADDRESS = bytearray(b"\xc0\x00\x00\x00\x00\x01")


class Heard:
    """Counts wake-ups without taking memory."""

    def __init__(self) -> None:
        self.count = 0

    def wake(self) -> None:
        """What the handler calls."""
        self.count += 1


def report(advertisement: bytearray, kind: int = 3, address: bytearray = ADDRESS) -> tuple:
    """The fields of a report, as the radio gives them."""
    return (0, memoryview(address), kind, -60, memoryview(advertisement))


def ours(size: int, number: int, connectable: bool = False) -> bytearray:
    """An advertisement of ours of that many bytes, its last four by number."""
    flags = b"\x02\x01\x06" if connectable else b""
    body = bytearray(flags + bytes((size - len(flags) - 1, 0xFF, 0xFF, 0xFF, 0x21)))
    while len(body) < size:
        body.append(number & 0xFF)
    body[-3] = number >> 8 & 0xFF
    return body


def locked(ears: object, reports: list) -> None:
    """Give the handler reports while no memory can be had."""
    interrupt(ears, [(SCAN_RESULT, data) for data in reports])


def interrupt(ears: object, events: list) -> None:
    """Give the handler events while no memory can be had."""
    micropython.heap_lock()
    try:
        for number, data in events:
            ears._irq(number, data)
    finally:
        micropython.heap_unlock()


heard = Heard()
ears = radio.Radio(heard.wake)
sizes = [report(ours(size, size)) for size in (10, 17, 28, 31)] + [report(ours(31, 9, True), 0)]
locked(ears, sizes)
taken = []
while True:
    one = ears.take_report()
    if one is None:
        break
    taken.append(one)
first = taken[0]
print(
    "sizes", [len(one[2]) for one in taken], [one[3] for one in taken], first[0] == b"\0" + ADDRESS, first[1]
)

strangers = [
    report(bytearray(b"\x02\x01\x06")),
    report(bytearray(b"")),
    report(bytearray(b"\x1a\xff\x4c\x00" + bytes(23))),
    report(bytearray(b"\x02\x01\x06\x1a\xff\x4c\x00" + bytes(23))),
    report(bytearray(b"\xff" * 31)),
    report(bytearray(b"\x05\xff\xff\xff")),
]
before = heard.count
locked(ears, strangers)
print("strangers", ears.take_report(), heard.count - before, ears.heard)

lost = ears.lost
locked(ears, [report(ours(27, 3))] * 50)
print("repeats", ears.take_report() is not None, ears.take_report(), ears.repeats, ears.lost - lost)

others = [bytearray(b"\xc0\x00\x00\x00\x00" + bytes((at,))) for at in range(5)]
locked(ears, [report(ours(27, 4), 3, other) for other in others])
count = 0
while ears.take_report():
    count += 1
print("senders", count)

lost = ears.lost
locked(ears, [report(ours(27, 100 + at)) for at in range(20)])
count = 0
while ears.take_report():
    count += 1
print("full", count, ears.lost - lost)

peer = (3, 0, memoryview(ADDRESS))
events = [
    (radio.CENTRAL_CONNECT, peer),
    (radio.MTU_EXCHANGED, (3, 256)),
    (radio.GATTS_WRITE, (3, ears.face.rx)),
    (15, (3, 7, memoryview(ADDRESS))),
    (radio.CHARACTERISTIC_RESULT, (3, 9, 2, 16, ears._uuids[1])),
    (radio.CENTRAL_DISCONNECT, peer),
]
interrupt(ears, events)
came = [ears.take_event() for _ in range(5)]
print(
    "events", came[0][:3] + (came[0][3] == ADDRESS,), came[1][:3], came[2][:3],
    came[3], came[4][:3] + (came[4][3] == ADDRESS,), ears.take_event(),
)  # fmt: skip

# One that got no session, then one that gets one; another comes and goes meanwhile.
ears._irq(radio.CENTRAL_CONNECT, peer)
ears.ble.written = b"old"
ears._irq(radio.CENTRAL_DISCONNECT, peer)
ears._irq(radio.CENTRAL_CONNECT, peer)
ears.ble.written += b"new"
first = ears.take_written()
ears.session = 3
ears.ble.written = b"newer"
ears._irq(radio.CENTRAL_CONNECT, (4, 0, memoryview(ADDRESS)))
ears._irq(radio.CENTRAL_DISCONNECT, (4, 0, memoryview(ADDRESS)))
print("written", first, ears.take_written())
while ears.take_event():
    pass

ears.notifier = 3
ears._irq(radio.NOTIFY, (4, 1, memoryview(b"another's")))
ears._irq(radio.NOTIFY, (3, 1, memoryview(b"ours")))
print("notified", ears.take_notified(), ears.take_notified())


class Engine:
    """Notes when it was told that what it hears was said."""

    def __init__(self) -> None:
        self.moments: list = []
        self.late: list = []
        self.down = self
        self.late_ms = 0

    def heard(self, address: bytes, rssi: int, payload: bytes, now: int, connectable: bool) -> None:
        """What the node calls."""
        self.moments.append(now)
        self.late.append(self.late_ms)


class Shell:
    """As much of a node as hearing needs."""

    def __init__(self) -> None:
        self.radio = ears
        self.mesh = Engine()
        self._looked_at = uptime.now()

    def _pressed(self) -> bool:
        return False


shell = Shell()
locked(ears, [report(ours(27, 200))])
said_at = uptime.now()
time.sleep_ms(150)
locked(ears, [report(ours(27, 201))])
time.sleep_ms(20)
node.Node._hear(shell, shell._looked_at + 50)
locked(ears, [report(ours(27, 202))])
# The loop has stood still meanwhile, and the handler may have.
node.Node._hear(shell, shell._looked_at + 400)
first, second, _ = [moment - said_at for moment in shell.mesh.moments]
print("moments", first < 100, second >= 149)
print("late", shell.mesh.late)


class Sleeper:
    """What the last wake has left of the mesh."""

    def __init__(self, state: bytes, slept: int) -> None:
        self.mesh_state = state
        self.slept = slept


class Leaf:
    """As much of a board's peer as opening its node needs."""

    role = LEAF
    keys = None

    def __init__(self, state: bytes, slept: int) -> None:
        self.sleeper = Sleeper(state, slept)


SETTINGS = {
    "budget_mah": 100, "mesh": "demo", "role": "leaf", "sleep_ms": 60000, "window_ms": 1000, "seal_s": 60,
    "radio_watchdog_s": 0,
}  # fmt: skip
first_wake = opening.open_node(Leaf(b"", 0), SETTINGS, 1000, None)
budget = first_wake._options["budget"]
budget.said(5000)
first_wake.saved = b"mesh"
left = first_wake.save(3000)
took = budget.spent(3000)
second_wake = opening.open_node(Leaf(left, 57000), SETTINGS, 60000, None)
went_on = second_wake._options["budget"].spent(60000) - took
print("budget", took > 5000 * 350, went_on == 57 * 10 + 50000, second_wake.saved)


class Tight:
    """As much of a node, its peer and its keys as a seal needs that waits for room."""

    idle = True
    full = False
    _small = True
    _shrunk_at = greeter = None

    def __init__(self, unsigned: int) -> None:
        self.mesh = self.peer = self.keys = self
        self.unsigned = unsigned
        self.did: list = []

    def tend(self, peer: object, now: int) -> None:
        """No keys of confidential collections are here."""

    def _shelve(self) -> None:
        self.mesh = None
        self.did.append("shelved")

    def seal(self, now: int) -> None:
        """The peer's."""
        self.did.append("sealed" if self.mesh is None else "beside")


tight, roomy = Tight(2), Tight(1)
for one in (tight, roomy):
    node.Node._look_around(one, 1000)
print("tight", tight.did, tight.unsigned, roomy.did)


class Parting:
    """As much of a node as a session's end needs; the radio answers as it is told."""

    _link = None

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.radio = radio.Radio(heard.wake)
        self.radio.ble = self
        self._conn = 3
        self._ended_at = 0
        self.hung_up = 0

    def gap_disconnect(self, conn: int) -> bool:
        """The radio's."""
        if self.answer is None:
            raise OSError(114)
        return self.answer

    def gatts_read(self, handle: int) -> bytes:
        """The radio's."""
        return b""

    def _hang_up(self, now: int) -> None:
        self.hung_up += 1


partings = [Parting(answer) for answer in (True, None, False)]
for parting in partings:
    node.Node._serve(parting, 10000)
print("partings", [(parting.hung_up, parting._ended_at) for parting in partings])


SIZE = 16000


class Session:
    """A link and its exchange, of some size, that has ended well."""

    error = None
    finished = True
    summary = None

    def __init__(self) -> None:
        self.exchange = self.courier = self
        self.memory = bytearray(SIZE)

    def told(self) -> int:
        """The exchange's."""
        return 0

    def theirs(self, author: bytes) -> tuple:
        """The courier's."""
        return 0, 0


class Ended(node.Node):
    """As much of a node as a turn needs in which a session ends."""

    def __init__(self, events: list, own: bool) -> None:
        self.events = events
        self.radio = self.peer = self.face = self
        self._options = {"budget": None}
        self._tend_at = self._looked_at = 100000
        self._generation = self.generation = self._began = 0
        self._past = self._conn = self._central = self._link = self.keys = self.mesh = None
        self._silent = {}
        self._caller = self.author = b""
        self._small = True
        self._chooses = self.idle = False
        if own:
            self._central = Visit()
        else:
            self._conn = 3
            self._link = Session()

    def wake(self) -> None:
        """The node's."""

    def take_event(self) -> object:
        """The radio's."""
        return self.events.pop() if self.events else None

    def take_report(self) -> None:
        """The radio's."""

    def _clear_up(self) -> None:
        gc.collect()
        self.left = gc.mem_alloc()

    def _reopen(self, now: int) -> None:
        pass

    def _may_open(self, now: int) -> bool:
        return False


class Visit:
    """A session of its own that ends in its next turn."""

    done = succeeded = True
    address = b""
    error = None

    def __init__(self) -> None:
        self.link = Session()

    def step(self, now: int) -> None:
        """The session's."""


class Deaf(Ended):
    """A board for whose engine there is no room."""

    _settle_at = _heard_at = 0
    _silence_ms = 60000

    def __init__(self) -> None:
        Ended.__init__(self, [], False)
        self._conn = self._link = None
        self._tend_at = 0
        self.mended = []

    def tend(self) -> None:
        """The radio's."""

    def _look_around(self, now: int) -> None:
        pass

    def _mend(self, now: int) -> None:
        self.mended.append(now)


deaf = Deaf()
for now in range(0, 200000, 500):
    deaf.step(now)
print("deaf", deaf.mended)

said = []
for own in (False, True):
    gc.collect()
    before = gc.mem_alloc()
    ended = Ended([] if own else [(radio.CENTRAL_DISCONNECT, 3)], own)
    for turn in range(2):
        ended.step(1000 + turn)
    said.append(ended.left - before < SIZE // 2)
    del ended
print("settled", said)

# Two that end at once.
both = Ended([], True)
both._conn, both._link = 3, Session()
both.told = []
both._tell = lambda address, said, now: both.told.append(address)
both._caller = b"caller"
both._hang_up(1000)
both._part(1000)
both.step(1000)
print("both", both.told, both._past, both._heard_at, both.rest_until(1000))
