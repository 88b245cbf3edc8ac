"""The charge of a day, and the governor that keeps within it (SPEC 6.17)."""

from kit import Random

from hedgerow.mesh.budget import DAY_MS, Budget, Profile

MAH = 3600000
HOUR = 3600000


def test_charges() -> None:
    profile = Profile()
    assert profile.charge(1000) == 25000
    assert profile.charge(1000, 500) == 25000 + 40000
    assert profile.charge(0, 0, 100_000, 2, 1000, 1) == 1000 + 700 + 7000 + 50000
    # Awake for a day: 600 mAh; listening half of it: 960 more.
    assert profile.charge(DAY_MS) == 600 * MAH
    assert profile.charge(0, DAY_MS // 2) == 960 * MAH


def _day(random: Random, budget: Budget, profile: Profile, start: int, kind: str) -> tuple:
    """Live a day as a greedy board does; return what it took by a count of its own, and the mean duty."""
    now = start
    flow = said = listened = 0
    while now < start + DAY_MS:
        wanted = 100 if kind == "greedy" else random.choice([0, 50, 100])
        if kind == "late" and now < start + DAY_MS * 3 // 4:
            wanted = 0
        duty = budget.duty(now, wanted)
        assert 0 <= duty <= wanted
        step = min(random.between(1, 60000), start + DAY_MS - now)
        for _ in range(random.choice([1, 5, 40])):
            events = random.between(1, 6)
            if budget.may_say(now, events):
                budget.said(events)
                said += events
        if random.chance(5) and budget.may_connect(now, 3000):
            budget.connected(3000)
            flow += 3000 * profile.connection_ua
        flow += step * (profile.base_ua + profile.scan_ua * duty // 100)
        listened += step * duty
        now += step
    return flow // 1000 + said * profile.event_uc, listened * 100 // DAY_MS, said


def test_a_day_ends_within_its_budget_whatever_is_asked() -> None:
    for seed, (mah, kind) in enumerate(
        [(650, "greedy"), (650, "late"), (900, "any"), (2000, "greedy"), (601, "any")]
    ):
        random = Random(seed)
        profile = Profile()
        budget = Budget(profile, mah, 1000)
        assert budget.possible
        for day in range(2):
            took, listened, said = _day(random, budget, profile, 1000 + day * DAY_MS, kind)
            assert took <= mah * MAH, (mah, kind, took / MAH)
            assert took >= (mah - 600) * 8 // 10 * MAH + 600 * MAH * 99 // 100, (mah, kind, took / MAH)
            assert said > 100
            assert listened > 100 or mah < 650


def test_a_rich_board_listens_as_it_wants() -> None:
    budget = Budget(Profile(), 5000, 0)
    assert [budget.duty(at * 60000, wanted) for at, wanted in enumerate((0, 7, 50, 100))] == [0, 7, 50, 100]
    assert budget.may_say(300_000, 6)


def test_being_awake_alone_may_be_too_much() -> None:
    budget = Budget(Profile(), 599, 0)
    assert not budget.possible
    assert budget.duty(0, 50) == 0 and not budget.may_say(0, 1) and not budget.may_connect(0, 1)
    assert Budget(Profile(), 599, 0, awake=900).possible


def test_nobody_spends_a_day_in_an_hour() -> None:
    budget = Budget(Profile(), 700, 0)
    said = 0
    while budget.may_say(0, 10):
        budget.said(10)
        said += 10
    assert said == 100 * MAH // 24 // 350 // 10 * 10
    assert budget.may_say(60_000, 10)


def test_listening_leaves_something_for_talk() -> None:
    random = Random(3)
    budget = Budget(Profile(), 700, 0)
    said = 0
    for minute in range(24 * 60):
        budget.duty(minute * 60000, 100)
        if budget.may_say(minute * 60000, 20 + random.below(3)):
            budget.said(20)
            said += 20
    assert said == 24 * 60 * 20


def test_a_leaf_that_sleeps() -> None:
    """Awake for 2 s of each minute; the count is kept over deep sleep, in which the clock begins anew."""
    profile = Profile()
    budget = Budget(profile, 60, 0, awake=34, wakes=1440)
    now = flow = wakes = said = 0
    duties = []
    for _ in range(24 * 60):
        duty = budget.duty(now, 100)
        duties.append(duty)
        if budget.may_say(now, 3):
            budget.said(3)
            said += 3
        now += 2000
        flow += 2000 * (profile.base_ua + profile.scan_ua * duty // 100)
        data = budget.save(now)
        assert len(data) == 12
        budget = Budget(profile, 60, 0, awake=34, wakes=1440)
        budget.restore(data, 0)
        budget.slept(58000, 58000)
        now = 58000
        flow += 58000 * profile.sleep_ua
        wakes += 1
    took = flow // 1000 + wakes * profile.wake_uc + said * profile.event_uc
    assert took <= 60 * MAH
    assert said == 3 * 24 * 60 and min(duties) > 3, (said, duties[::200], took / MAH)


def test_a_new_day_begins_with_nothing_spent() -> None:
    budget = Budget(Profile(), 700, 0)
    budget.said(100_000)
    assert budget.spent(0) == 35_000_000 and budget.duty(0, 50) > 0
    budget.said(10_000_000)
    assert budget.duty(DAY_MS - 1, 50) == 0 and not budget.may_say(DAY_MS - 1, 1)
    assert budget.spent(DAY_MS) == 0 and budget.may_say(DAY_MS, 1)
    assert budget.spent(3 * DAY_MS + 1000) == 25000


def test_what_is_paid_for_first() -> None:
    profile = Profile()
    for kind, most in (((1000, 0), 600), ((100, 0), 60), ((0, 1440), 20)):
        assert not Budget(profile, most, 0, *kind).possible
        assert Budget(profile, most + 1, 0, *kind).possible
    # Exactly: nothing is left.
    even = Profile(base_ua=25000, sleep_ua=25000)
    assert not Budget(even, 600, 0, 500).possible
    budget = Budget(profile, 700, 0)
    budget.slept(1000, 1000)
    assert budget.spent(1000) == 10 + 50000
    budget.connected(2000)
    assert budget.duty(1000, 300) < 100 == Budget(profile, 9000, 0).duty(0, 300)
    # 100 mAh but 1/8 over a day beside 600: 3.6 mA of 80.
    assert Budget(profile, 700, 0).duty(0, 100) == 4
    assert Budget(profile, 820, 0).duty(0, 100) == 10
