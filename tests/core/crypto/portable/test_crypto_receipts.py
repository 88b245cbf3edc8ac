"""What frees an author's operations: the proof of a keeper that it knows, or that keeper's own session."""

from crypto_kit import APP, NOW, finish
from enrolled_kit import Enrolled, hand, meet
from mesh_kit import KEY, Air, check_air, gradient
from test_crypto_strangers import talk

from hedgerow import limits
from hedgerow.crypto import claims
from hedgerow.crypto.members import Proofs
from hedgerow.crypto.signer import sign_batch
from hedgerow.custody.receipt import NO_PROOF, PROOF_MAC, Receipt
from hedgerow.memory import MemoryLog
from hedgerow.mesh import tells
from hedgerow.mesh.asks import WANT_OPERATIONS
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.down import proof_of, short_of
from hedgerow.mesh.frames import RECEIPT, make
from hedgerow.peer import Peer
from hedgerow.sync import frames, hello
from hedgerow.sync.hello import KEEPER, LEAF, RELAY, Hello

HEAP = "4m"
OTHER = [claims.PRODUCTION, b"mesh-two"]


def know(one: Enrolled, *others: Enrolled) -> None:
    """Have one peer be told of the credentials of others."""
    for other in others:
        one.members.add(other.members.own.name, other.members.own.claims)


def pair(seed: int, role: int = LEAF) -> tuple:
    """Return a keeper and a board of which it holds two sealed operations; each knows of the other."""
    keeper = Enrolled(seed, keeper=True, kinds=claims.KEEPS)
    board = Enrolled(seed + 1, role=role)
    know(keeper, board)
    know(board, keeper)
    board.put("cars", 1, {"color": "red"})
    board.peer.seal(0)
    hand(board, keeper)
    return keeper, board


def word(receipt: Receipt, **changed: object) -> Receipt:
    """Return a receipt with something else in it."""
    other = Receipt.decode(receipt.encode())
    for name in changed:
        setattr(other, name, changed[name])
    return other


def said(board: Enrolled, receipt: Receipt, kinds: int | None = 0, by: bytes = b"a member") -> int:
    """Have a member with these kinds (None: somebody without keys) say a receipt; return what counts then."""
    role = KEEPER if kinds and kinds & claims.KEEPS else RELAY
    exchange = talk(board, Hello(b"msh", by, role=role), kinds, (frames.RECEIPT, receipt.encode()))
    assert exchange.remote is not None and exchange.error is None, exchange.error
    return board.peer.receipted(board.identity.author)


def test_a_keepers_proof_frees_whoever_brings_it_and_nothing_else_does() -> None:
    for kinds in (None, 0, claims.GIVES_TIME):
        keeper, board = pair(1)
        author = board.identity.author
        true = keeper.peer.receipt(author)
        assert true.number == 2 and true.proof_kind == PROOF_MAC
        other = Enrolled(5, role=LEAF)
        know(keeper, other)
        for forged in (
            word(true, proof_kind=0, proof=NO_PROOF),
            word(true, proof=bytes(8)),
            word(true, number=1),
            word(true, number=1 << 20),
            word(true, incarnation=2),
            word(true, keeper=other.identity.author),
            word(true, proof=keeper.members.prove(word(true, author=other.identity.author)).proof),
            keeper.members._proofs.prove(true, other.identity.agreement),
            Proofs(keeper.identity, OTHER).prove(true, board.identity.agreement),
        ):
            assert said(board, forged, kinds) == 0
            assert board.peer.ledger.incarnation(forged.keeper) == 0 and board.peer.author == author
        assert said(board, true, kinds) == 2


def test_who_shows_to_be_the_keeper_needs_no_proof_and_another_does() -> None:
    keeper, board = pair(11)
    bare = word(keeper.peer.receipt(board.identity.author), proof_kind=0, proof=NO_PROOF)
    assert said(board, bare, claims.KEEPS, b"another!") == 0
    assert said(board, bare, claims.GIVES_TIME, keeper.identity.author) == 0
    assert said(board, bare, claims.KEEPS, keeper.identity.author) == 2


