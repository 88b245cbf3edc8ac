"""The programs of hedgerow.crypto.programs as they are written on paper, and what makes bytes of them.

ADD and DOUBLE are algorithms 4 and 6 of Renes, Costello and Batina, "Complete addition formulas for prime
order elliptic curves" (2016), for a = -3: no point is an exception, also not infinity (0 : 1 : 0). The powers
go by additions of exponents: INVERT to p - 2, ROOT to (p + 1) / 4.
"""

REGISTERS = {
    "p": 0,
    "r2": 1,
    "one": 2,
    "b": 3,
    "unit": 4,
    "X1": 5,
    "Y1": 6,
    "Z1": 7,
    "X2": 8,
    "Y2": 9,
    "Z2": 10,
}
REGISTERS.update({f"t{at}": 11 + at for at in range(8)})

ADD = """
t0 = X1 * X2; t1 = Y1 * Y2; t2 = Z1 * Z2; t3 = X1 + Y1; t4 = X2 + Y2; t3 = t3 * t4
t4 = t0 + t1; t3 = t3 - t4; t4 = Y1 + Z1; t5 = Y2 + Z2; t4 = t4 * t5; t5 = t1 + t2
t4 = t4 - t5; t5 = X1 + Z1; t6 = X2 + Z2; t5 = t5 * t6; t6 = t0 + t2; t6 = t5 - t6
t7 = b * t2; t5 = t6 - t7; t7 = t5 + t5; t5 = t5 + t7; t7 = t1 - t5; t5 = t1 + t5
t6 = b * t6; t1 = t2 + t2; t2 = t1 + t2; t6 = t6 - t2; t6 = t6 - t0; t1 = t6 + t6
t6 = t1 + t6; t1 = t0 + t0; t0 = t1 + t0; t0 = t0 - t2; t1 = t4 * t6; t2 = t0 * t6
t6 = t5 * t7; Y1 = t6 + t2; t5 = t3 * t5; X1 = t5 - t1; t7 = t4 * t7; t1 = t3 * t0
Z1 = t7 + t1
"""

DOUBLE = """
t0 = X1 * X1; t1 = Y1 * Y1; t2 = Z1 * Z1; t3 = X1 * Y1; t3 = t3 + t3; t7 = X1 * Z1
t7 = t7 + t7; t6 = b * t2; t6 = t6 - t7; t5 = t6 + t6; t6 = t5 + t6; t5 = t1 - t6
t6 = t1 + t6; t6 = t5 * t6; t5 = t5 * t3; t3 = t2 + t2; t2 = t2 + t3; t7 = b * t7
t7 = t7 - t2; t7 = t7 - t0; t3 = t7 + t7; t7 = t7 + t3; t3 = t0 + t0; t0 = t3 + t0
t0 = t0 - t2; t0 = t0 * t7; t4 = Y1 * Z1; Y1 = t6 + t0; t4 = t4 + t4; t7 = t4 * t7
X1 = t5 - t7; t4 = t4 * t1; t4 = t4 + t4; Z1 = t4 + t4
"""

# Point 1 with Z to its affine coordinates; infinity to (0, 0).
INVERT = """
t0 = Z1 << 1; t0 = t0 * Z1; t0 = t0 << 1; t1 = t0 * Z1; t0 = t1 << 3; t0 = t0 * t1
t2 = t0 << 6; t0 = t2 * t0; t0 = t0 << 3; t1 = t0 * t1; t0 = t1 << 1; t0 = t0 * Z1
t2 = t0 << 16; t0 = t2 * t0; t0 = t0 << 15; t1 = t1 * t0; t0 = t0 << 17; t0 = t0 * Z1
t0 = t0 << 143; t0 = t0 * t1; t0 = t0 << 47; t0 = t1 * t0; t0 = t0 << 2; t0 = t0 * Z1
X1 = X1 * t0; Y1 = Y1 * t0
"""

# The y^2 that belongs to X1, in t0.
CURVE = "t0 = X1 * X1; t0 = t0 * X1; t1 = X1 + X1; t1 = t1 + X1; t0 = t0 - t1; t0 = t0 + b"

# The root of t0, if it has one, in Y1.
ROOT = """
t1 = t0 << 1; t1 = t1 * t0; t2 = t1 << 2; t1 = t2 * t1; t2 = t1 << 4; t1 = t2 * t1
t2 = t1 << 8; t1 = t2 * t1; t2 = t1 << 16; t1 = t2 * t1; t1 = t1 << 32; t1 = t1 * t0
t1 = t1 << 96; t1 = t1 * t0; Y1 = t1 << 94
"""


def assemble(text: str) -> bytes:
    """Return the bytes of a program."""
    out = bytearray()
    for line in text.replace("\n", ";").split(";"):
        words = line.split()
        if not words:
            continue
        to, _, one, operation, two = words
        if operation == "<<":
            # Squares: the first from another register, the rest in place.
            left, source = int(two), REGISTERS[one]
            if to != one:
                out += bytes((2, REGISTERS[to], source, source))
                left -= 1
            if left:
                out += bytes((left + 1,) + (REGISTERS[to],) * 3)
        else:
            out += bytes(("+-*".index(operation), REGISTERS[to], REGISTERS[one], REGISTERS[two]))
    return bytes(out)


if __name__ == "__main__":
    for name in ("ADD", "DOUBLE", "INVERT", "CURVE", "ROOT"):
        program = assemble(globals()[name])
        print(f"{name} = (")
        for at in range(0, len(program), 24):
            print('    b"' + "".join(f"\\x{byte:02x}" for byte in program[at : at + 24]) + '"')
        print(")")
