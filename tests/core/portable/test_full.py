"""A log that is full: who goes first, what is left of it, and that a keeper learns of all (SPEC 5.14)."""

from full_kit import Rig, check_all_named, documents, keeper, skips
from kit import raises
from sync_kit import sync

from hedgerow.codec.decimal import Decimal
from hedgerow.custody.skip import Skip
from hedgerow.trust.lost import make_lost

# Logs in memory forget nothing that was ever written.
HEAP = "24m"


def test_refuse_is_the_default_and_says_so() -> None:
    rig = Rig()
    rig.record(800)
    assert rig.refused > 100 and len(rig.written) > 200
    error = raises("LOG_FULL", rig.peer.insert, "readings", {"n": 1}, rig.now)
    assert "bytes" in error.detail
    assert rig.peer.storage()["refused"] == rig.refused + 1
    top = keeper()
    sync(rig.peer, top, rig.now)
    assert check_all_named(rig, top, ()) == {}
    # Receipts have made room.
    before = len(rig.written)
    rig.record(50)
    assert len(rig.written) == before + 50


def test_the_oldest_go_and_are_named() -> None:
    rig = Rig({"readings": "oldest"})
    rig.record(2500)
    assert not rig.refused
    lost = rig.peer.account["lost"]
    assert lost > 1000
    assert len(skips(rig.peer)) <= 2, "neighbours are one skip"
    top = keeper()
    sync(rig.peer, top, rig.now)
    assert check_all_named(rig, top, ("dropped",)) == {"dropped": lost}
    assert (
        top.log.held(rig.peer.author) == top.receipted(rig.peer.author) == rig.peer.log.held(rig.peer.author)
    )
    assert [row["summary"] for row in top.losses(rig.peer.author)] == [None] * len(
        top.losses(rig.peer.author)
    )
    assert rig.peer.storage()["open"] == 0


def test_readings_are_thinned_and_the_counts_add_up() -> None:
    rig = Rig({"readings": "thin"})
    rig.record(2500)
    assert not rig.refused
    top = keeper()
    sync(rig.peer, top, rig.now)
    author = rig.peer.author
    thinned = check_all_named(rig, top, ("thinned",))["thinned"]
    assert thinned > 1000
    count = total = 0
    low, high = [], []
    held = documents(top, author)
    for rows in held.values():
        for row in rows:
            if "_count" in row:
                assert row["collection"] == "readings" and row["board"] == "b1"
                assert row["value_min"].exponent == row["value_mean"].exponent == -1
                assert row["value_min"].mantissa <= row["value_mean"].mantissa <= row["value_max"].mantissa
                assert row["_from"] <= row["_to"]
                count += row["_count"]
                total += row["value_mean"].mantissa * row["_count"]
                low.append(row["value_min"].mantissa)
                high.append(row["value_max"].mantissa)
    assert count == thinned
    values = [rig.written[n][1] for n in rig.written if n not in held]
    assert (min(low), max(high)) == (min(values), max(values))
    assert abs(total - sum(values)) <= 2 * count
    # Each lost range leads to operations that are here, or are named themselves.
    lost = top.losses(author)
    for row in lost:
        first, last = row["summary"]
        assert last > row["last"] and first <= last
        assert [1 for other in lost if other["first"] <= last <= other["last"]] or top.log.fetch(author, last)
    assert top.receipted(author) == rig.peer.log.held(author)


def test_other_collections_stay_and_what_must_not_go_is_refused() -> None:
    rig = Rig({"readings": "oldest", "alarms": "refuse"})
    for _ in range(60):
        rig.record(20)
        rig.record(1, "alarms")
    assert not rig.refused
    top = keeper()
    sync(rig.peer, top, rig.now)
    counts = check_all_named(rig, top, ("dropped",))
    held = documents(top, rig.peer.author)
    for number in rig.written:
        assert number in held or rig.written[number][0] == "readings"
    assert counts["dropped"] > 300
    rig = Rig({"readings": "oldest"})
    rig.record(800, "alarms")
    assert rig.refused > 100 and not rig.peer.account["lost"]


def test_thinned_and_dropped_collections_beside_each_other() -> None:
    rig = Rig({"readings": "thin", "alarms": "oldest"})
    for _ in range(40):
        rig.record(30)
        rig.record(30, "alarms")
    assert not rig.refused
    top = keeper()
    sync(rig.peer, top, rig.now)
    assert sum(check_all_named(rig, top, ("thinned", "dropped")).values()) > 800


def test_a_board_that_boots_for_each_reading() -> None:
    for policy, reason in (("oldest", "dropped"), ("thin", "thinned")):
        rig = Rig({"readings": policy})
        for _ in range(700):
            rig.record(1)
            rig.open()
        assert not rig.refused
        assert len(skips(rig.peer)) <= 3
        top = keeper()
        sync(rig.peer, top, rig.now)
        assert check_all_named(rig, top, (reason,))[reason] > 250
        # What is left still has its boot.
        times = [top.down.time_of(rig.peer.author, n, b"\0" * 8) for n in (1,)]
        assert times == [None]


