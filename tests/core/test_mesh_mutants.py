"""Each guard of the mesh engine is taken out in turn, and a check of this suite must then fail.

A check is a function that passes on the real code. A mutant is one guard disabled by monkeypatching.
"""

from collections.abc import Callable
from typing import Any

import pytest
import test_mesh_again as once_more
import test_mesh_asleep as asleep
import test_mesh_behind as backlog
import test_mesh_down as downward
import test_mesh_false as false
import test_mesh_far as far
import test_mesh_flood as flood
import test_mesh_gradient as gradual
import test_mesh_leaf as leafy
import test_mesh_turns as turns
import test_mesh_ways as onward
from mesh_kit import Air, check_air

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.custody.receipt import Receipt
from hedgerow.mesh import down as down_module
from hedgerow.mesh import frames, pace, tells
from hedgerow.mesh import intake as intake_module
from hedgerow.mesh import mesh as mesh_module
from hedgerow.mesh.carrier import Carrier
from hedgerow.mesh.custody import Custody
from hedgerow.mesh.down import Down
from hedgerow.mesh.feed import Feed
from hedgerow.mesh.intake import Intake
from hedgerow.mesh.kept import Kept
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.repair import Repair
from hedgerow.mesh.schedule import Leaves
from hedgerow.mesh.speaker import Speaker
from hedgerow.mesh.talk import Talk
from hedgerow.mesh.ways import Ways
from hedgerow.operation import decode_body
from hedgerow.sync import hello
from hedgerow.trust import verify

Patch = Callable[[pytest.MonkeyPatch], None]


def _nothing(*_args: Any, **_named: Any) -> None:
    return None


# ---- checks that stand here alone


def check_forged_frames() -> None:
    """An OP that nobody of the mesh has tagged is not taken, and does not hide the true one."""
    air = Air(21, loss=0, duty=100)
    one, other = air.add("one"), air.add("other")
    air.link(one, other)
    air.reading(one)
    air.run(60000)
    sent: list[bytes] = []
    air.on_sent = lambda member, payload: sent.append(payload)
    air.unlink(one, other)
    air.reading(one)
    air.run(60500)
    true = next(payload for payload in sent if payload[4] & 15 == frames.OP)
    forged = bytearray(true)
    forged[-4] ^= 2
    held = other.peer.log.held(one.author)
    assert not other.mesh.heard(b"forger", -40, bytes(forged), other.now(air.now))
    assert other.peer.log.held(one.author) == held
    assert other.mesh.heard(b"friend", -40, true, other.now(air.now))
    assert other.peer.log.held(one.author) == held + 1


def check_receipts_of_twins() -> None:
    """A receipt acts at the author whose it is, also where another one has the same short name."""
    air = Air(22, loss=0, duty=100)
    keeper = air.add("keeper", hello.GATEWAY, True, author=b"keeper-1")
    twins = [air.add("a", author=b"twins-01"), air.add("b", author=b"twins-02")]
    air.all([keeper, *twins])
    air.run(20000)
    for _ in range(4):
        air.reading(twins[0])
        air.reading(twins[1])
        air.run(air.now + 10000)
    for member in twins:
        member.mesh.names.learn(b"keeper-1", 0)
    receipt = Receipt(b"keeper-1", 1, b"twins-01", 3)
    body = tells.encode_receipt(b"keep", 1, b"twi", 3, down_module.proof_of(receipt))
    payload = frames.advertise(frames.make(frames.RECEIPT, twins[0].peer.mesh, body, twins[0].mesh.key))
    for member in twins:
        member.mesh.heard(b"relay", -50, payload, member.now(air.now))
    assert twins[0].peer.receipted(b"twins-01") == 3
    assert twins[1].peer.receipted(b"twins-02") == 0


