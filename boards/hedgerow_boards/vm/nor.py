"""NOR flash cells: programming clears bits, and only erasing a sector sets them.

Native code, because Ctrl-C must not come between two bytes: on a board this is C.
"""

import micropython

# ruff: noqa: F821 - ptr8 is a type of the viper emitter


@micropython.viper
def unclear(cells: ptr8, at: int, data: ptr8, length: int) -> int:
    """Index of the first byte of `data` that would set a cleared bit; -1 if there is none."""
    for i in range(length):
        if data[i] & (cells[at + i] ^ 0xFF):
            return i
    return -1


@micropython.viper
def clear(cells: ptr8, at: int, data: ptr8, length: int):
    """Program: clear the bits that are 0 in `data`."""
    for i in range(length):
        cells[at + i] = cells[at + i] & data[i]


@micropython.viper
def cipher(buf: ptr8, at: int, length: int):
    """To and from what an encrypted partition holds: noise that depends on the place in the flash."""
    for i in range(length):
        x = (at + i) * 40503 & 0xFFFFFF
        x = (x ^ (x >> 11)) * 29537 & 0xFFFFFF
        buf[i] = buf[i] ^ ((x >> 9) & 0xFF)
