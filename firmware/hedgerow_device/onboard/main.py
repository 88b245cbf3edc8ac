import binascii
import os

import vfs
from machine import WDT


def rom_is_whole():
    # The last 8 bytes of its image are the CRC of those before; a power cut may have come in between.
    if not hasattr(vfs, "rom_ioctl") or vfs.rom_ioctl(1) < 1:
        return False
    rom = memoryview(vfs.rom_ioctl(2, 0))
    if bytes(rom[:3]) != b"\xd2\xcd\x31":
        return False
    size, at = 0, 3
    while rom[at] & 0x80 and at < 8:
        size = size << 7 | rom[at] & 0x7F
        at += 1
    end = at + 1 + (size << 7 | rom[at]) - 8
    return bytes(rom[end : end + 8]) == b"%08x" % binascii.crc32(rom[:end])


def files_are_whole():
    # Where no partition holds the image, its files lie in /lib, and this one went there last.
    try:
        os.stat("/lib/hedgerow/whole")
        return True
    except OSError:
        return False


# Before the program sets its own: what hangs while it is loaded ends as well.
WDT(timeout=30000)
try:
    if rom_is_whole() or files_are_whole():
        from hedgerow_device.app import main

        main()
    else:
        print("error FIRMWARE_INCOMPLETE")
finally:
    # It cannot be stopped, and a person at the REPL needs time.
    WDT(timeout=3600000)