def test_the_clock_record_that_readings_need_stays() -> None:
    from hedgerow.clock import hlc
    from hedgerow.operation import SOURCE_GATEWAY, decode_body

    for policy in ("oldest", "thin"):
        rig = Rig({"readings": policy})
        rig.record(100)
        rig.peer.set_time(900000000000, 50, SOURCE_GATEWAY, rig.now)
        at, newest = rig.now, 0
        rig.record(1500)
        top = keeper()
        sync(rig.peer, top, rig.now)
        author = rig.peer.author
        newest = max(rig.written)
        stamp = decode_body(top.log.fetch(author, newest))[0]
        utc, error = top.down.time_of(author, newest, stamp)
        assert abs(utc - (900000000000 + rig.now - at)) <= error
        assert hlc.stamp_ms(stamp) == utc


def test_a_thinned_log_is_thinned_again_and_again() -> None:
    rig = Rig({"readings": "thin"}, capacity=16000)
    rig.record(6000)
    assert not rig.refused and len(skips(rig.peer)) <= 8
    top = keeper()
    sync(rig.peer, top, rig.now)
    thinned = check_all_named(rig, top, ("thinned",))["thinned"]
    held = documents(top, rig.peer.author)
    assert sum([row.get("_count", 0) for rows in held.values() for row in rows]) == thinned


def test_summaries_of_several_forms_of_readings() -> None:
    rig = Rig({"readings": "thin"})
    for at in range(600):
        rig.record(1, extra=at) if at % 2 else rig.record(1, value=Decimal(at, -2))
        rig.record(1, sensor="s%d" % (at % 3), level=at * 0.5)
    assert not rig.refused
    held = documents(rig.peer, rig.peer.author)
    rows = [row for rows in held.values() for row in rows if "_count" in row]
    assert rows and sum([row["_count"] for row in rows]) == len([n for n in rig.written if n not in held])
    for row in rows:
        assert row["value_mean"].exponent in (-1, -2)
        if "extra_mean" in row:
            assert row.get("extra_count", row["_count"]) <= row["_count"] and isinstance(
                row["extra_max"], int
            )
        if "level_max" in row:
            assert row["level_min"] <= row["level_mean"] <= row["level_max"]


def test_a_statement_with_ids_of_its_own_keeps_its_number() -> None:
    rig = Rig({"readings": "thin"})
    peer = rig.peer
    while peer.storage()["free"] > 8192 + 300:
        rig.record(1)
    lost = 0
    for at in range(40):
        rig.now += 1000
        result = peer.execute("INSERT INTO readings DOCUMENTS ({'value': 1, 'n': :n})", n=at)
        [[author, number]] = result.mutated
        assert author == peer.author and peer.log.fetch(author, number) is not None
        assert peer.execute("SELECT n FROM readings WHERE _id = :i", i=[author, number]).rows == [{"n": at}]
        lost = max(lost, peer.account["lost"])
    assert lost > 100


def test_observers_see_what_went() -> None:
    rig = Rig({"readings": "oldest"})
    rig.record(5)
    seen: list = []
    rig.peer.observe("SELECT n FROM readings WHERE n < 5", lambda changes: seen.append(len(changes.rows)))
    rig.record(900)
    rig.peer.dispatch()
    assert seen[0] == 5 and seen[-1] == 0


def test_a_policy_that_there_is_not() -> None:
    raises("SETTING_INVALID", Rig, {"readings": "newest"})


# ---- power cuts


def _cut_at(rig: Rig, commits: int) -> None:
    """Let the log lose power after so many more commits, while it makes room."""
    log = rig.peer.log
    left = [commits]
    real = log.commit

    def commit() -> None:
        if left[0] <= 0:
            raise OSError("power")
        left[0] -= 1
        real()

    log.commit = commit


def test_a_power_cut_between_summary_and_skip_counts_nothing_twice() -> None:
    for commits in range(6):
        rig = Rig({"readings": "thin"})
        while not rig.peer.account["lost"]:
            rig.record(1)
        # To the next time that room is made, and into it.
        lost = rig.peer.account["lost"]
        marks = len(rig.store.entries)
        copy = Rig({"readings": "thin"})
        copy.store, copy.written, copy.now = rig.store, dict(rig.written), rig.now
        copy.open()
        while True:
            room = copy.peer.storage()["free"]
            if room < 8192 + 60:
                break
            copy.record(1)
        _cut_at(copy, commits)
        try:
            for _ in range(4):
                copy.record(1)
        except OSError:
            pass
        copy.open()
        top = keeper()
        sync(copy.peer, top, copy.now)
        held = documents(top, copy.peer.author)
        gone = [number for number in copy.written if number not in held]
        count = sum([row.get("_count", 0) for rows in held.values() for row in rows])
        assert count == len(gone), (commits, count, len(gone))
        check_all_named(copy, top, ("thinned",))
        assert lost and marks