def test_a_member_of_no_such_kind_proves_nothing() -> None:
    keeper, board = pair(21)
    member = Enrolled(25)
    know(board, member)
    know(member, board)
    made = Receipt(member.identity.author, 1, board.identity.author, 2)
    assert said(board, member.members.prove(made)) == 0
    # Nor does a keeper that was revoked.
    board.members.trust.revoked[keeper.members.own.claims.cti] = 0
    assert said(board, keeper.peer.receipt(board.identity.author)) == 0


def test_a_word_of_a_past_incarnation_is_refused_and_a_hint_raises_none() -> None:
    keeper, board = pair(31)
    author = board.identity.author
    old = keeper.peer.receipt(author)
    # What anybody says of a stranger's operations is a hint, and no incarnation of a keeper.
    stranger = b"stranger"
    for at in range(1, 7):
        board.peer.log.append(0, stranger, at, at, board.peer.log.fetch(author, 2))
    made_up = Receipt(keeper.identity.author, 200, stranger, 5)
    assert board.peer.ingest_receipt(made_up) and board.peer.receipted(stranger) == 5
    assert said(board, keeper.members.prove(word(old, incarnation=2, number=1))) == 1
    assert board.peer.ledger.incarnation(keeper.identity.author) == 2
    assert said(board, old) == 1
    assert not board.peer.ingest_receipt(word(made_up, number=6))
    assert board.peer.ingest_receipt(word(made_up, number=6, incarnation=2))
    assert said(board, keeper.members.prove(word(old, incarnation=2))) == 2


def test_a_hint_counts_for_what_is_here_and_the_true_receipt_takes_its_place() -> None:
    keeper, author = pair(35)
    author.put("cars", 2, {"color": "red"})
    author.peer.seal(0)
    relay, name = Enrolled(37, role=RELAY), author.identity.author
    hand(author, relay)
    true = keeper.peer.receipt(name)
    false = word(true, number=limits.MAX_NUMBER, proof=bytes(8))
    said(relay, false)
    assert relay.peer.receipted(name) == relay.log.held(name) == 3
    author.put("cars", 3, {"color": "red"})
    hand(author, relay)
    assert relay.log.held(name) == 4 and relay.peer.receipted(name) == 3, "what comes later goes on"
    # The true one is told to others, and durable; what was made up is gone with a boot.
    said(relay, true)
    assert relay.peer.receipt(name).proof == true.proof and relay.peer.receipt(name).number == 2
    said(relay, word(false, number=5, keeper=b"another!"))
    author.put("cars", 4, {"color": "red"})
    hand(author, relay)
    assert relay.log.held(name) == 5 == relay.peer.receipted(name), "it says no more than is here now"
    again = Peer(MemoryLog(relay.log.store), 0, role=RELAY, mesh=b"msh", members=relay.members)
    assert again.ledger.receipted_by(name, true.keeper) == 2 and again.ledger.hints(name) == []


def test_hints_that_say_more_have_few_places() -> None:
    ledger = Enrolled(44, role=RELAY).peer.ledger
    for keeper in range(limits.MAX_RECEIPTS + 2):
        ledger.take(Receipt(b"keeper-%d" % keeper, 1, b"author-1", 9), True, 1)
        assert len(ledger.hints(b"author-1")) == min(keeper + 1, limits.MAX_RECEIPTS)
    for author in range(limits.MAX_AUTHORS + 2):
        ledger.take(Receipt(b"keeper-1", 1, b"stranger"[:6] + b"%02d" % author, 9), True, 1)
        assert len(ledger._hints._entries) <= limits.MAX_AUTHORS
    assert ledger.receipted(b"stranger"[:6] + b"%02d" % author) == 1


