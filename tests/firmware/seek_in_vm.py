"""Runs in the VM: looking for somebody to connect to. Prints a line for each question that the test asks."""

import esp32

from hedgerow_device import node, room


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
