"""One side of handshakes in the MicroPython VM, driven by lines: side_in_vm.py PATH...

`begin ROLE PRIVATE CREDENTIAL KID OTHER_KID OTHER_CREDENTIAL OTHER_KEY C WHOLE`, `take MESSAGE`,
`export LABEL CONTEXT LENGTH`; bytes in hexadecimal. A line answers each: bytes, `-` for none, or `!CODE`.
"""

import sys

sys.path[:0] = sys.argv[1:]

from os import urandom  # noqa: E402

from crypto_kit import Known, Peers, drive  # noqa: E402

from hedgerow.crypto import edhoc  # noqa: E402
from hedgerow.crypto.ephemeral import Ephemerals  # noqa: E402
from hedgerow.crypto.handshake import Own  # noqa: E402
from hedgerow.crypto.initiator import Initiator  # noqa: E402
from hedgerow.crypto.port import P256  # noqa: E402
from hedgerow.crypto.responder import Responder  # noqa: E402

side: object = None


def begin(words: list) -> object:
    private, cred, kid, other_kid, other, key, c = [bytes.fromhex(word) for word in words[1:8]]
    own = Own(private, cred, kid, edhoc.KCCS)
    peers = Peers({kid: Known(cred, b""), other_kid: Known(other, key)})
    ephemerals = Ephemerals(P256(urandom))
    if words[0] == "initiator":
        return Initiator(ephemerals, own, peers, c, whole=words[8] == "True")
    return Responder(ephemerals, own, peers, c)


while True:
    line = sys.stdin.readline()
    if not line:
        break
    command, *words = line.split()
    if command == "export":
        context = bytes.fromhex(words[1]) if len(words) > 2 else b""
        print(side.export(int(words[0]), context, int(words[-1])).hex())
        continue
    if command == "begin":
        side = begin(words)
    else:
        side.receive(bytes.fromhex(words[0]))
    said = drive(side)
    print("!" + side.error.code if side.error else said.hex() or "-")
