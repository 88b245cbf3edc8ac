"""What somebody has who has read a board's flash, or a gateway's files: its keys, its credential, its log."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from hedgerow.crypto.credentials import Credential
from hedgerow_boards import flash
from hedgerow_boards.partition_table import Partition
from hedgerow_cli.demo.board_log import log_of
from hedgerow_device.flashlog import FlashLog
from hedgerow_gateway.enrolment import to_text

_SPACE = b"hedgerow"
_CHECK, _POINT, _CREDENTIAL_AT = 4, 33, 8


class FlashDump:
    """A copy of a board's flash, made while it runs, as a thief with a clip makes it."""

    def __init__(self, image: Path, copy: Path) -> None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(image.read_bytes())
        self._image = copy

    def partition(self, label: str) -> Partition:
        return next(entry for entry in flash.partitions(self._image) if entry.label == label)

    def read_flash(self, offset: int, length: int) -> bytes:
        return flash.read(self._image, offset, length)

    def log(self) -> FlashLog:
        """Return the log, which may be written to: that stays in memory."""
        board: Any = self
        return log_of(board)

    def secret(self, name: str) -> bytes:
        """Return a value of the chip's own store, the newest that is whole."""
        entry = self.partition("nvs")
        cells = self.read_flash(entry.offset, entry.size)
        marked, found, at = _SPACE + name.encode(), b"", -1
        while (at := cells.find(marked, at + 1)) >= 0:
            size = int.from_bytes(cells[at - 2 : at], "little")
            value = cells[at + len(marked) :][:size]
            if sha256(name.encode() + value[:-_CHECK]).digest()[:_CHECK] == value[-_CHECK:]:
                found = value[:-_CHECK]
        return found

    def identity(self, path: Path) -> Path:
        """Write the board's identity as a host keeps one, and return the file."""
        keys, issuers = self.secret("keys"), self.secret("issuers")
        credential = self.secret("credential")[_CREDENTIAL_AT:]
        claims = Credential(credential).claims
        kept = {
            "keys": {
                name: to_text(keys[first:end])
                for name, first, end in (("agreement", 0, 32), ("sealing", 32, 64), ("salt", 64, 80))
            },
            "app": claims.issuer,
            "number": claims.cti.hex(),
            "user_id": claims.subject,
            "expires": claims.expires,
            "credential": to_text(credential),
            "issuers": [to_text(issuers[at : at + _POINT]) for at in range(0, len(issuers), _POINT)],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept))
        return path
