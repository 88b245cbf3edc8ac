"""Checks of the limits of authors without a verified credential, and of credentials in letters."""

from enrolled_kit import Enrolled
from kit import raises
from mesh_kit import Air
from test_crypto_vouchers import asks_for, told
from vouched_kit import Ring, bring, carrier, line, written

from hedgerow import limits
from hedgerow.crypto.inquiry import want
from hedgerow.crypto.strangers import strangers
from hedgerow.crypto.vouched import Vouched
from hedgerow.crypto.vouchers import part, take
from hedgerow.custody.receipt import Receipt
from hedgerow.mesh import pace
from hedgerow.mesh.asks import WANT_CREDENTIALS


def room(code: str) -> None:
    """So many bytes of strangers are taken where room is short, and no more."""
    peer, _ = carrier(1)
    peer.strange, peer.crowded = {}, 1
    other = written(b"stranger", 2)
    bring(peer, other, 1)
    size = len(other.log.fetch(b"stranger", 2)) + 8
    peer.strange[b"stranger"][0] = limits.MAX_STRANGE_BYTES - size + 1
    raises(code, bring, peer, other, 2)
    assert peer.log.held(b"stranger") == 1
    peer.strange[b"stranger"][0] -= 1
    bring(peer, other, 2)
    assert peer.strange[b"stranger"][0] == limits.MAX_STRANGE_BYTES


def authors(code: str) -> None:
    peer, _ = carrier(2)
    for at in range(limits.MAX_STRANGE_AUTHORS):
        bring(peer, written(b"autho-%02d" % at, 0))
        assert peer.ingest_receipt(Receipt(b"keeper-1", 1, b"autho-%02d" % at, 1))
    raises(code, bring, peer, written(b"one more", 0))
    assert len(strangers(peer, peer.members.vouchers())) == limits.MAX_STRANGE_AUTHORS
    assert not peer.log.held(b"one more")


def host() -> None:
    """A gateway has so many times as many places."""
    one = Enrolled(3)
    assert one.members.strange_room[1] == limits.HOST_SHARES * Vouched.strange_room[1]
    one.members.group = object()  # type: ignore[assignment]
    for at in range(limits.MAX_STRANGE_AUTHORS + 1):
        bring(one.peer, written(b"autho-%02d" % at, 0))


def vouched() -> None:
    """So many that were verified are kept, with places that are used again, and so many are known besides."""
    peer, ring = carrier(5)
    for at in range(limits.MAX_VOUCHED):
        ring.vouch(b"autho-%02d" % at, b"credential")
        bring(peer, written(b"autho-%02d" % at, 0))
    assert not ring.believed
    for at in range(limits.MAX_BELIEVED + 1):
        ring.vouch(b"later-%02d" % at, b"credential")
    assert len(ring.believed) == limits.MAX_BELIEVED and not ring.vouches(b"later-00")
    assert ring.vouches(b"later-01") and ring.vouches(b"autho-00")


def parts() -> None:
    """A credential of more is not said, and nothing of one is taken."""
    most = limits.MAX_PARTS * 119
    assert part(bytes(most), b"author-1", limits.MAX_PARTS - 1) and not part(bytes(most + 1), b"author-1", 0)
    for count, kept in ((limits.MAX_PARTS, 1), (limits.MAX_PARTS + 1, 0)):
        here: dict[bytes, list[object]] = {}
        assert take(here, b"\x0bautname" + bytes((count,)) + b"data", 0) and len(here) == kept


def refused() -> None:
    """So many that failed are known, and cost nothing any more."""
    air = Air(4, loss=0, duty=100)
    (one,) = line(air, [4])
    ring = one.peer.members
    for at in range(limits.MAX_REFUSED + 1):
        false = Ring(100 + at)
        false.value = false.value[:-1] + bytes((false.value[-1] ^ 1,))
        one.mesh.repair._wants.clear()
        asks_for(one, false.named)
        for index in range(limits.MAX_PARTS):
            content = false.credential_part(false.named[:3], index)
            if content:
                told(one, content, one.now(air.now))
        air.run(air.now + 11_000)
    assert len(ring.refused) == limits.MAX_REFUSED and not ring.vouches(Ring(100).named)
    assert ring.checks == 2 * (limits.MAX_REFUSED + 1)


def next_one() -> None:
    """One credential is verified so long after another."""
    air = Air(6, loss=0, duty=100)
    (one,) = line(air, [6])
    ring = one.peer.members
    for seed, moment in ((7, 0), (8, pace.VOUCH_MS - 1)):
        other = Ring(seed)
        for index in range(3):
            content = other.credential_part(other.named[:3], index)
            if content:
                take(ring.parts, content, moment)
        ring.tend(one.peer, moment)
    assert ring.checks == 2 and len(ring.parts) == 1
    ring.tend(one.peer, pace.VOUCH_MS)
    assert ring.checks == 4 and not ring.parts


def open_ones() -> None:
    """Parts are waited for so long."""
    for moment, room in ((pace.VOUCH_OPEN_MS - 1, False), (pace.VOUCH_OPEN_MS, True)):
        here: dict[bytes, list[object]] = {}
        for name in (b"one", b"two"):
            assert take(here, b"\x0b" + name + b"name\x03data", 0)
        assert take(here, b"\x0bthrname\x03data", moment) == room


def asked_again() -> None:
    """What nobody answered is asked for again so long after."""
    air = Air(9, loss=0, duty=100)
    (one,) = line(air, [9])
    for moment, again in ((0, True), (pace.VOUCH_AGAIN_MS - 1, False), (pace.VOUCH_AGAIN_MS, True)):
        one.mesh.repair._wants.clear()
        one.peer.stranger = b"stranger"
        want(one.mesh, moment)
        assert bool(one.mesh.repair.sought(WANT_CREDENTIALS)) == again