def test_a_hint_over_more_stands_for_what_a_session_leaves_out() -> None:
    _, author = pair(45)
    name = author.identity.author
    one, two = Enrolled(47, role=RELAY), Enrolled(48, role=RELAY)
    for relay in (one, two):
        hand(author, relay)
    for at in range(9):
        author.put("cars", at, {"color": "red"})
    hand(author, one)
    held = one.log.held(name)
    said(one, Receipt(b"keeper-1", 1, name, held - 1, PROOF_MAC, bytes(8)))
    assert one.peer.receipted(name) == held - 1 and two.log.held(name) == 2
    one.peer.way, two.peer.way = 2, 1
    meet(two, one)
    assert two.log.held(name) == held and two.peer.receipted(name) == held - 1
    # Also one that says more than it counts for.
    said(one, Receipt(b"keeper-1", 1, name, limits.MAX_NUMBER, PROOF_MAC, bytes(8)))
    for at in range(3):
        author.put("cars", at, {"color": "red"})
    hand(author, one)
    three = Enrolled(49, role=RELAY)
    three.peer.way = 1
    meet(three, one)
    assert three.log.held(name) == one.log.held(name) == held + 3
    assert three.peer.receipted(name) == one.peer.receipted(name) == held


def test_of_an_author_without_a_credential_a_keeper_proves_nothing() -> None:
    keeper, _ = pair(41)
    found = keeper.members.prove(Receipt(keeper.identity.author, 1, b"stranger", 5))
    assert (found.proof_kind, found.proof) == (0, NO_PROOF)


def add(air: Air, one: Enrolled, role: int) -> object:
    """Put a member of an air in the place of an enrolled peer."""
    member = air.add("enrolled", role, one.peer.keeper, author=one.identity.author)
    one.members._log = one.members.words._log = member.peer.log
    member.peer.members = one.members
    member.peer.hearsay = role < hello.GATEWAY
    return member


def far(seed: int) -> tuple:
    """Return an air with a keeper, two relays that know of no keys, and a board with an identity three hops
    away; the keeper, the board, and the keeper's keys.
    """
    air = Air(seed, loss=10)
    keeper, board = pair(seed)
    ends = []
    for one, role in ((keeper, hello.GATEWAY), (board, hello.RELAY)):
        ends.append(add(air, one, role))
    relays = [air.add("r%d" % at) for at in range(2)]
    air.line([ends[0]] + relays + [ends[1]])
    return air, ends[0], ends[1], keeper


def test_a_proof_frees_over_two_relays() -> None:
    air, _, board, _ = far(51)
    air.run(5000)
    air.reading(board)
    air.reading(board)
    air.run(air.now + 1000)
    board.peer.seal(board.now(air.now))
    air.look(board)
    start = air.now
    while board.peer.receipted(board.author) < board.peer.log.held(board.author):
        assert air.now - start < 300000
        air.run(air.now + 1000)
    assert board.peer.receipt(board.author).proof_kind == PROOF_MAC
    relay = air.members[2].peer
    assert relay.receipted(board.author) == board.peer.receipted(board.author)
    check_air(air)


def test_receipts_on_the_air_that_nobody_proves_free_nothing() -> None:
    air, keeper, board, one = far(61)
    relay = air.members[3]
    air.unlink(relay, board)
    air.run(5000)
    air.reading(board)
    board.peer.seal(board.now(air.now))
    board.mesh.names.learn(keeper.author, 0)
    board.mesh.down.know(keeper.author)
    held = board.peer.log.held(board.author)
    false = Receipt(keeper.author, 1, board.author, held)
    relay.mesh.names.learn(keeper.author, 0)
    relay.mesh.names.learn(board.author, 0)
    for receipt in (false, word(false, proof_kind=PROOF_MAC, proof=bytes(range(8)))):
        on_air(board, receipt, air.now)
        assert board.peer.receipted(board.author) == 0
        # The same words count at others, who hold it for the board: they were heard and understood.
        on_air(relay, receipt, air.now)
        assert relay.peer.receipted(board.author) == held
    on_air(board, one.members.prove(false), air.now)
    assert board.peer.receipted(board.author) == held


