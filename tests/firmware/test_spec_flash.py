"""The byte examples of the flash log's specification are what the code writes."""

from pathlib import Path

import pytest

from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG
from hedgerow_device import flashchange, flashsummary
from hedgerow_device import flashframes as frames
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import Header
from hedgerow_sim.nor import Nor

ROOT = Path(__file__).parents[2]
AUTHOR = b"author-a"


def summary() -> bytes:
    """The summary of a first sector with two operations of an author, a value."""
    log = FlashLog(Nor(8, 512))
    log.append(ENTRY_OP, AUTHOR, 1, 1, b"operation 1")
    log.put(STATE_CONFIG, b"epoch", b"\0\0\0\1")
    log.append(ENTRY_OP, AUTHOR, 2, 2, b"operation 2")
    end = log.ring.end
    flashsummary.close(log)
    return bytes(log.ring.read(1, end, log.ring.end - end))


EXAMPLES = {
    "header": Header((0, 3, 1, 1, 4071, 3801, 2, 1, AUTHOR)).encode(),
    "author": frames.author_frame(1, 0, AUTHOR, 0, 0),
    "operation": frames.entry_frame(1, 0, 0, ENTRY_OP, 1, 1, b"operation 1"),
    "seal": frames.entry_frame(1, 1, 0, ENTRY_SEAL, 1, 1, b"seal"),
    "skip": frames.entry_frame(1, 1, 0, ENTRY_SKIP, 2, 9, b"skip"),
    "value": frames.state_frame(1, bytes((STATE_CONFIG,)) + b"epoch", b"\0\0\0\1"),
    "filled": flashchange.filled_frame(1, 0, 7, b"operation 7"),
    "carried": flashchange.filled_frame(1, 0, 7, b"operation 7", carried=True),
    "seal beside": flashchange.note_frame(1, 0, ENTRY_SEAL, 3, 5, b"seal"),
    "skip beside": flashchange.note_frame(1, 0, ENTRY_SKIP, 3, 5, b"skip"),
    "summary": summary(),
    "clean": frames.control_frame(1, 9, b""),
    "dropped": flashchange.dropped_frame(1, AUTHOR, 3, 5, hides=True),
    "cut": flashchange.cut_frame(1, AUTHOR, 9, 8),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    pages = [path for path in ROOT.rglob("*.md") if "9 Flash log" in path.read_text(encoding="utf-8")]
    assert pages
    for page in pages:
        assert f"`{EXAMPLES[name].hex()}`" in page.read_text(encoding="utf-8"), page
