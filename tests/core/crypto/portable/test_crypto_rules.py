"""Who may write what: rules over operations, signed seals, revocation; the same verdicts in any order."""

from crypto_kit import APP, DAY, MODE, NOW, Issuer, finish
from enrolled_kit import ROOT, Enrolled, entries, hand, revocation, varint
from kit import Random, raises

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import GRANTS, HEALTH, KEEP, Schema
from hedgerow.crypto import forks, signer
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.forks import FORK
from hedgerow.crypto.members import Members
from hedgerow.crypto.rules import FORBIDDEN, FORKED, REVOKED, Rules
from hedgerow.custody.skip import LOST, SUPERSEDED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.operation import DELETE, INSERT, UPDATE
from hedgerow.trust.lost import make_lost
from hedgerow.trust.seal import NO_SEAL, SEAL_SIGNED, Seal, check_seal, is_bare, make_seal

HEAP = "4800k"
CARS = Schema("cars", KEEP, (("color", None),))


def change(color: str, kind: int = INSERT) -> list:
    return [kind, CARS.name, "a", CARS.pack({"color": color})]


def test_rights_and_conditions_over_what_an_operation_carries() -> None:
    rules = Rules(lambda key, message, signature: True)
    author = b"author-1"
    assert rules.why_not(author, 1, change("red"), CARS) == "", "nobody knows who that is"

    def grant(*scope: list) -> Rules:
        fresh = Rules(lambda key, message, signature: True)
        found = Credential(ROOT.credential(ROOT.public, AUTHOR=author, SCOPE=list(scope)))
        assert fresh.add(found.name, found.claims) and not fresh.add(found.name, found.claims)
        return fresh

    for scope, good in (
        ([["cars", 2]], True),
        ([["cars", 1]], False),
        ([["*", 3]], True),
        ([["boats", 3]], False),
        ([], False),
        ([["cars", 2, "color = 'red'"]], True),
        ([["cars", 2, "color = 'blue'"]], False),
        ([["cars", 2, "color = 'blue'"], ["cars", 3, "_id = 'a'"]], True),
        ([["cars", 2, "no condition ("]], False),
    ):
        rules = grant(*scope)
        assert rules.verdict(author, 1, b"", change("red"), CARS) == good, scope
        assert (rules.why_not(author, 1, change("red"), CARS) == FORBIDDEN) != good
    # Of a delete nothing is carried but the id.
    gone = [DELETE, CARS.name, "a"]
    assert grant(["cars", 2, "color = 'red'"]).why_not(author, 1, gone, CARS) == FORBIDDEN
    assert grant(["cars", 2, "_id = 'a'"]).why_not(author, 1, gone, CARS) == ""
    assert grant().why_not(author, 1, [4, 0, 0, 0, 0, None, 0], None) == "", "a clock record"
    # Its own health document is anybody's, and nobody else's, whatever is granted and whoever that is.
    schema = Schema(HEALTH, KEEP, (("log", None),))
    nobody = Rules(lambda key, message, signature: True)
    for name, why in ((author, ""), (b"author-2", FORBIDDEN), (None, FORBIDDEN), ("author-1", FORBIDDEN)):
        for of in (grant(), grant(["*", 3]), grant([HEALTH, 3, "true"]), nobody):
            assert of.why_not(author, 1, [INSERT, schema.name, name, [3]], schema) == why, name
            assert of.why_not(author, 1, [DELETE, schema.name, name], schema) == why, name
    # Keys are granted by keepers alone, and by nobody who is not known yet. SPEC 11.17.4
    keys = Schema(GRANTS, KEEP, (("keys", None),))
    for of, why in ((grant(["*", 3]), FORBIDDEN), (grant([GRANTS, 3]), FORBIDDEN), (nobody, FORBIDDEN)):
        assert of.why_not(author, 1, [INSERT, keys.name, author, [b""]], keys) == why
        assert of.why_not(author, 1, [DELETE, keys.name, author], keys) == why
    keeper = Rules(lambda key, message, signature: True)
    found = Credential(ROOT.credential(ROOT.public, AUTHOR=author, SCOPE=[], KINDS=1))
    assert keeper.add(found.name, found.claims)
    assert keeper.why_not(author, 1, [INSERT, keys.name, b"author-2", [b""]], keys) == ""
    own, of = Enrolled(15), {schema.name: schema}
    raises(FORBIDDEN, own.members.permit, 2, [[INSERT, schema.name, b"author-2", [3]]], of)
    own.members.permit(2, [[INSERT, schema.name, own.identity.author, [3]]], of)


