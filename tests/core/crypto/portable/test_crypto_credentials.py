"""Credentials: claims, whom a peer believes, delegates, and what is refused."""

from crypto_kit import APP, DAY, MODE, NOW, Issuer
from kit import Random, raises

from hedgerow import limits
from hedgerow.codec import cbor
from hedgerow.crypto import claims, signer
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.edhoc import KCCS, KCWT, KID
from hedgerow.crypto.port import P256, finish
from hedgerow.errors import HedgerowError

HEAP = "800k"


class World:
    def __init__(self) -> None:
        self.issuer = Issuer(1)
        self.p256 = P256(Random(2).bytes)
        self.key = finish(self.p256.make_key())[1]
        self.trust = Trust(self.p256, self.issuer.roots, APP, MODE)
        self.p256.multiplications = 0

    def accept(self, data: bytes, issuer: bytes | None = None) -> Credential:
        found = Credential(data)
        finish(self.trust.accept(found, issuer))
        return found

    def refuses(self, code: str, data: bytes, issuer: bytes | None = None) -> None:
        raises(code, self.accept, data, issuer)
        assert self.trust.find(KID, Credential(data).name) is None


def test_claims_there_and_back() -> None:
    world = World()
    found = Credential(world.issuer.credential(world.key, METADATA={"site": "north"}, AUTHOR=b"author-1"))
    said = found.claims
    assert (said.issuer, said.subject, said.expires, said.issued) == (APP, "board-1", NOW + 30 * DAY, NOW)
    assert (said.mode, said.author, said.kinds, said.under) == (MODE, b"author-1", 0, None)
    assert said.agreement == found.agreement == world.key
    assert said.metadata == {"site": "north"} and said.sealing is None and said.delegation is None
    assert Claims.decode(said.encode()).values == said.values
    assert said.encode() == found.signed.payload


def test_verified_once() -> None:
    world = World()
    data = world.issuer.credential(world.key)
    found = world.accept(data)
    assert world.p256.multiplications == 2
    assert world.trust.find(KID, found.name) is found
    assert world.trust.find(KCWT, found.value) is found
    assert world.trust.find(KCCS, found.value) is None
    world.accept(data)
    world.accept(data[1:])
    assert world.p256.multiplications == 2
    assert world.trust.floor == NOW


def test_strangers_are_refused() -> None:
    world = World()
    other = Issuer(5)
    world.refuses("CREDENTIAL_ISSUER", other.credential(world.key))
    # Signed by another, in the issuer's name.
    world.refuses("CREDENTIAL_INVALID", other.credential(world.key, kid=world.issuer.kid))
    world.refuses("CREDENTIAL_FOREIGN", world.issuer.credential(world.key, ISS="app-2"))
    for mode in ([claims.PLAYGROUND, MODE[1]], [0, b"mesh-two"], None):
        world.refuses("CREDENTIAL_FOREIGN", world.issuer.credential(world.key, MODE=mode))
    assert world.trust.floor == 0


def test_altered_credentials() -> None:
    world = World()
    data = world.issuer.credential(world.key)
    for at in range(1, len(data)):
        wrong = bytearray(data)
        wrong[at] ^= 1
        try:
            world.accept(bytes(wrong))
        except HedgerowError:
            pass
        else:
            raise AssertionError("byte %d" % at)


def test_signed_as_something_else() -> None:
    """What the issuer signs for another purpose is no credential."""
    world = World()
    payload = Credential(world.issuer.credential(world.key)).signed.payload
    issuer = world.issuer
    data = finish(signer.sign1(issuer.p256, issuer.private, payload, issuer.kid, "hg-rev"))
    raises("CREDENTIAL_INVALID", Credential, data)


