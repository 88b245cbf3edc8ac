"""Inside an emulated board: its configuration, its flash, and the ways out to its supervisor.

`config` is the dict that the supervisor gave: "address" (the board's Bluetooth address as text),
"air" (path of the air's socket, or None), "chip", "raw" (the serial port is in the raw REPL), "image",
"frequency", "i2c" (sda, scl), "heap_info". `flash` is the whole flash chip; `control` the words of
control_layout.FIELDS. Both are memory shared with the host, outside the VM's heap.
"""

import json
import sys

import control_layout as _layout
import micropython
import uctypes

config = json.loads("".join(sys.argv[1:]))
flash = uctypes.bytearray_at(config["image_at"], config["image_bytes"])
control = uctypes.struct(
    config["control_at"], {name: uctypes.INT64 | (8 * i) for i, name in enumerate(_layout.FIELDS)}
)
wear = uctypes.struct(
    config["control_at"] + _layout.WEAR,
    (uctypes.ARRAY | 0, uctypes.UINT32 | (config["image_bytes"] // _layout.SECTOR)),
)
worn = uctypes.bytearray_at(
    config["control_at"] + _layout.worn_at(config["image_bytes"]), config["image_bytes"] // _layout.SECTOR
)
_events = open(f"/dev/fd/{config['events']}", "wb")


def shared(offset, length):
    """`length` bytes of the control page at `offset`, as a bytearray that is no copy."""
    return uctypes.bytearray_at(config["control_at"] + offset, length)


def event(line, data=b""):
    """Tell the supervisor: a line of text, and bytes that belong to it."""
    _events.write(line)
    if data:
        _events.write(data)


# Native code is never interrupted between two steps, so Ctrl-C cannot get out of here.
@micropython.native
def halt():
    """Wait for the supervisor to kill this VM; nothing returns from here."""
    while True:
        try:
            _sleep_ms(1000)
        except BaseException:
            pass


# Last, because `time` reads this module's configuration.
from time import sleep_ms as _sleep_ms  # noqa: E402