def check_repairs_are_suppressed() -> None:
    """Of many who could answer a question few do."""
    air = Air(23, loss=0, duty=100)
    members = [air.add("b%d" % at) for at in range(8)]
    air.all(members)
    air.run(60000)
    air.reading(members[0])
    air.run(90000)
    late = air.add("late")
    for member in members:
        air.link(member, late)
    before = sum([member.mesh.stats["repairs"] for member in members])
    air.settle([late], members[:1], 300000)
    repairs = sum([member.mesh.stats["repairs"] for member in members]) - before
    letters = sum([member.mesh.stats["wants"] for member in [late]])
    assert repairs <= 40 + 8 * letters, (repairs, letters)


def check_forwards_are_suppressed() -> None:
    """In a crowd not everybody says again what has been said."""
    air = Air(24, loss=0, duty=100)
    members = [air.add("b%d" % at) for at in range(10)]
    air.all(members)
    air.readings(members, 20000, 20000)
    air.run(120000)
    air.settle(members, members, 200000)
    sent: list[bytes] = []
    air.on_sent = lambda member, payload: sent.append(payload) if payload[4] & 15 == frames.OP else None
    for member in members:
        air.reading(member)
    air.run(air.now + 60000)
    assert len(sent) < 6 * len(members), len(sent)


def check_stamps_are_exact() -> None:
    """What was rebuilt from a frame is what its author wrote, to the bit."""
    air = Air(25, loss=0, duty=100)
    one, other = air.add("one"), air.add("other")
    air.link(one, other)
    air.run(10000)
    for _ in range(8):
        air.reading(one)
        air.run(air.now + 5000)
    check_air(air)
    number = other.peer.log.held(one.author)
    assert number == one.peer.log.held(one.author)
    stamp = decode_body(other.peer.log.fetch(one.author, number))[0]
    assert hlc.stamp_ms(stamp) == hlc.stamp_ms(decode_body(one.peer.log.fetch(one.author, number))[0])


def check_modes_switch() -> None:
    """More than 64 authors heard end a flood, and their operations arrive all the same."""
    air = Air(26, loss=0, duty=100)
    keeper = air.add("keeper", hello.GATEWAY, True)
    members = [air.add("b%d" % at) for at in range(3)]
    air.line([keeper, *members])
    air.run(20000)
    assert members[1].mesh.flood
    for author in range(limits.FLOOD_AUTHORS + 20):
        members[1].mesh._census.add(author * 2654435761 & 0xFFFFFF, air.now)
    air.readings(members, 20000, 200000)
    air.run(240000)
    assert not members[1].mesh.flood
    # A neighbour that has not counted for long goes the same way.
    assert not members[2].mesh.flood and not members[2].peer.floods()
    air.settle([keeper], members, 300000)


def check_a_visit_waits_for_its_turn() -> None:
    """Who has much for us is called, connected to once it has answered, and then left alone."""
    air = Air(27, loss=0, duty=100)
    near, far = air.add("near", author=b"aa-near-"), air.add("far", author=b"zz-far--")
    for at in range(60):
        far.peer.insert("readings", {"n": at}, at)
    # Nothing comes by advertisements meanwhile.
    far.mesh.feed.fill = _nothing  # type: ignore[method-assign]
    near.mesh.repair.want = _nothing  # type: ignore[method-assign]
    air.link(near, far)
    found = None
    while found is None and air.now < 200000:
        air.run(air.now + 500)
        found = near.mesh.visit(near.now(air.now))
        air.look(near)
        if near.mesh.stats["calls"] == 0:
            assert found is None
    assert found == far.address and far.mesh.called(far.now(air.now))
    near.mesh.failed(found, near.now(air.now))
    assert near.mesh.visit(near.now(air.now)) is None


# ---- mutants


def tags_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mesh_module, "check", lambda key, frame: True)


