"""Parts of Hedgerow that need packages beyond the command's own, imported only when they are used."""

import contextlib
from collections.abc import Iterator

from hedgerow.errors import HedgerowError


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of a part: raises `EXTRA_MISSING`, with the pip line, if a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "?").partition(".")[0]
        if missing.startswith("hedgerow"):
            raise
        raise HedgerowError(
            "EXTRA_MISSING", f"no package {missing} here; run: pip install 'hedgerow[{name}]'"
        ) from error
