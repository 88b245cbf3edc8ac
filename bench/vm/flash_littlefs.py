"""littlefs of the same VM on the same flash: a file that is flushed, its mount, and its time beside ours."""

import gc
import time

import vfs
from flash_log import SPARE, Random
from flash_nor import Nor

from hedgerow.log import ENTRY_OP
from hedgerow_device.flashlog import FlashLog

READ = PROGRAM = LOOKAHEAD = 32
NAME = "log"
# Records that are flushed one by one, as all are in the field, before a mount is measured.
LATEST = 64


def _mounted(device: object) -> object:
    return vfs.VfsLfs2(device, readsize=READ, progsize=PROGRAM, lookahead=LOOKAHEAD)


def _formatted(device: object) -> object:
    vfs.VfsLfs2.mkfs(device, readsize=READ, progsize=PROGRAM, lookahead=LOOKAHEAD)
    return _mounted(device)


def appends(size: int, count: int, sectors: int) -> dict:
    """So many records of `size` bytes appended to a file, each flushed."""
    device = Nor(sectors)
    files = _formatted(device)
    random = Random(size)
    body = random.bytes(size)
    found = device.counters()
    most = most_erases = most_read = 0
    with files.open(NAME, "ab") as file:
        for _ in range(count):
            before = (device.programmed, device.erases, device.read)
            file.write(body)
            file.flush()
            most = max(most, device.programmed - before[0])
            most_erases = max(most_erases, device.erases - before[1])
            most_read = max(most_read, device.read - before[2])
    after = device.counters()
    after["programmed"] -= found["programmed"]
    after["erases"] -= found["erases"]
    after["payload"] = size * count
    after["most_programmed"] = most
    after["most_erases"] = most_erases
    after["most_read"] = most_read
    return after


def mount(size: int, count: int, sectors: int) -> dict:
    """Bytes read to mount a file of so many records, to open it, and to read it through."""
    device = Nor(sectors)
    files = _formatted(device)
    with files.open(NAME, "wb") as file:
        body = Random(size).bytes(size)
        for _ in range((count - LATEST) // 16):
            file.write(body * 16)
    with files.open(NAME, "ab") as file:
        for _ in range(LATEST):
            file.write(body)
            file.flush()
    del files
    device.read = 0
    files = _mounted(device)
    found = {"mount": device.read}
    with files.open(NAME, "ab"):
        found["open"] = device.read - found["mount"]
    before = device.read
    with files.open(NAME, "rb") as file:
        while file.read(512):
            pass
    found["through"] = device.read - before
    return found


def paired(size: int, ours: int, theirs: int, rounds: int, sectors: int) -> dict:
    """Microseconds of `ours` appends to our log and of `theirs` to a file, in turns, in one process.

    No collection of garbage falls into either.
    """
    flash = Nor(sectors)
    log = FlashLog(flash)
    log.spare = SPARE
    device = Nor(sectors)
    files = _formatted(device)
    body = Random(size).bytes(size)
    times: list = []
    with files.open(NAME, "ab") as file:
        for _ in range(rounds):
            gc.enable()
            gc.collect()
            gc.disable()
            number = log.held(log.author)
            began = time.ticks_us()
            for i in range(number + 1, number + ours + 1):
                log.append(ENTRY_OP, log.author, i, i, body)
                log.commit()
            middle = time.ticks_us()
            for _ in range(theirs):
                file.write(body)
                file.flush()
            ended = time.ticks_us()
            times.append((time.ticks_diff(middle, began), time.ticks_diff(ended, middle)))
            while log.prepare():
                pass
    gc.enable()
    return {"times": times, "ours": flash.counters(), "littlefs": device.counters()}