def test_a_receipt_that_nobody_proves_takes_no_question_from_a_gateway() -> None:
    for role, asks_on in ((hello.GATEWAY, True), (hello.RELAY, False)):
        air = Air(65, loss=0)
        asker = add(air, Enrolled(66, role=role), role)
        other = air.add("other")
        air.reading(other)
        false = Receipt(b"keeper-1", 1, other.author, 1)
        asker.mesh.names.learn(other.author, 0)
        asker.mesh.names.learn(false.keeper, 0)
        asker.mesh.intake.note_height(other.author, 1)
        asker.mesh.repair.want(WANT_OPERATIONS, other.author, 0)
        assert asker.mesh.repair.asks_for(other.author)
        on_air(asker, false, air.now)
        assert asker.mesh.repair.asks_for(other.author) == asks_on


def test_receipts_made_up_on_the_air_stop_no_operation_and_no_proof() -> None:
    for seed, mode in ((91, gradient), (92, None)):
        if mode:
            with mode():
                made_up(seed)
        else:
            made_up(seed)


def made_up(seed: int) -> None:
    """Have each relay of a line hear, again and again, that a keeper has all that a board will ever write."""
    air = Air(seed, loss=10)
    keeper, board = pair(seed)
    top, far = add(air, keeper, hello.GATEWAY), add(air, board, hello.RELAY)
    relays = [add(air, Enrolled(seed + 100 + at, role=RELAY), RELAY) for at in range(2)]
    air.line([top] + relays + [far])
    air.run(20000)
    false = Receipt(top.author, 1, far.author, limits.MAX_NUMBER, PROOF_MAC, bytes(8))
    for turn in range(4):
        air.reading(far)
        air.run(air.now + 5000)
        for relay in relays:
            on_air(relay, word(false, number=limits.MAX_NUMBER - turn % 2), air.now)
            air.look(relay)
        air.run(air.now + 20000)
    air.reading(far)
    far.peer.seal(far.now(air.now))
    air.look(far)
    start = air.now
    while far.peer.receipted(far.author) < far.peer.log.held(far.author):
        assert air.now - start < 300000
        air.run(air.now + 1000)
    assert top.peer.log.held(far.author) == far.peer.log.held(far.author)
    check_air(air)


def test_a_hint_stands_for_what_is_not_here_where_nobody_has_it() -> None:
    for height, tries, counts in ((30, 0, 30), (10, 3, 10), (10, 2, 2)):
        air = Air(95, loss=0)
        relay, other = add(air, Enrolled(96, role=RELAY), RELAY), air.add("other")
        for at in (1, 2):
            body = other.peer.log.fetch(other.author, 1)
            relay.peer.log.append(0, other.author, at, at, body)
        hint = Receipt(b"keeper-1", 1, other.author, 9)
        relay.mesh.names.learn(other.author, 0)
        relay.mesh.names.learn(hint.keeper, 0)
        relay.mesh.intake.note_height(other.author, height)
        relay.mesh.repair.want(WANT_OPERATIONS, other.author, 0)
        relay.mesh.repair._wants[WANT_OPERATIONS, other.author][1] = tries
        on_air(relay, hint, air.now)
        assert relay.peer.receipted(other.author) == min(9, counts)


def test_any_receipt_may_be_the_true_one_and_is_passed_on() -> None:
    keeper, author = pair(97)
    air = Air(98, loss=0)
    relay = add(air, Enrolled(99, role=RELAY), RELAY)
    true = keeper.peer.receipt(author.identity.author)
    for at in (1, 2):
        relay.peer.log.append(0, true.author, at, at, author.log.fetch(true.author, at))
    for name in (true.author, true.keeper):
        relay.mesh.names.learn(name, 0)
    said_of = [word(true, proof=bytes(8)), word(true, number=9, proof=bytes(8)), true]
    for receipt in said_of:
        on_air(relay, receipt, air.now)
    waits = relay.mesh.speaker.names
    assert [name_of(frame_of(relay, receipt)) in waits for receipt in said_of] == [True] * 3


