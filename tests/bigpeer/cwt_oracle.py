"""The `cwt` package judges our credentials, in a process of its own: it needs another cbor2 than we do."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(sys.prefix) / "cwt"

_PROGRAM = """
import json, sys
from cwt import COSE, COSEKey, decode
asked = json.load(sys.stdin)
key = COSEKey.from_pem(asked["pem"], kid=bytes.fromhex(asked["kid"]))
if asked["message"]:
    claims = decode(bytes.fromhex(asked["message"]), key)
    print(json.dumps({str(name): repr(value) for name, value in claims.items()}))
else:
    signer = COSE.new()
    headers = {"protected": {1: -7}, "unprotected": {4: bytes.fromhex(asked["kid"])}}
    print(json.dumps({"message": signer.encode(bytes.fromhex(asked["payload"]), key, **headers).hex()}))
"""


def ask(pem: str, kid: bytes, message: bytes = b"", payload: bytes = b"") -> dict[str, Any]:
    """Let `cwt` verify a message and read its claims, or sign a payload."""
    if not FOLDER.is_dir():
        pytest.skip("make installs the package cwt beside the others")
    asked = json.dumps({"pem": pem, "kid": kid.hex(), "message": message.hex(), "payload": payload.hex()})
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=asked,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
