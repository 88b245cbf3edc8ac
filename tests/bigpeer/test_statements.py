"""What a Big Peer says of its members: in the order in which it came about, and who is out is out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peer_keys import PeerKeys

from hedgerow.crypto import claims
from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.members import ISSUER, REVOCATION
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.auth import authority, issuers, ledger, membership, revocation
from hedgerow_bigpeer.auth.authority import Authority
from hedgerow_bigpeer.auth.credential import read_credential
from hedgerow_bigpeer.auth.identity import Identity
from hedgerow_bigpeer.auth.membership import Membership
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.scope import Entry


class Farm:
    """A production app, its Authentication Service, and its Big Peer as a member."""

    def __init__(self, directory: Path) -> None:
        self.registry = Registry(directory)
        self.app = self.registry.create_app("test", "farm", "production", "fields")
        self.authority = Authority(self.registry)
        self.member = Membership(self.registry, self.app, b"bigpeer!")
        self.member.refresh()

    def enrol(self, peer: PeerKeys) -> bytes:
        proved = peer.prove(self.app.id, self.registry.challenger.make(self.app.id))
        identity = Identity("gateway-7", 3600, (Entry("readings", 3),), {}, kinds=0)
        return self.authority._grant(self.app, "login", identity, proved).body

    def kinds(self, since: int = 0) -> list[str | None]:
        return [Sign1(body).kind for _, body in self.member.statements(since)]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    made = Farm(tmp_path)
    yield made
    made.registry.close()


def test_nothing_is_missed_when_the_clock_goes_back(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    first = farm.enrol(PeerKeys())
    place = farm.member.statements(0)[-1][0]
    farm.member.refresh()
    at = authority.now()
    for module in (authority, issuers, ledger, membership, revocation):
        if hasattr(module, "now"):
            monkeypatch.setattr(module, "now", lambda: at - 86_400)
    late = PeerKeys()
    farm.enrol(late)
    number = read_credential(first)[0].number
    farm.registry.revocations.revoke("test", farm.app, number, 5)
    assert farm.kinds(place) == [None, REVOCATION]
    places = [place for place, _ in farm.member.statements(0)]
    assert places == sorted(set(places))
    farm.member.unjudged.clear()
    farm.member.refresh()
    assert len(farm.member.unjudged) == 2, "the new author, and the one that is out"


def test_a_place_that_is_not_reached_begins_anew(farm: Farm) -> None:
    farm.enrol(PeerKeys())
    assert farm.kinds(1 << 40) == farm.kinds(0) != []


def test_the_next_issuer_comes_before_what_it_signs(farm: Farm) -> None:
    place = farm.member.statements(0)[-1][0]
    farm.registry.issuers.rotate("test", farm.app)
    farm.enrol(PeerKeys())
    assert farm.kinds(place)[:2] == [ISSUER, None]
    farm.member.refresh()


def test_who_is_revoked_is_out_with_every_credential_of_the_key(farm: Farm) -> None:
    thief, other = PeerKeys(), PeerKeys()
    bodies = [farm.enrol(thief), farm.enrol(thief)]
    kept = farm.enrol(other)
    first, second = [read_credential(body)[0] for body in bodies]
    farm.registry.revocations.revoke("test", farm.app, first.number, 0)
    farm.member.refresh()
    trust = farm.member.trust
    for body in bodies:
        with pytest.raises(HedgerowError) as caught:
            farm.authority.current(farm.app, body)
        assert caught.value.code == "CREDENTIAL_REVOKED"
        assert not trust.stands(claims.Claims.decode(Sign1(body).payload))
    with pytest.raises(HedgerowError) as caught:
        farm.enrol(thief)
    assert caught.value.code == "CREDENTIAL_REVOKED"
    assert farm.authority.current(farm.app, kept)[0].sealing == other.sealing
    assert trust.stands(claims.Claims.decode(Sign1(kept).payload)) and second.sealing == thief.sealing
