"""The clock of a leaf over its deep sleeps, and what is done about a silent radio; without a VM."""

import sys
import types
from collections.abc import Iterator

import pytest
from flash_full import device_peer

from hedgerow.clock.timemap import TimeMap
from hedgerow.log import ENTRY_OP
from hedgerow.operation import CLOCK, SOURCE_RELAYED, decode_body
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

PERIOD_MS = 60_000
UTC_MS = 850_000_000_000


class Chip:
    """The RTC of a board, whose sleeps last `rate` times as long as it believes; times in ms."""

    DEEPSLEEP_RESET = 4

    def __init__(self) -> None:
        self.kept = b""
        self.cause = 1
        self.rtc = 5_000.0
        self.real = float(UTC_MS)
        self.uptime = 0.0

    def RTC(self) -> "Chip":
        return self

    def memory(self, data: bytes | None = None) -> bytes:
        if data is not None:
            self.kept = bytes(data)
        return self.kept

    def reset_cause(self) -> int:
        return self.cause

    def run(self, ms: float) -> None:
        self.rtc += ms
        self.real += ms
        self.uptime += ms

    def sleep(self, ms: float, rate: float) -> None:
        self.rtc += ms
        self.real += ms * rate
        self.uptime = 0.0
        self.cause = self.DEEPSLEEP_RESET


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chip]:
    chip = Chip()
    monkeypatch.setitem(sys.modules, "machine", chip)  # type: ignore[arg-type]
    _forget_sleep()
    from hedgerow_device import sleep

    clock = types.SimpleNamespace(time_ns=lambda: int(chip.rtc) * 1_000_000)
    monkeypatch.setattr(sleep, "time", clock)
    yield chip
    _forget_sleep()


def _forget_sleep() -> None:
    """The module holds on to the `machine` that it was imported with."""
    sys.modules.pop("hedgerow_device.sleep", None)
    vars(sys.modules["hedgerow_device"]).pop("sleep", None)


class Leaf:
    """One wake after the other on one flash."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.cells = bytearray(b"\xff" * 4096 * 32)
        self.truth: dict[int, float] = {}
        self.wakes = 0

    def wake(self) -> None:
        from hedgerow_device.sleep import Sleeper

        log = FlashLog(Nor(32, 4096, self.cells))
        self.sleeper = Sleeper(PERIOD_MS)
        self.offset = self.sleeper.read(log) - self.chip.uptime
        self.sleeper.plan(self.now())
        self.peer = device_peer.DevicePeer(log, self.now, self.sleeper, name="leaf")
        self.wakes += self.sleeper.woken

    def now(self) -> int:
        return int(self.offset + self.chip.uptime)

    def record(self) -> None:
        number = self.peer.insert("readings", {"n": len(self.truth) + 1}, self.now())
        self.truth[number] = self.chip.real

    def night(self, rate: float) -> None:
        until = self.sleeper.plan(self.now())
        self.sleeper.keep(self.peer, self.now(), b"mesh")
        self.chip.sleep(until - self.now(), rate)

    def map(self) -> TimeMap:
        """What others make of its clock records."""
        found = TimeMap()
        log = self.peer.log
        self.stamps = {}
        self.records = 0
        for kind, number, _, body in log.read(log.author, 0, 0, 1 << 30):
            if kind == ENTRY_OP:
                stamp, changes = decode_body(body)[:2]
                self.stamps[number] = stamp
                if changes[0][0] == CLOCK:
                    self.records += 1
                    found.add(number, *changes[0][1:])
        return found


@pytest.mark.parametrize("rate", [0.992, 1.0, 1.008])
def test_every_time_lies_within_its_error_over_many_sleeps(chip: Chip, rate: float) -> None:
    leaf = Leaf(chip)
    for turn in range(60):
        leaf.wake()
        chip.run(300)
        leaf.record()
        if turn == 5 or (turn > 5 and leaf.peer.wants_time(leaf.now())):
            leaf.peer.set_time(int(chip.real), 20, SOURCE_RELAYED, leaf.now())
        chip.run(700)
        leaf.night(rate)
    times = leaf.map()
    for number, real in leaf.truth.items():
        found = times.resolve(number, leaf.stamps[number])
        assert found is not None
        utc, error = found
        assert abs(utc - real) <= error, (number, utc - real, error)
    # A record each wake would double what a leaf has to say.
    assert leaf.records <= 15
    assert leaf.wakes >= 50
    stamps = [leaf.stamps[number] for number in sorted(leaf.stamps)]
    assert stamps == sorted(set(stamps))


def test_the_mesh_gets_back_what_it_saved_and_the_grid_holds(chip: Chip) -> None:
    leaf = Leaf(chip)
    leaf.wake()
    first = leaf.now()
    for turn in range(1, 6):
        chip.run(1000 + 700 * turn)
        leaf.record()
        leaf.night(1.0)
        leaf.wake()
        assert leaf.sleeper.mesh_state == b"mesh"
        assert leaf.now() == first + turn * PERIOD_MS
    assert leaf.peer.epoch == 1


def test_a_tail_waits_for_its_seal_over_sleeps(chip: Chip) -> None:
    leaf = Leaf(chip)
    leaf.wake()
    leaf.record()
    due = leaf.peer.seal_due()
    leaf.night(1.0)
    leaf.wake()
    assert leaf.peer.seal_due() == due
    assert leaf.now() > due


def test_a_log_that_went_on_without_the_memory_boots(chip: Chip) -> None:
    leaf = Leaf(chip)
    leaf.wake()
    leaf.record()
    leaf.night(1.0)
    kept = chip.kept
    leaf.wake()
    leaf.record()
    leaf.night(1.0)
    # The memory is of the sleep before: so it is after a wake that a reset ended.
    chip.kept = kept
    leaf.wake()
    assert not leaf.sleeper.woken
    assert leaf.sleeper.mesh_state == b""
    assert leaf.peer.epoch == 2


class Ears:
    """A radio that counts what is done to it."""

    def __init__(self, heard: int) -> None:
        self.heard = heard
        self.scanning = True
        self.done: list[str] = []

    def stop_scan(self) -> None:
        self.done.append("rescan")

    def restart(self) -> None:
        self.done.append("restart")


class Gone(Exception):
    """What a reset is here."""


def mend(
    heard: int, silences: int, monkeypatch: pytest.MonkeyPatch, idle: bool = True
) -> tuple[Ears, FlashLog]:
    from hedgerow_device.recovery import Recovery

    ears = Ears(heard)

    def reset() -> None:
        raise Gone

    monkeypatch.setitem(sys.modules, "machine", types.SimpleNamespace(reset=reset))  # type: ignore[arg-type]
    log = FlashLog(Nor(8, 4096, bytearray(b"\xff" * 4096 * 8)))
    recovery = Recovery(types.SimpleNamespace(log=log))
    try:
        for _ in range(silences):
            recovery.mend(ears, idle)
    except Gone:
        ears.done.append("reset")
    return ears, log


def test_silence_is_mended_by_stages_and_a_reset_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow_device.recovery import resets

    ears, log = mend(7, 10, monkeypatch)
    assert ears.done == ["rescan", "rescan", "restart", "restart", "reset"]
    assert resets(log) == 1


def test_a_board_that_has_heard_nobody_tries_ever_more_seldom_and_is_not_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ears, _ = mend(0, 300, monkeypatch)
    assert "reset" not in ears.done
    assert 5 <= ears.done.count("restart") <= 12


def test_no_session_is_cut_by_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    ears, _ = mend(7, 20, monkeypatch, idle=False)
    assert ears.done == ["rescan"] * 20
