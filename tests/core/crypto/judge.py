"""Say what the code of this VM thinks of cases: judge.py FILE PATH... prints a verdict for each.

A case is a line of the file: its kind and the hexadecimal of its parts, "-" for none.
"""

import sys


def verdict(p256: object, cipher: object, finish: object, kind: str, parts: list) -> str:
    """Return the result in hexadecimal or as "True" or "False", or the code with which it was refused."""
    from hedgerow.errors import HedgerowError

    try:
        if kind == "verify":
            return str(finish(p256.verify(*parts)))
        if kind == "agree":
            return finish(p256.agree(*parts)).hex()
        if kind == "sign":
            return finish(p256.sign(*parts)).hex()
        if kind == "public":
            return finish(p256.public_of(*parts)).hex()
        return (cipher.seal if kind == "seal" else cipher.unseal)(*parts).hex() or "-"
    except HedgerowError as error:
        return error.code


def parts_of(line: str) -> tuple:
    """Return (kind, parts) of a case."""
    words = line.split()
    return words[0], [b"" if word == "-" else bytes.fromhex(word) for word in words[1:]]


if __name__ == "__main__":
    sys.path[:0] = sys.argv[2:]
    from os import urandom

    from hedgerow.crypto import port

    with open(sys.argv[1]) as file:  # noqa: PTH123  (MicroPython has no pathlib)
        for line in file:
            kind, parts = parts_of(line)
            print(verdict(port.P256(urandom), port, port.finish, kind, parts))
