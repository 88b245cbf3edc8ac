"""Make or read a CWT with the package `cwt`, in its own process: it wants an older cbor2 than the project.

cwt_process.py read PUBLIC TOKEN, or write PRIVATE PUBLIC KID CLAIMS; the token and the claims (CBOR) in
hexadecimal, keys as 32 and 65 bytes. Prints the claims or the token.
"""

import sys

import cbor2
import cwt


def key(public: bytes, private: bytes | None, kid: bytes) -> cwt.COSEKey:
    parts = {1: 2, -1: 1, -2: public[1:33], -3: public[33:], 3: -7, 2: kid}
    if private is not None:
        parts[-4] = private
    return cwt.COSEKey.new(parts)


def main(command: str, *words: str) -> None:
    parts = [bytes.fromhex(word) for word in words]
    if command == "read":
        public, token = parts
        kid = cbor2.loads(token).value[1][4]
        found = cwt.decode(token, key(public, None, kid))
        print(cbor2.dumps(found).hex())
    else:
        private, public, kid, claims = parts
        print(cwt.encode(cbor2.loads(claims), key(public, private, kid)).hex())


if __name__ == "__main__":
    main(*sys.argv[1:])