def receipts_unproven(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(down_module, "proof_of", lambda receipt: bytes(8))


def custody_in_ram(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Custody, "_load", _nothing)


def taken_from_anybody(patch: pytest.MonkeyPatch) -> None:
    real = Carrier._carry

    def carry(self: Any, kind: int, frame: bytes, *rest: Any) -> None:
        real(self, kind, frame[:3] + bytes((31 << 3 | frame[3] & 7,)) + frame[4:], *rest)

    patch.setattr(Carrier, "_carry", carry)


def takers_do_not_listen(patch: pytest.MonkeyPatch) -> None:
    real = Custody.echo

    def echo(self: Any, name: int, *rest: Any) -> bytes:
        return b"" if name in self._pending else real(self, name, *rest)

    patch.setattr(Custody, "echo", echo)
    patch.setattr(Custody, "passed", _nothing)


def no_share(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "MESH_SHARE", limits.MAX_CUSTODY)


def waits_in_ram(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Kept, "put", _nothing)


def never_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pace, "AGAIN_MS", 1 << 29)


def any_push_is_safe(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "safe", Feed.pushed)


def no_hand_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Leaves, "hold", _nothing)
    patch.setattr(Leaves, "heard", _nothing)


def no_questions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repair, "want", _nothing)


def no_differences(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repair, "compare", lambda self, state, shown, now: True)


def one_author_to_a_short_name(patch: pytest.MonkeyPatch) -> None:
    from hedgerow.mesh.names import Names

    find = Names.find
    patch.setattr(Names, "find", lambda self, short: find(self, short)[:1])


def all_forward(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Speaker, "echo", _nothing)


def flood_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Talk, "_mode", _nothing)


def no_letters(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Intake, "take_fragment", lambda self, frame, now: intake_module.REFUSED)


def leaf_always_awake(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pace, "LEAF_MOST_MS", 200000)
    patch.setattr(pace, "LEAF_WINDOW_MS", 100000)


def receipts_stay_where_they_are(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Down, "note_route", _nothing)


def interests_unheard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mesh, "_letter_down", _nothing)


def heard_is_hears(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ways, "quality", lambda _self, neighbour, _hops, _mine: neighbour.share)


def nothing_shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ways, "heard", lambda *_: bytes(6))


def farther_and_silent(patch: pytest.MonkeyPatch) -> None:
    real = Custody.move

    def move(self: Custody, code: int, now: int) -> None:
        self._was = code
        real(self, code, now)

    patch.setattr(Custody, "move", move)


def taken_over_any_link(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ways, "near", lambda *_: True)


def saved_without_crc(patch: pytest.MonkeyPatch) -> None:
    from hedgerow.mesh import saved

    patch.setattr(saved, "crc32", lambda data: 0)


def connects_at_once(patch: pytest.MonkeyPatch) -> None:
    from hedgerow.mesh.visits import Visits

    patch.setattr(Visits, "_call", _nothing)
    patch.setattr(Visits, "failed", _nothing)


def nothing_is_given_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verify, "doubt", lambda *_args: False)


def given_up_at_once_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "DOUBT_MS", 1)


def a_short_check_will_do(patch: pytest.MonkeyPatch) -> None:
    real = Intake._follow

    def follow(self: Any, op: Any, author: bytes, number: int) -> int:
        self._peer.doubts = {author: (0, until) for author, (_, until) in self._peer.doubts.items()}
        return real(self, op, author, number)

    patch.setattr(Intake, "_follow", follow)


def receipts_are_passed_on_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Down, "passed", lambda self, name, code, now: self._mesh.custody.done.has(name, now))


def one_saying_of_a_receipt_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Talk, "_more", _nothing)


def what_a_leaf_has_is_everybodys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Leaves, "hears", lambda *_args: False)


def left_to_any_two(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Talk, "say_onward", _nothing)


def marks_are_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Carrier, "_lacks", lambda *_args: False)


def goes_on_by_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "upto", _nothing)


def waits_for_its_receipt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "late", lambda *_args: False)


def keepers_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Down, "know", _nothing)


def no_word_to_an_author(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Down, "tell_author", _nothing)