def test_revocation_may_only_be_raised_and_the_least_counts() -> None:
    rules = Rules(lambda key, message, signature: True)
    author = b"author-1"
    assert rules.revoke(author, b"cti-1...", 5) and not rules.revoke(author, b"cti-1...", 3)
    assert rules.why_not(author, 6, change("red"), CARS) == REVOKED
    assert rules.why_not(author, 5, change("red"), CARS) == ""
    assert rules.revoke(author, b"cti-1...", 9) and not rules.revoke(author, b"cti-2...", 12)
    assert rules.revoke(author, b"cti-2...", 12) is False and rules.revoke(author, b"cti-3...", 7)
    assert rules.why_not(author, 8, change("red"), CARS) == REVOKED


def fork(author: bytes, last: int, issuer: Issuer = ROOT, app: str = APP, kind: str = FORK) -> bytes:
    said = forks.payload(app, NOW, author, last)
    return finish(signer.sign1(issuer.p256, issuer.private, said, issuer.kid, kind))


def test_nothing_counts_behind_a_fork_and_that_may_only_be_raised() -> None:
    one = Enrolled(31)
    rules, author = one.members, b"author-1"
    judged: list = []
    rules.on_judged = judged.append
    rules.take(varint(1) + fork(author, 5))
    assert rules.forked(author) == 5 and judged == [author]
    assert rules.why_not(author, 6, change("red"), CARS) == FORKED
    assert rules.why_not(author, 6, [4, 0, 0, 0, 0, None, 0], None) == FORKED, "a clock record too"
    assert rules.why_not(author, 5, change("red"), CARS) == ""
    rules.take(varint(2) + fork(author, 3))
    assert rules.forked(author) == 5 and judged == [author]
    rules.take(varint(3) + fork(author, 9))
    assert rules.why_not(author, 9, change("red"), CARS) == "" and judged == [author, author]
    # What nobody known has signed is passed over; what is none ends the session.
    rules.take(varint(4) + fork(b"author-2", 3, Issuer(9)))
    assert rules.forked(b"author-2") is None
    word = fork(b"author-2", 3)
    for wrong in (
        word[:-1] + bytes([word[-1] ^ 1]),
        fork(b"author-2", 3, app="app-2"),
        fork(b"short", 3),
        fork(b"author-2", -1),
        fork(b"author-2", 1 << 32),
    ):
        raises("STATEMENT_INVALID", rules.take, varint(5) + wrong)
    assert rules.forked(b"author-2") is None
    # It is durable, and does not end the author's sessions: what it has is carried.
    one.log.commit()
    again = Members(one.log, Trust(one.p256, dict(ROOT.roots), APP, MODE), one.identity)
    assert again.forked(author) == 9
    found = Credential(ROOT.credential(ROOT.public, AUTHOR=author))
    assert again.stands(found.claims)


def test_a_seal_is_the_word_of_who_holds_the_credential() -> None:
    one, two = Enrolled(2), Enrolled(3)
    marks = [bytes([at]) * 16 for at in range(3)]
    author = one.identity.author
    body = make_seal(author, 1, 3, marks, NO_SEAL, one.members)
    assert Seal.decode(body).kind == SEAL_SIGNED
    assert not check_seal(author, body, marks), "nobody is known here"
    assert raises("CREDENTIAL_UNKNOWN", check_seal, author, body, marks, two.members)
    two.members.add(one.members.own.name, one.members.own.claims)
    assert check_seal(author, body, marks, two.members)
    parts = cbor.decode(body)
    wrong = [
        (author, body, marks[:2] + [bytes(16)]),
        (two.identity.author, body, marks),
        (author, cbor.encode(parts[:6] + [parts[6][:63] + bytes([parts[6][63] ^ 1])]), marks),
        (author, cbor.encode(parts[:4] + [bytes(range(16))] + parts[5:]), marks),
        # Signed by another member, for an author that is not its own.
        (author, make_seal(author, 1, 3, marks, NO_SEAL, two.members), marks),
        # Of kind 0, as anybody can make it.
        (author, make_seal(author, 1, 3, marks, NO_SEAL), marks),
    ]
    for name, seal, hashes in wrong:
        assert not check_seal(name, seal, hashes, two.members)
    assert not is_bare(author, make_seal(author, 1, 3, [], NO_SEAL), two.members)
    assert is_bare(author, make_seal(author, 1, 3, [], NO_SEAL, one.members), two.members)


