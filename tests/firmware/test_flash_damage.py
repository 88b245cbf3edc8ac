"""What the flash log does with damage: flipped bits, weak cells, disturbed frames, worn sectors."""

import random

import pytest
from flash_cuts import Recording, View, Workload, check, go_on, seeded
from flash_damage import WornNor, Written, disturbed, flips, look, lost, sector_of, weak_images
from flash_oracle import Oracle

from hedgerow.errors import CODES, HedgerowError
from hedgerow_sim.nor import Nor

SMALL = {"count": 8, "size": 512, "laps": 1.5}


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording(0)


@pytest.mark.parametrize("bits", [range(4), range(4, 8)], ids=["low", "high"])
def test_a_flipped_bit_is_never_other_content_and_costs_no_more_than_its_sector(bits: range) -> None:
    leg = Recording(5, **SMALL)  # type: ignore[arg-type]
    index = len(leg.trace)
    cells = leg.cells_at(index)
    oracle = leg.oracle_at(index - 1)
    oracle.settle()
    written = Written(leg)
    whole = look(Nor(leg.count, leg.size, bytearray(cells)), oracle.copy())
    assert whole
    sectors = sector_of(whole[1], leg.size)
    for at, damaged in flips(cells, bits):
        nor = Nor(leg.count, leg.size, damaged)
        with seeded(at):
            seen = look(nor, oracle.copy())
        if seen is None:
            continue
        written.check(seen[1])
        gone = {sectors[dot] % leg.count for dot in lost(whole[1], seen[1])}
        assert gone <= {at // leg.size}, f"byte {at}: lost from sectors {gone}"
        # Whatever was lost, the log goes on.
        if at % 16 == 0 and seen[1].author == oracle.author:
            seen[0].put(4, b"after", b"damage")
            assert seen[0].get(4, b"after") == b"damage"


@pytest.mark.parametrize("seed", range(2))
def test_a_frame_that_a_cut_disturbs_is_lost_alone_or_with_its_sector(
    seed: int, recording: Recording
) -> None:
    written = Written(recording)
    rng = random.Random(seed)
    noticed = 0
    for index in rng.sample(range(recording.formatted, len(recording.trace)), 60):
        hit = disturbed(recording, index, recording.cells_at(index), f"{seed}/{index}")
        if not hit:
            continue
        cells, _ = hit
        oracle = recording.oracle_at(index)
        with seeded(index):
            seen = look(Nor(recording.count, recording.size, cells), oracle)
        if seen:
            written.check(seen[1])
            noticed += 1
    assert noticed > 20


@pytest.mark.parametrize("seed", range(2))
def test_cells_that_read_now_so_now_so_lose_nothing_acknowledged(seed: int, recording: Recording) -> None:
    rng = random.Random(seed)
    tried = 0
    for index in rng.sample(range(recording.formatted, len(recording.trace)), 120):
        nor = weak_images(recording, index, recording.cells_at(index), rng)
        if nor is None:
            continue
        oracle = recording.oracle_at(index)
        with seeded(index):
            log = oracle.open(nor)
            # The first thing written makes the cells firm or leaves them behind; then all is settled.
            pending, oracle.pending = oracle.pending, None
            log.put(4, b"after", b"the cut")
            for again in (log, oracle.open(nor), oracle.open(nor)):
                known = oracle.copy()
                known.pending = pending
                known.values[4, b"after"] = b"the cut"
                view = check(again, known, deep=False)
            assert view.author == recording.author
        tried += 1
    assert tried > 80


WORN = pytest.mark.skipif("LOG_WORN" not in CODES, reason="the log does not verify what it programs")


@WORN
@pytest.mark.parametrize("fault", ["program", "erase", "error"])
@pytest.mark.parametrize("worn", [(3,), (2, 7)], ids=str)
def test_worn_sectors_are_passed_over(fault: str, worn: tuple[int, ...]) -> None:
    nor = WornNor(12, 1024, {})
    oracle = Oracle()
    workload = Workload(7, oracle)
    log = oracle.open(nor)
    for number in range(500):
        if number == 120:
            nor.worn = dict.fromkeys(worn, fault)
        workload.act(log)
        if number % 50 == 49:
            log = oracle.open(nor)
            oracle.check(log)
    assert nor.erases > 2 * nor.count


@WORN
@pytest.mark.parametrize("fault", ["program", "erase", "error"])
def test_a_flash_that_is_worn_out_acknowledges_nothing_more(fault: str) -> None:
    nor = WornNor(12, 1024, {})
    oracle = Oracle()
    workload = Workload(7, oracle)
    log = oracle.open(nor)
    for _ in range(150):
        workload.act(log)
    nor.worn = dict.fromkeys(range(nor.count), fault)
    with pytest.raises(HedgerowError) as refused:
        for _ in range(300):
            workload.act(log)
            log = oracle.open(nor)
    assert refused.value.code == "LOG_WORN"
    check(oracle.open(nor), oracle)


def test_two_readings_of_one_image_are_the_same(recording: Recording) -> None:
    cells = recording.cells_at(200)
    views = [View(Oracle().open(Nor(recording.count, recording.size, bytearray(cells)))) for _ in range(2)]
    assert views[0].shown() == views[1].shown()
    go_on(recording, 200, cells, set(), "200", deep=True)