MUTANTS: list[tuple[Patch, Callable[[], None]]] = [
    (tags_unchecked, check_forged_frames),
    (receipts_unproven, check_receipts_of_twins),
    (custody_in_ram, gradual.test_custody_outlives_a_power_cut),
    (taken_from_anybody, gradual.test_a_relay_that_is_not_nearer_does_not_store_it),
    (takers_do_not_listen, gradual.test_one_taker_is_enough),
    (no_share, gradual.test_a_full_table_takes_nothing_and_loses_nothing),
    (waits_in_ram, gradual.test_what_waits_at_a_gateway_is_durable_before_it_is_acknowledged),
    (never_again, gradual.test_without_a_receipt_in_time_it_is_pushed_again),
    (any_push_is_safe, leafy.test_what_nobody_has_acknowledged_is_not_counted_as_pushed),
    (no_hand_over, leafy.test_a_receipt_that_came_while_a_leaf_slept_is_handed_over),
    (no_questions, flood.test_a_board_that_joins_late_gets_all_that_is_open),
    (no_differences, flood.test_a_partition_heals),
    (one_author_to_a_short_name, flood.test_short_names_that_collide_are_told_apart),
    (all_forward, check_forwards_are_suppressed),
    (flood_for_ever, check_modes_switch),
    (no_letters, flood.test_an_operation_too_long_for_a_frame_goes_as_a_letter),
    (leaf_always_awake, leafy.test_a_leaf_listens_only_in_its_windows),
    (receipts_stay_where_they_are, gradual.test_receipts_come_down_along_custody),
    (interests_unheard, downward.test_a_document_reaches_a_board_four_hops_away),
    (heard_is_hears, far.test_who_does_not_hear_us_well_is_no_way_however_well_it_is_heard),
    (nothing_shown, far.test_a_state_shows_how_well_others_are_heard),
    (farther_and_silent, onward.test_who_has_become_farther_says_that_it_may_come_back),
    (taken_over_any_link, onward.test_a_first_push_is_taken_from_those_alone_who_are_well_heard),
    (saved_without_crc, leafy.test_what_is_saved_survives_a_deep_sleep),
    (nothing_is_given_up, false.test_what_a_false_op_spoilt_comes_again),
    (nothing_is_given_up, false.test_a_relay_that_only_passes_on_is_no_hindrance),
    (nothing_is_given_up, false.test_a_session_brings_it_again_at_once),
    (given_up_at_once_again, false.test_who_goes_on_with_it_cannot_make_it_go_round),
    (a_short_check_will_do, false.test_the_short_check_is_not_trusted_twice),
    (
        receipts_are_passed_on_once,
        once_more.test_a_receipt_that_is_said_again_nearer_a_keeper_is_passed_on_again,
    ),
    (one_saying_of_a_receipt_will_do, once_more.test_receipts_of_those_who_fall_silent_come_within_minutes),
    (connects_at_once, check_a_visit_waits_for_its_turn),
    (what_a_leaf_has_is_everybodys, backlog.test_what_a_leaf_alone_may_have_is_nobody_elses_backlog),
    (left_to_any_two, turns.test_what_nobody_nearer_is_heard_to_have_is_said_once_more),
    (left_to_any_two, turns.test_a_receipt_that_nobody_farther_is_heard_to_have_is_said_once_more),
    (marks_are_believed, asleep.test_a_mark_that_is_another_frames_hides_no_operation),
    (goes_on_by_one, asleep.test_one_word_frees_a_leaf_of_all_that_it_has_to_push),
    (waits_for_its_receipt, asleep.test_a_leaf_says_more_often_that_its_receipt_is_late),
    (keepers_are_forgotten, asleep.test_the_names_of_keepers_outlive_a_sleep),
    (no_word_to_an_author, asleep.test_who_pushes_what_is_receipted_is_handed_the_receipt),
    (no_word_to_an_author, asleep.test_a_leaf_without_any_receipt_is_told_whose_word_it_is),
]
CHECKS = [
    check_forged_frames,
    check_receipts_of_twins,
    check_repairs_are_suppressed,
    check_forwards_are_suppressed,
    check_stamps_are_exact,
    check_modes_switch,
    check_a_visit_waits_for_its_turn,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_check_passes_on_the_real_code(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(("mutant", "check"), MUTANTS, ids=lambda part: part.__name__)
def test_the_mutant_is_caught(
    mutant: Patch, check: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        check()