def test_expired_and_revoked() -> None:
    world = World()
    found = world.accept(world.issuer.credential(world.key))
    assert not world.trust.expired(found)
    # The time is known from what was signed, and from nothing else.
    world.accept(world.issuer.credential(world.key, IAT=NOW + 30 * DAY, EXP=NOW + 60 * DAY))
    assert not world.trust.expired(found)
    world.accept(world.issuer.credential(world.key, IAT=NOW + 30 * DAY + 1, EXP=NOW + 60 * DAY))
    assert world.trust.expired(found) and not world.trust.expired(found, 1)
    # And it does not go back.
    world.accept(world.issuer.credential(world.key))
    assert world.trust.expired(found)
    # An expired one is believed: it may still bring what it has.
    finish(world.trust.accept(found))
    world.trust.revoked[found.claims.cti] = 7
    raises("CREDENTIAL_REVOKED", finish, world.trust.accept(found))


def test_delegates() -> None:
    world = World()
    gateway = world.issuer.delegate(7)
    data = gateway.credential(world.key)
    world.refuses("CREDENTIAL_ISSUER", data)
    world.accept(data, gateway.value)
    assert world.p256.multiplications == 4
    # The delegate is known now.
    world.accept(gateway.credential(world.key))
    assert world.p256.multiplications == 6
    world.trust.revoked[gateway.cti] = 0
    raises("CREDENTIAL_REVOKED", world.accept, gateway.credential(world.key))
    raises("CREDENTIAL_REVOKED", world.accept, data)
    # What it gave before is still its word; no session follows from that.
    assert finish(world.trust.verify(Credential(data))).claims.cti == gateway.cti


def test_a_revoked_delegate_brings_nobody_in() -> None:
    world = World()
    gateway = world.issuer.delegate(8)
    world.trust.revoked_keys.add(gateway.public)
    found = Credential(gateway.credential(world.key))
    raises("CREDENTIAL_REVOKED", finish, world.trust.accept(found, gateway.value))
    # As a statement of what was given before it stands.
    assert finish(world.trust.verify(found, gateway.value)).claims.cti == gateway.cti
    # Whom it has brought in before its key was revoked is out as well.
    world.trust.revoked_keys.clear()
    world.accept(found.value, gateway.value)
    assert world.trust.stands(found.claims)
    world.trust.revoked_keys.add(gateway.public)
    assert not world.trust.stands(found.claims)
    raises("CREDENTIAL_REVOKED", finish, world.trust.accept(found))


def test_another_delegation_of_the_same_gateway() -> None:
    world = World()
    first = world.issuer.delegate(8)
    second = world.issuer.delegate(8, SCOPE=[["alarms", 3]], DELEGATION=[["alarms"], 1, NOW + DAY * 30])
    assert first.public == second.public and first.cti != second.cti
    world.accept(first.credential(world.key), first.value)
    world.accept(second.credential(world.key, SCOPE=[["alarms", 1]]), second.value)
    world.accept(first.credential(world.key))


def test_a_delegation_is_known_as_long_as_those_that_it_brought_in() -> None:
    world = World()
    gateway, other = world.issuer.delegate(8), world.issuer.delegate(9)
    # Another delegate gives its number to a board that is met first.
    world.accept(other.credential(world.key, CTI=gateway.cti), other.value)
    data = gateway.credential(world.key)
    world.accept(data, gateway.value)
    for _ in range(limits.MAX_CREDENTIALS + 1):
        assert world.trust.delegation(gateway.cti).value == Credential(gateway.value).value
        world.trust.keep(Credential(world.issuer.credential(world.key)))
        world.accept(data)
    for _ in range(limits.MAX_CREDENTIALS + 1):
        known = world.trust.known(Credential(data).name)
        assert known is None or world.trust.delegation(gateway.cti) is not None
        world.trust.keep(Credential(world.issuer.credential(world.key)))
    assert world.trust.delegation(gateway.cti) is None


def test_the_time_is_not_a_delegates() -> None:
    world = World()
    gateway = world.issuer.delegate(8)
    world.accept(gateway.credential(world.key, IAT=NOW + 29 * DAY), gateway.value)
    assert world.trust.floor == NOW