# ---- what others make of it


def test_a_keeper_checks_whose_word_a_lost_range_is() -> None:
    rig = Rig({"readings": "oldest"})
    rig.record(900)
    author = rig.peer.author
    [(first, last)] = skips(rig.peer)[-1:]
    body = [e[3] for e in rig.peer.log.read(author, first - 1, 1 << 30, 1)][0]
    for at in range(len(body) - 40, len(body) - 32):
        wrong = bytearray(body)
        wrong[at] ^= 1
        top = keeper()
        raises("SKIP_INVALID", top.ingest_skip, author, bytes(wrong))
    raises("SKIP_INVALID", keeper().ingest_skip, b"author-b", body)
    skip = Skip.decode(body)
    other = make_lost(author, 1, last, 0, skip.detail[1], None, bytes(15) + b"\1")
    raises("SKIP_INVALID", keeper().ingest_skip, author, other)


def test_a_relay_brings_lost_ranges_and_survivors_fill_them() -> None:
    rig = Rig({"readings": "thin"})
    relay = Rig(None, capacity=0)
    rig.record(300)
    sync(rig.peer, relay.peer, rig.now)
    rig.record(2000)
    top = keeper()
    sync(rig.peer, top, rig.now)
    author = rig.peer.author
    lost = top.losses(author)
    assert lost[0]["first"] <= 100 and top.receipted(author) == rig.peer.log.held(author)
    sync(relay.peer, top, rig.now)
    sync(relay.peer, top, rig.now)
    held = documents(top, author)
    survivors = [number for number in rig.written if number <= relay.peer.log.held(author)]
    assert len(survivors) >= 290 and not [number for number in survivors if number not in held]


def test_a_relay_brings_lost_ranges() -> None:
    for policy, reason in (("oldest", "dropped"), ("thin", "thinned")):
        rig = Rig({"readings": policy})
        relay = Rig(None, capacity=0)
        rig.record(1000)
        sync(rig.peer, relay.peer, rig.now)
        # What the relay has not seen yet goes as well.
        rig.record(2000)
        sync(rig.peer, relay.peer, rig.now)
        top = keeper()
        sync(relay.peer, top, rig.now)
        assert check_all_named(rig, top, (reason,))[reason] > 1000
        assert top.receipted(rig.peer.author) == rig.peer.log.held(rig.peer.author)


def test_what_a_keeper_holds_beyond_its_seals_stands_in_no_way() -> None:
    for policy in ("oldest", "thin"):
        for cut in range(0, 9000, 1811):
            rig = Rig({"readings": policy})
            rig.record(200)
            top = keeper()
            from sync_kit import converse

            converse(rig.peer, top, rig.now, cut={0: cut})
            # The receipts did not come back.
            rig.store.state = {key: value for key, value in rig.store.state.items() if key[0] != 1}
            rig.open()
            rig.record(1500)
            sync(rig.peer, top, rig.now)
            check_all_named(rig, top, ("dropped", "thinned"))
            assert top.receipted(rig.peer.author) == rig.peer.log.held(rig.peer.author), cut


# ---- others' operations


def test_others_make_room_before_own_ones_the_largest_excess_first() -> None:
    rig = Rig({"readings": "oldest"})
    small, large = Rig(capacity=0), Rig(capacity=0)
    small.record(60)
    large.record(280)
    for other in (small, large):
        sync(other.peer, rig.peer, rig.now)
    assert rig.peer.log.held(large.peer.author) == large.peer.log.held(large.peer.author)
    rig.record(200)
    held = rig.peer.log.held(large.peer.author)
    assert rig.peer.account["dropped"] > 0 and not rig.peer.account["lost"]
    assert 32 <= held < 200 and rig.peer.log.held(small.peer.author) == small.peer.log.held(small.peer.author)
    entry = [entry for entry in rig.peer.vector() if entry[0] == large.peer.author]
    assert entry[0][1] == held and rig.peer.log.missing(large.peer.author) == []
    # While there is no room it does not come again; when there is, it does.
    sync(large.peer, rig.peer, rig.now)
    assert rig.peer.log.held(large.peer.author) == held
    rig.record(600)
    assert rig.peer.account["lost"] > 0
    top = keeper()
    sync(rig.peer, top, rig.now)
    sync(large.peer, rig.peer, rig.now)
    assert rig.peer.log.held(large.peer.author) == large.peer.log.held(large.peer.author)
    sync(rig.peer, top, rig.now)
    assert top.receipted(large.peer.author) == large.peer.log.held(large.peer.author)
    check_all_named(large, top, ())
