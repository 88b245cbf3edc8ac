"""Brings an emulated board up: the shims, the file system on flash, boot.py, main.py.

The order is the one of the ESP32 port: mount (format a blank flash), boot.py always, main.py only
if boot.py ended well and the serial port is not in the raw REPL.
"""

import gc
import sys


def start(names):
    """Turn this VM into a board; `names` becomes the globals of boot.py and main.py."""
    names.pop("start")
    _import_shims()
    import emulator

    gc.collect()
    if emulator.config.get("measure"):
        emulator.event(f"heap {gc.mem_alloc()}\n")
        sys.exit(0)
    _mount()
    gc.collect()
    emulator.event(f"mounted {gc.mem_alloc()}\n")
    if _run("boot.py", names) and not emulator.config["raw"]:
        _run("main.py", names)


def _import_shims():
    home = sys.path[0]
    # asyncio's queue reads the VM's own clock in C, so its Python half must see the same clock and
    # not the board's, which wraps at 2**30.
    sys.path[:] = [".frozen"]
    import asyncio.core  # noqa: F401

    sys.path[:] = [home, ".frozen"]
    import emulator
    import esp32  # noqa: F401
    import machine
    import romfs
    import time

    sys.modules["vfs"] = romfs
    sys.modules["utime"] = time
    sys.modules["umachine"] = machine
    if emulator.config["air"]:
        try:
            import bluetooth  # noqa: F401
        except ImportError:
            pass
    del sys.modules["bringup"]
    sys.argv.clear()


def _mount():
    import os
    import vfs
    from esp32 import Partition

    vfs.umount("/")
    found = Partition.find(Partition.TYPE_DATA, label="vfs")
    if not found:
        print("no partition named vfs: the board has no file system")
        return
    flash = found[0]
    try:
        vfs.mount(flash, "/")  # whatever file system it holds: FAT or littlefs
    except OSError:
        if not _blank(flash):
            _corrupted()
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/")
        with open("boot.py", "w") as file:
            file.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")
    os.chdir("/")
    sys.path[:] = ["", ".frozen"] + vfs.mount_rom() + ["/lib"]


def _blank(flash):
    sector = bytearray(4096)
    flash.readblocks(0, sector)
    return sector == b"\xff" * 4096


def _corrupted():
    import emulator
    import time

    emulator.event("mounted 0\n")
    while True:
        print("The file system is damaged. Erase it: its partition, or the whole flash, with esptool.")
        time.sleep(3)


def _run(name, names):
    """Run a script from flash; True if it ended well or is not there."""
    import os

    try:
        os.stat(name)
    except OSError:
        return True
    try:
        execfile(name, names)  # noqa: F821
        return True
    except SystemExit:
        raise
    except BaseException as error:
        sys.print_exception(error)
        return False
