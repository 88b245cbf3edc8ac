"""Writes to a log for ever and says what is acknowledged; the test kills it. argv: the database."""

import sys

from gateway_kit import reading

from hedgerow_gateway import open_peer

with open_peer(sys.argv[1], name="killed") as peer:
    n = 0
    while True:
        n += 1
        number = peer.insert("readings", reading(n))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