def test_gateways_refuse_what_a_relay_changed() -> None:
    one, two = Enrolled(4), Enrolled(5)
    two.members.add(one.members.own.name, one.members.own.claims)
    one.put("cars", 1, {"color": "red"})
    author = one.identity.author
    # The relay changes the operation, and makes the seals that it can.
    for schema in one.peer.schemas.values():
        two.peer.ingest_schema(schema.encoded)
    bodies = [entry[3] for entry in entries(one)]
    bodies[1] = bodies[1].replace(b"red", b"ret")
    two.peer.ingest(author, 1, bodies)
    from hedgerow.operation import h16

    marks = [h16(author, at + 1, body, two.peer.schemas) for at, body in enumerate(bodies)]
    for sealer in (None, two.members):
        seal = make_seal(author, 1, 2, marks, NO_SEAL, sealer)
        assert raises("SEAL_INVALID", two.peer.ingest_seal, author, seal)
    one.peer.seal(0)
    assert raises("SEAL_INVALID", two.peer.ingest_seal, author, entries(one)[-1][3])
    three = Enrolled(6)
    three.members.add(one.members.own.name, one.members.own.claims)
    hand(one, three)
    assert three.log.sealed(author) == 2 and three.show("cars") == [1]


def test_only_the_author_says_that_something_is_lost() -> None:
    one, relay = Enrolled(51), Enrolled(52)
    author = one.identity.author
    number = one.put("cars", 1, {"color": "red"})
    stamp = hlc.wire(one.peer.clock.last)
    good = make_lost(author, number, number, 0, stamp, None, None, one.members)
    others = [
        Skip(number, number, SUPERSEDED, [author, number + 1]).encode(),
        Skip(number, number, LOST, [0, stamp]).encode(),
        make_lost(author, number, number, 0, stamp),
        make_lost(author, number, number, 0, stamp, None, None, relay.members),
        make_lost(author, number, number, 1, stamp, None, None, one.members)[:-1] + good[-1:],
    ]
    for body in others:
        keeper = Enrolled(53, keeper=True)
        for peer in (one, relay):
            keeper.members.add(peer.members.own.name, peer.members.own.claims)
        hand(one, keeper, 1)
        assert raises("SKIP_INVALID", keeper.peer.ingest_skip, author, body)
    keeper.peer.ingest_skip(author, good)
    assert keeper.log.held(author) == number and keeper.peer.lost(author) == [(number, number)]
    # Of who has no credential that is known here a skip is taken as before.
    stranger = Enrolled(54, keeper=True)
    hand(one, stranger, 1)
    stranger.peer.ingest_skip(author, others[1])


def test_seals_wait_for_a_credential_of_the_log() -> None:
    one = Enrolled(7)
    own, one.members.own = one.members.own, None
    for at in range(300):
        one.put("cars", at, {"color": "red"})
    assert not one.peer.seal(0) and one.peer.seal_due() is None and one.log.sealed(one.identity.author) == 0
    one.members.enrol(own)
    assert one.peer.seal(0)
    two = Enrolled(8)
    two.members.add(own.name, own.claims)
    hand(one, two)
    assert two.log.sealed(one.identity.author) == one.log.held(one.identity.author) == 301


