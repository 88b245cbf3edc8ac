"""What mounting a full log reads after a power cut, wherever the newest sector is cut."""

from flash_log import Appends, Random
from flash_nor import SECTOR, Nor, apply

from hedgerow_device.flashlog import FlashLog

# Cuts within these sectors: more than a whole round of checkpoint slices.
SPAN = 16
RECEIPTS_A_LAP = 8


def full(size: int, sectors: int, authors: int) -> tuple:
    """Return a log that has been full for a quarter of a lap, and its random bodies."""
    run = Appends(sectors, authors, True)
    random = Random(authors)
    while run.log.ring.seq < sectors + sectors // 4:
        step(run, random, size)
    return run, random


def step(run: object, random: object, size: int) -> None:
    """Append one reading of any author, and now and then receipts of all."""
    run.append(run.names[random.below(len(run.names))], random.bytes(size))
    if run.count % (run.device.count * SECTOR // (size + 6) // RECEIPTS_A_LAP) == 0:
        run.receipts()


def mount(size: int, sectors: int, authors: int, cuts: int) -> dict:
    """Fill a log, then cut it at so many places and at every end of a sector on the way; returns `reads`."""
    run, random = full(size, sectors, authors)
    log = run.log
    device = run.device
    other = Nor(sectors)
    reads: list = []
    last = log.ring.seq + SPAN
    chance = 0x10000 * cuts // (SPAN * SECTOR // (size + 6))
    while log.ring.seq < last:
        before = bytes(device.cells)
        device.trace = []
        seq = log.ring.seq
        step(run, random, size)
        if log.ring.seq == seq and random.below(0x10000) >= chance:
            continue
        steps = device.trace
        whole = random.below(len(steps))
        other.cells[:] = before
        for i in range(whole):
            apply(other.cells, steps[i], len(steps[i][2] or b""))
        torn = steps[whole]
        if torn[2] is not None:
            apply(other.cells, torn, random.below(len(torn[2])))
        reads.append(_read(other))
    total = sum([log.held(name) for name in run.names])
    return {
        "reads": reads, "operations": total, "bytes": log.ring.count * log.ring.size,
        "sectors_in_use": log.ring.seq - log.ring.tail + 1, "clean": _closed(log, device, other),
    }  # fmt: skip


def _read(device: object) -> int:
    device.read = 0
    programmed = device.programmed
    FlashLog(device)
    if device.programmed != programmed:
        raise ValueError("mounting programs")
    return device.read


def _closed(log: object, device: object, other: object) -> int:
    log.close()
    other.cells[:] = device.cells
    return _read(other)