def frame_of(member: object, receipt: Receipt) -> bytes:
    body = tells.encode_receipt(
        short_of(receipt), receipt.incarnation, receipt.author[:3], receipt.number, proof_of(receipt)
    )
    return make(RECEIPT, member.peer.mesh, body, KEY)


def on_air(member: object, receipt: Receipt, now: int) -> None:
    """Have a member hear a receipt, from nobody in particular."""
    frame = frame_of(member, receipt)
    payload = bytes((len(frame) + 3, 0xFF, 0xFF, 0xFF)) + frame
    member.mesh.heard(b"attack", -60, payload, member.now(now))


# ---- batches


def batch(keeper: Enrolled, *receipts: Receipt, app: str = APP) -> bytes:
    """Return a keeper's batch of these receipts."""
    keys = keeper.identity
    return finish(sign_batch(keeper.p256, keys.keys[32:64], keys.sealing, app, NOW, list(receipts)))


def test_a_batch_counts_for_all_that_it_names_over_a_gateway() -> None:
    keeper, board = pair(71)
    gateway = Enrolled(75)
    know(gateway, keeper, board)
    author = board.identity.author
    former, held = b"a former", b"carried!"
    board.peer.former[former] = 5
    for name in (former, held):
        board.peer.log.append(0, name, 1, 1, board.peer.log.fetch(author, 2))
    said_of = ((author, 2), (former, 1), (held, 1))
    all_of = batch(keeper, *[Receipt(keeper.identity.author, 1, name, number) for name, number in said_of])
    assert len(gateway.members.take_batch(all_of, gateway.peer)) == 3
    # A member's own word for the same is a hint, and frees nothing of the board's.
    said(board, Receipt(keeper.identity.author, 1, former, 1))
    assert board.peer.receipted(former) == 0
    meet(gateway, board)
    # For what it writes under its credential it waits for a proof: others may have sealed that (SPEC 5.6.7).
    assert [board.peer.receipted(name) for name in (author, former, held)] == [0, 1, 1]
    # It is told to whom it says something.
    board.p256.multiplications = 0
    meet(gateway, board)
    assert board.p256.multiplications == 0
    assert gateway.members.batches([(author, 2, 2, 2)]) == []
    assert gateway.members.batches([(author, 2, 2, 1)]) == [all_of]


def test_a_batch_that_no_keeper_has_signed_counts_for_nothing() -> None:
    keeper, board = pair(81)
    author = b"a former"
    board.peer.former[author] = 5
    for number in (1, 2):
        board.peer.log.append(0, author, number, number, board.peer.log.fetch(board.identity.author, 2))
    member = Enrolled(85)
    know(board, member)
    true = Receipt(keeper.identity.author, 1, author, 2)
    good = batch(keeper, true)
    for wrong, code in (
        (batch(member, true), "RECEIPT_INVALID"),
        (good[:-1] + bytes((good[-1] ^ 1,)), "RECEIPT_INVALID"),
        (batch(keeper, true, app="another"), "RECEIPT_INVALID"),
        (batch(member, word(true, keeper=member.identity.author)), None),
        (batch(keeper, word(true, keeper=b"stranger")), None),
    ):
        exchange = talk(board, Hello(b"msh", b"a member"), 0, (frames.BATCH, wrong))
        assert (exchange.error and exchange.error.code) == code
        assert board.peer.receipted(author) == 0
    talk(board, Hello(b"msh", b"a member"), None, (frames.BATCH, good))
    assert board.peer.receipted(author) == 0, "without keys there are no members"
    talk(board, Hello(b"msh", b"a member"), 0, (frames.BATCH, good))
    assert board.peer.receipted(author) == 2
