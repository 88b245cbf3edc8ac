"""Modules that are loaded for a while: what a board needs at times need not lie in its heap at all times."""

import gc
import sys


def unload(names: str) -> None:
    """Forget modules, given by their dotted names with blanks between; the next import loads them again.

    A host has room for them, and others who hold on to them: there they stay.
    """
    if sys.implementation.name != "micropython":
        return
    for name in names.split():
        if name in sys.modules:
            package, _, last = name.rpartition(".")
            del sys.modules[name]
            if hasattr(sys.modules[package], last):
                delattr(sys.modules[package], last)
    gc.collect()