def test_what_a_delegate_may_not_give() -> None:
    world = World()
    gateway = world.issuer.delegate(8, SCOPE=[["readings", 3], ["alarms", 1], ["notes", 1, "public"]])
    salt, other = b"the log's salt: ", gateway.public
    author = claims.author_of(world.key, salt)
    good = world.issuer.delegate(9, SCOPE=[["*", 3]], DELEGATION=[["*"], 1, NOW + DAY * 30])
    for wrong in (
        {"SCOPE": [["readings", 7]]},
        {"SCOPE": [["alarms", 1]]},
        {"SCOPE": [["notes", 1]]},
        {"SCOPE": [["*", 1]]},
        {"SCOPE": [["readings", 1], ["other", 1]]},
        {"EXP": NOW + 31 * DAY},
        {"IAT": NOW + 31 * DAY, "EXP": NOW},
        {"UNDER": b"some-one"},
        {"UNDER": None},
        {"CTI": gateway.cti},
        # Another's author, or one that it does not show to be of this key.
        {"AUTHOR": author, "SALT": salt, "SEALING_KEY": other},
        {"AUTHOR": author, "SALT": bytes(16), "SEALING_KEY": world.key},
        {"AUTHOR": author, "SEALING_KEY": world.key},
        {"AUTHOR": author, "SALT": salt},
        {"KINDS": claims.KEEPS},
        {"KINDS": claims.DELEGATES},
        {"DELEGATION": [[], 1, NOW]},
    ):
        world.refuses("CREDENTIAL_RIGHTS", gateway.credential(world.key, **wrong), gateway.value)
    for fine in (
        {"AUTHOR": author, "SALT": salt, "SEALING_KEY": world.key},
        {"SCOPE": [["readings", 1]]},
        {"SCOPE": []},
        {"SCOPE": [["readings", 3, "n > 5"]]},
        {"EXP": NOW + DAY},
    ):
        world.accept(gateway.credential(world.key, **fine), gateway.value)
    world.accept(good.credential(world.key, SCOPE=[["readings", 3], ["other", 1]]), good.value)
    world.refuses("CREDENTIAL_RIGHTS", good.credential(world.key, SCOPE=[["readings", 4]]), good.value)


def test_conditions_of_a_delegate() -> None:
    """A right under a condition is passed on under the same one."""
    world = World()
    scope = [["notes", 1, "n = 1"]]
    gateway = world.issuer.delegate(10, SCOPE=scope, DELEGATION=[["notes"], 1, NOW + DAY * 30])
    world.accept(gateway.credential(world.key, SCOPE=scope), gateway.value)
    for wrong in ([["notes", 1]], [["notes", 1, ""]], [["notes", 1, "n = 2"]]):
        world.refuses("CREDENTIAL_RIGHTS", gateway.credential(world.key, SCOPE=wrong), gateway.value)


def test_who_is_no_delegate() -> None:
    world = World()
    for wrong in (
        {"KINDS": claims.KEEPS},
        {"KINDS": None},
        {"DELEGATION": None},
        {"SEALING_KEY": b"\2" + bytes(32)},
        {"SEALING_KEY": None},
        # One that was itself given by a delegate does not give on.
        {"UNDER": b"some-one"},
    ):
        gateway = world.issuer.delegate(11, **wrong)
        world.refuses("CREDENTIAL_ISSUER", gateway.credential(world.key), gateway.value)
    gateway = Issuer(12).delegate(13)
    world.refuses("CREDENTIAL_ISSUER", gateway.credential(world.key), gateway.value)
    gateway = world.issuer.delegate(14, ISS="app-2")
    world.refuses("CREDENTIAL_FOREIGN", gateway.credential(world.key), gateway.value)


