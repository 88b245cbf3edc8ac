"""A gateway in a process of its own, for tests that signal it. argv: data directory, uplink URL or -."""

import asyncio
import sys
from pathlib import Path

from gateway_kit import config

from hedgerow_gateway import run_gateway

uplink = None if sys.argv[2] == "-" else sys.argv[2]
asyncio.run(run_gateway(config(Path(sys.argv[1]), uplink=uplink, http=sys.argv[3])))
