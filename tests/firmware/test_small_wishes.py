"""A board with the small engine asks for documents as a leaf does, and takes them in without the engine."""

import pytest
from mesh_kit import Air
from test_teller import Small, small

from hedgerow.codec.schema import schema_for
from hedgerow.mesh import pace
from hedgerow.operation import INSERT
from hedgerow.sync import hello
from hedgerow.sync.interest import Interest
from hedgerow_device import errands


class Wanting(Small):
    """One whose shell does its errands, as Room does."""

    def boot(self, now: int) -> None:
        super().boot(now)
        self.errands = 0

    def _make(self, now: int) -> None:
        peer = self.peer
        if not hasattr(peer, "wish_at"):
            peer.now = lambda: self.now(self.air.now)
            peer.wish_at, peer.wish_eager, peer.wish_schema = 0, pace.PUSHES, b""
            peer.wish_letters, peer.wish_waiting = [], []
            peer.log.read_limit = 1024
        super()._make(now)

    def run_errand(self) -> None:
        now = self.now(self.air.now)
        whole = self.mesh.errand(now)
        if whole is not None:
            self.errands += 1
            self.shelve((0, 0))
            errands.run(self.peer, whole, now)
            self.mesh.close()
            self._make(now)
            self.air.look(self)
        self.air.at(self.air.now + 50, self.run_errand)


def write(member: object, value: int, now: int) -> None:
    document = {"every": value}
    schema = schema_for("config", 0, document)
    member.peer.write([[INSERT, schema.name, "north", schema.pack(document)]], [schema], now)


@pytest.mark.parametrize("seed", range(12))
def test_a_document_comes_by_letters(seed: int) -> None:
    air = Air(seed, loss=20)
    keeper = air.add("keeper", hello.GATEWAY, True)
    relay = air.add("relay")
    far = small(air, Wanting)
    assert isinstance(far, Wanting)
    air.line([keeper, relay, far])
    far.peer.down.subscriptions.subscribe(Interest("config", hops=5))
    far.peer.may_want = True
    air.at(50, far.run_errand)
    air.run(2000)
    for value, limit in ((60, 240000), (7, 60000)):
        write(keeper, value, keeper.now(air.now))
        air.look(keeper)
        until = air.now + limit
        while (far.peer.down.documents.view("config", "north") or {}).get("every") != value:
            assert air.now < until, value
            air.run(air.now + 1000)
    # It is gone for little of its time.
    assert far.errands < 20


def test_who_wants_nothing_has_no_errands() -> None:
    air = Air(1)
    keeper = air.add("keeper", hello.GATEWAY, True)
    far = small(air, Wanting)
    assert isinstance(far, Wanting)
    air.line([keeper, far])
    air.at(50, far.run_errand)
    air.run(60000)
    assert not far.errands