def test_rights() -> None:
    values = dict(BASE)
    values[claims.SCOPE] = [["a", 3], ["b", 1, "n = 1"], ["*", 1, "public"]]
    said = Claims(values)
    assert said.may("a", claims.READ) == ["", "public"] and said.may("a", claims.WRITE) == [""]
    assert said.may("b", claims.READ) == ["n = 1", "public"] and said.may("b", claims.WRITE) == []
    assert said.may("c", claims.READ) == ["public"]


BASE = {
    claims.ISS: "a",
    claims.SUB: "b",
    claims.EXP: 2,
    claims.IAT: 1,
    claims.CTI: bytes(8),
    claims.CNF: claims.key_of(b"\3" + bytes(32)),
}


def test_claims_refused() -> None:
    Claims.decode(cbor.encode(BASE))
    key = {1: 2, -1: 1, -2: bytes(32), -3: True}
    for claim in BASE:
        less = dict(BASE)
        del less[claim]
        raises("CREDENTIAL_INVALID", Claims.decode, cbor.encode(less))
    wrong = [
        (claims.ISS, ""),
        (claims.ISS, b"a"),
        (claims.SUB, "x" * 129),
        (claims.EXP, -1),
        (claims.EXP, 1 << 42),
        (claims.EXP, True),
        (claims.IAT, "1"),
        (claims.CTI, bytes(7)),
        (claims.CTI, "12345678"),
        (claims.CNF, {}),
        (claims.CNF, {1: []}),
        (claims.CNF, {1: {1: 2, -1: 1, -2: bytes(32)}}),
        (claims.CNF, {1: {1: 2, -1: 1, -2: bytes(31), -3: True}}),
        (claims.CNF, {1: {1: 2, -1: 2, -2: bytes(32), -3: True}}),
        (claims.CNF, {1: {1: 1, -1: 1, -2: bytes(32), -3: True}}),
        (claims.CNF, {1: {1: 2, -1: 1, -2: bytes(32), -3: 1}}),
        (claims.CNF, [key]),
        (claims.SCOPE, {}),
        (claims.SCOPE, [[]]),
        (claims.SCOPE, [["a"]]),
        (claims.SCOPE, [["a", True]]),
        (claims.SCOPE, [["a", -1]]),
        (claims.SCOPE, [["", 1]]),
        (claims.SCOPE, [["a", 1, 2]]),
        (claims.SCOPE, [["a", 1, "x", 4]]),
        (claims.SEALING_KEY, bytes(32)),
        (claims.AUTHOR, bytes(9)),
        (claims.MODE, 0),
        (claims.MODE, [2, bytes(8)]),
        (claims.MODE, [True, bytes(8)]),
        (claims.MODE, [0, bytes(7)]),
        (claims.METADATA, []),
        (claims.KINDS, "1"),
        (claims.DELEGATION, [["a"], 1]),
        (claims.DELEGATION, [["a", 1], 1, 2]),
        (claims.DELEGATION, [["a"], "1", 2]),
        (claims.UNDER, bytes(7)),
        (claims.SALT, bytes(8)),
        ("text", 1),
    ]
    for claim, value in wrong:
        values = dict(BASE)
        values[claim] = value
        raises("CREDENTIAL_INVALID", Claims.decode, cbor.encode(values))
    raises("CREDENTIAL_INVALID", Claims.decode, cbor.encode([]))
    # Claims of a later version give no right, and break nothing.
    values = dict(BASE)
    values[-70000] = "later"
    assert Claims.decode(cbor.encode(values)).encode() == cbor.encode(values)


def test_who_was_not_met_for_longest_makes_room() -> None:
    world = World()
    first = world.accept(world.issuer.credential(world.key))
    known = Credential(world.issuer.credential(world.key))
    world.trust.keep(known)
    assert world.p256.multiplications == 2
    for _ in range(limits.MAX_CREDENTIALS - 1):
        finish(world.trust.accept(first))
        world.trust.keep(Credential(world.issuer.credential(world.key)))
    assert world.trust.find(KID, first.name) is first
    assert world.trust.find(KID, known.name) is None
