"""The parser on demand: a board has no room to keep it beside what it runs."""

import sys


def parse_statement(text: str) -> tuple:
    """Return a statement as tuples, by the limits of a board; raises what `parse` does."""
    return _parse("parse", text)


def parse_where(text: str) -> tuple:
    """Return a condition as an expression, by the limits of a board; raises what `parse` does."""
    return _parse("parse_condition", text)


def _parse(name: str, text: str) -> tuple:
    from . import parse as module

    try:
        return getattr(module, name)(text)
    finally:
        if sys.implementation.name == "micropython":
            _forget("parse")
            _forget("scan")


def _forget(name: str) -> None:
    package = __name__.rsplit(".", 1)[0]
    sys.modules.pop(package + "." + name, None)
    if hasattr(sys.modules[package], name):
        delattr(sys.modules[package], name)