def test_statements_are_kept_and_believed_from_issuers_alone() -> None:
    one, two = Enrolled(9, [["boats", 3]]), Enrolled(10)
    judged: list = []
    two.members.on_judged = judged.append
    author = one.identity.author
    other = Issuer(99)
    mine = one.members.own.value
    forged = other.credential(one.identity.agreement, AUTHOR=author)
    two.members.take(varint(NOW) + forged)
    two.members.take(varint(NOW) + revocation(author, bytes(8), 0, other))
    assert not two.members.knows(author) and judged == [] and two.members.position == NOW
    assert raises("STATEMENT_INVALID", two.members.take, varint(1) + b"\x80")
    two.members.take(varint(NOW + 5) + b"\xd2" + mine)
    assert judged == [author] and two.members.knows(author)
    two.members.take(varint(NOW + 5) + b"\xd2" + mine)
    two.members.take(varint(NOW + 9) + revocation(author, one.members.own.claims.cti, 3))
    assert judged == [author, author] and two.members.position == NOW + 9
    two.log.commit()
    # After a boot all of it is there again, without a signature to verify.
    two.p256.multiplications = 0
    again = Members(two.log, Trust(two.p256, ROOT.roots, APP, MODE), two.identity)
    assert two.p256.multiplications == 0 and again.position == NOW + 9
    assert again.why_not(author, 4, change("red"), CARS) == REVOKED
    assert again.why_not(author, 2, change("red"), CARS) == FORBIDDEN
    assert again.trust.revoked == {one.members.own.claims.cti: 3}


def test_the_same_documents_in_any_order() -> None:
    """8 peers: what is written, sealed, granted, taken back and revoked comes in another order to each."""
    writer, guest, thief = Enrolled(11, [["cars", 3]]), Enrolled(12, [["boats", 3]]), Enrolled(13)
    said = [(peer.identity.author, b"\xd2" + peer.members.own.value) for peer in (writer, guest, thief)]
    # The writer's rights change twice while it writes; what was sealed under one credential stays under it.
    writer.put("cars", "w1", {"color": "red"})
    writer.put("boats", "w2", {"color": "red"})
    writer.peer.seal(0)
    said.append(
        (writer.identity.author, b"\xd2" + writer.renew([["boats", 2, "color = 'blue'"]], NOW + DAY)[1:])
    )
    writer.put("cars", "w3", {"color": "red"})
    writer.put("boats", "w4", {"color": "blue"})
    writer.put("boats", "w5", {"color": "red"})
    writer.peer.seal(0)
    said.append((writer.identity.author, b"\xd2" + writer.renew([["*", 3]], NOW + 2 * DAY)[1:]))
    writer.put("cars", "w6", {"color": "red"})
    guest.put("cars", "g1", {"color": "green"})
    guest.put("boats", "g2", {"color": "green"})
    thief.put("cars", "t1", {"color": "black"})
    thief.put("cars", "t2", {"color": "black"})
    thief.put("cars", "w1", {"color": "black"}, UPDATE)
    for peer in (guest, thief):
        peer.peer.seal(0)
    for last in (1, 2):
        said.append(
            (thief.identity.author, revocation(thief.identity.author, thief.members.own.claims.cti, last))
        )
    random = Random(14)
    for seed in range(8):
        reader = Enrolled(20 + seed)
        steps: list = [("say", at) for at in range(len(said))]
        for at, one in enumerate((writer, guest, thief)):
            steps += [("hand", at, count) for count in range(1, len(entries(one)) + 1)]
        random.shuffle(steps)
        waiting: list = []
        for step in steps + [("hand", at, 99) for at in range(3)]:
            if step[0] == "say":
                reader.members.take(varint(NOW) + said[step[1]][1])
                continue
            try:
                hand((writer, guest, thief)[step[1]], reader, step[2])
            except HedgerowError as error:
                # A seal of which nobody knows the credential yet: it comes again.
                assert "CREDENTIAL_UNKNOWN" in str(error), error
                waiting.append(step)
        assert reader.show("cars") == ["t1", "w1", "w6"], seed
        assert reader.show("boats") == ["g2", "w4"], seed
        assert reader.peer.down.documents.view("cars", "w1")["color"] == "red"
        for one in (writer, guest, thief):
            author = one.identity.author
            assert reader.log.held(author) == one.log.held(author)
            assert reader.log.sealed(author) == one.log.sealed(author)
