"""What the document index in RAM costs on a board."""

import subprocess

from micropython_vm import micropython
from test_budgets import SHARED

PROGRAM = """
import gc, sys
sys.path[:] = [{shared!r}]
from hedgerow.index import RamIndex
keys = [(n * 0x9E3779B1 ^ n << 7) & 0x3FFFFFFF for n in range({count})]
gc.collect()
start = gc.mem_alloc()
index = RamIndex()
for n in range(len(keys)):
    index.add(keys[n], b"author%02d" % (n & 63), n + 1)
gc.collect()
print(gc.mem_alloc() - start, max([len(index.get(key)) for key in keys]))
"""


def test_bytes_for_a_document() -> None:
    for count in (500, 700, 1000, 2000):
        program = PROGRAM.format(shared=str(SHARED), count=count)
        command = [micropython(), "-X", "heapsize=400k", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        heap, most = (int(word) for word in done.stdout.split())
        assert most == 1, "one operation under each key"
        # Everything in it is words and 8-byte names: a 32-bit VM takes half of what this VM takes.
        print(f"\ndocument index, {count} documents of 64 authors: {heap / count / 2:.1f} B each (32-bit VM)")
        assert heap / 2 <= 16 * count + 64 * 32
