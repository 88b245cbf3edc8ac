"""The field of P-256 in native code: a machine that runs programs of additions and multiplications modulo p.

A number is 20 limbs of 13 bits in halfwords, the lowest first, in Montgomery form (x * 2^260 mod p for x).
Every register stays below 1.08 * 2^256, so one more p may be in it; `take` gives the one number below p.
All words stay below 2^31 (tests run this file with checked integers), no branch and no address depends on a
number.

The workspace: 40 words for products, 58 halfwords for quotients (19 zeros on each side), 6 bytes, registers.
Register 0 is p, 1 is 2^520 mod p, 2 is the number 1 not in Montgomery form.
"""

import sys

from .programs import REGISTERS, P

if sys.implementation.name != "micropython":
    # CPython reads this file for tests alone, which bring pointers of their own.
    class micropython:
        viper = staticmethod(lambda function: function)

    ptr8 = ptr16 = ptr32 = int

_FIRST = 280
_SIZE = 40


def make() -> bytearray:
    """Return a workspace."""
    work = bytearray(_FIRST + _SIZE * REGISTERS)
    for register, number in ((0, P), (1, (1 << 520) % P), (2, 1)):
        _put(work, register, number)
    return work


def _put(work: bytearray, register: int, number: int) -> None:
    at = _FIRST + _SIZE * register
    for place in range(at, at + _SIZE, 2):
        limb = number & 8191
        work[place] = limb & 255
        work[place + 1] = limb >> 8
        number >>= 13


def put(work: bytearray, register: int, number: int) -> None:
    """Set a register to a number of 0 .. p-1."""
    _put(work, register, number)
    run(work, bytes((2, register, register, 1)), 4)


def take(work: bytearray, register: int, scratch: int) -> int:
    """Return the number of a register, 0 .. p-1; `scratch` is a register that is overwritten."""
    run(work, bytes((2, scratch, register, 2)), 4)
    at = _FIRST + _SIZE * scratch
    number = shift = 0
    for place in range(at, at + _SIZE, 2):
        number |= (work[place] | work[place + 1] << 8) << shift
        shift += 13
    # A product with 1 is at most p, and p only for zero.
    return 0 if number == P else number


def copy(work: bytearray, to: int, source: int, count: int) -> None:
    """Copy `count` registers."""
    to = _FIRST + _SIZE * to
    source = _FIRST + _SIZE * source
    work[to : to + _SIZE * count] = work[source : source + _SIZE * count]


@micropython.viper
def pick(work: ptr16, to: int, table: int, digit: int):
    """Copy entry `digit` (0 .. 15) of a table of points into three registers, reading all of the table."""
    r = ptr16(int(work) + 280 + 40 * to)
    i = 0
    while i < 60:
        r[i] = 0
        i += 1
    k = 0
    while k < 16:
        a = ptr16(int(work) + 280 + 40 * (table + 3 * k))
        mask = ((k ^ digit) - 1) >> 5
        i = 0
        while i < 60:
            r[i] = int(r[i]) | (int(a[i]) & mask)
            i += 1
        k += 1


@micropython.viper
def run(t: ptr32, code: ptr8, size: int):
    """Run a program (see programs.py) of `size` bytes on the workspace `t`."""
    q = ptr16(int(t) + 160)
    p = ptr16(int(t) + 280)
    at = 0
    while at < size:
        op = int(code[at])
        r = ptr16(int(p) + 40 * int(code[at + 1]))
        a = ptr16(int(p) + 40 * int(code[at + 2]))
        b = ptr16(int(p) + 40 * int(code[at + 3]))
        at += 4
        if op < 2:
            # a + b or a - b + 2 p, less as many p as the top limbs show for sure.
            sign = 1 - 2 * op
            m = 2 * op - ((int(a[19]) + sign * int(b[19]) + 1021 * op) >> 9)
            c = 0
            i = 0
            while i < 20:
                c += int(a[i]) + sign * int(b[i]) + m * int(p[i])
                r[i] = c & 8191
                c >>= 13
                i += 1
        while op > 1:
            op -= 1
            i = 0
            while i < 39:
                t[i] = 0
                i += 1
            i = 0
            while i < 40:
                # Half a row: ten limbs.
                x = int(a[i >> 1])
                h = (i & 1) * 10
                u = ptr32(int(t) + 4 * ((i >> 1) + h))
                v = ptr16(int(b) + 2 * h)
                i += 1
                u[0] = int(u[0]) + x * int(v[0])
                u[1] = int(u[1]) + x * int(v[1])
                u[2] = int(u[2]) + x * int(v[2])
                u[3] = int(u[3]) + x * int(v[3])
                u[4] = int(u[4]) + x * int(v[4])
                u[5] = int(u[5]) + x * int(v[5])
                u[6] = int(u[6]) + x * int(v[6])
                u[7] = int(u[7]) + x * int(v[7])
                u[8] = int(u[8]) + x * int(v[8])
                u[9] = int(u[9]) + x * int(v[9])
            # -1 / p mod 2^13 is 1: each lowest limb is its own quotient, and p has few bits.
            c = 0
            i = 0
            while i < 39:
                c += int(t[i]) + (int(q[i + 12]) << 5) + (int(q[i + 5]) << 10)
                c += (int(q[i]) << 9) - (int(q[i + 2]) << 3)
                if i < 20:
                    q[i + 19] = c & 8191
                else:
                    r[i - 20] = c & 8191
                c >>= 13
                i += 1
            r[19] = c
