"""Files with secrets: for their owner only, and whole or as they were before."""

import os
from pathlib import Path

from hedgerow.errors import HedgerowError


def replace_file(path: Path, text: str) -> int:
    """Write a file in the place of the one before in one step; return its time (ns). Raises IDENTITY_FILE."""
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path.stat().st_mtime_ns
    except OSError as error:
        raise HedgerowError("IDENTITY_FILE", f"{path}: {error}") from None
