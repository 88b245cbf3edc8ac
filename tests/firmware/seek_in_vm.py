"""Runs in the VM: looking for somebody to connect to. Prints a line for each question that the test asks."""

import esp32

from hedgerow_device import central, node, radio, room


class Seeker:
    """As much of a node as looking for somebody to connect to needs, and what it did."""

    _past = None

    def __init__(self, address: object) -> None:
        self.address = address
        self.did: list = []
        self.mesh = self
        self._seek_at = 0

    def _may_seek(self) -> bool:
        return True

    def _fits(self) -> bool:
        self.did.append("made room")
        return False

    def visit(self, now: int) -> object:
        """The engine's."""
        return self.address

    def authors(self, address: object) -> list:
        """The engine's."""
        return []

    def failed(self, address: object, now: int) -> None:
        """The engine's."""
        self.did.append("failed")


idle, called = Seeker(None), Seeker(b"somebody")
for seeker in (idle, called):
    node.Node._seek(seeker, 1000)
print("seek", idle.did, called.did)
seen = []
for block in (None, 0, 20479, 20480):
    esp32.regions = [(90000, 40000, 12000, 30000)] * (block is not None)
    if block:
        esp32.regions.append((90000, 40000, block, 30000))
    seeker = Seeker(b"somebody")
    seeker._may_seek = lambda: room.Room._may_seek(None)
    node.Node._seek(seeker, 1000)
    seen.append((block, seeker.did, seeker._seek_at))
print("blocks", seen)


class Ears:
    """A radio that begins everything, and ends nothing by itself."""

    notifier = radio.NO_SESSION

    def __init__(self) -> None:
        self.ble = self
        self.calls: list = []

    def __getattr__(self, name: str) -> object:
        return lambda *given: self.calls.append(name)

    def take_notified(self) -> bytes:
        """Nothing came."""
        return b""

    def disconnect(self, conn: int) -> bool:
        """The radio begins to."""
        self.calls.append("disconnect")
        return True


ADDRESS = b"\0\xc0\0\0\0\0\1"
ANSWERS = (
    (radio.PERIPHERAL_CONNECT, 1, 0, ADDRESS[1:]),
    (radio.MTU_EXCHANGED, 1, 247),
    (radio.SERVICE_RESULT, 1, 10, 20),
    (radio.SERVICE_DONE, 1, 0),
    (radio.CHARACTERISTIC_RESULT, 1, 0, 12, 0, radio.IS_RX),
    (radio.CHARACTERISTIC_RESULT, 1, 0, 14, 0, radio.IS_TX),
    (radio.CHARACTERISTIC_DONE, 1, 0),
    (radio.DESCRIPTOR_RESULT, 1, 15, radio.IS_SWITCH),
    (radio.DESCRIPTOR_DONE, 1, 0),
)
for count in range(len(ANSWERS) + 1):
    ears = Ears()
    one = central.Central(ears, None, ADDRESS, 0, [], 0)
    for answer in ANSWERS[:count]:
        one.handle(answer, 1000)
    last = 8000 if not count else 7000
    one.step(last)
    early = (one.error, one.done, ears.calls[-1])
    one.step(last + 1)
    given_up = (one.error and one.error.code, one.done, ears.calls[-1])
    # Not even the end of it comes.
    one.step(last + 6002)
    print("central_%d" % count, early, given_up, one.done, one.succeeded)
