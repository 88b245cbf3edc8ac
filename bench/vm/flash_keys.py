"""The document index on flash: what it programs for a document, and what a lookup reads."""

from flash_nor import LogNor

from hedgerow.codec.schema import KEEP, Schema
from hedgerow.documents import index_key
from hedgerow.log import ENTRY_OP, STATE_SCHEMA
from hedgerow.operation import INSERT, encode_body
from hedgerow_device.flashlog import FlashLog

PLANTS = Schema("plants", KEEP, (("height", None),))
NAME = "plant %d"
LOOKUPS = 400


def _body(number: int) -> bytes:
    change = [INSERT, PLANTS.name, NAME % number, [bytes(4)]]
    return encode_body(number.to_bytes(6, "big") + bytes(2), [change])


def index(documents: int, sectors: int, image: str) -> dict:
    """Enter so many documents with own ids, look some up after a mount, and write the ring to a file.

    `opened`, `hit` and `miss` are bytes read to open the index and for one lookup.
    """
    device = LogNor(sectors)
    log = FlashLog(device)
    log.put(STATE_SCHEMA, PLANTS.name, PLANTS.encoded)
    entered = log.index
    for number in range(documents):
        log.append(ENTRY_OP, log.author, number + 1, number + 1, _body(number))
        entered.add(index_key(PLANTS.collection, NAME % number), log.author, number + 1)
        entered.noted()
    log.close()
    with open(image, "wb") as file:
        file.write(device.cells)
    found = device.counters()
    log = FlashLog(device)
    before = device.read
    entered = log.index
    found["opened"] = device.read - before
    for name, pattern, wanted in (("hit", NAME, 1), ("miss", "none %d", 0)):
        before = device.read
        for at in range(LOOKUPS):
            dots = entered.get(index_key(PLANTS.collection, pattern % (at * documents // LOOKUPS)))
            if len(dots) != wanted:
                raise ValueError("%d operations under %s" % (len(dots), pattern % at))
        found[name] = (device.read - before) / LOOKUPS
    return found
