"""A Big Peer for benchmarks: `python -m bench.bigpeer_server FOLDER [STORE]` prints its port, and serves.

It takes more sessions and streams at a time than one does in the field.
"""

import sys
from pathlib import Path

from hedgerow_bigpeer import BigPeerConfig, limits, run_bigpeer

MANY = 2048


def main(folder: str, store: str = "") -> None:
    """Serve until it is killed."""
    limits.LIVE_QUERIES = limits.STREAMS_PER_CALLER = limits.CONNECTIONS = MANY
    config = BigPeerConfig(
        data=Path(folder), port=0, store=store, requests_per_second=0, sockets_per_address=MANY
    )
    run_bigpeer(config, lambda url: print(url.rpartition(":")[2], flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
