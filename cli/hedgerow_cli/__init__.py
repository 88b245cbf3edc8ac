"""The `hedgerow` command: it imports every other part, and no part imports it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hedgerow")
except PackageNotFoundError:
    __version__ = "0+unknown"
