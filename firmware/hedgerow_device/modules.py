"""Modules that are loaded for a while: what a board needs at times need not lie in its heap at all times."""

import gc
import sys


def unload(*groups: str) -> None:
    """Forget modules, given by their dotted names with blanks between; the next import loads them again.

    A host has room for them, and others who hold on to them: there they stay.
    """
    if sys.implementation.name != "micropython":
        return
    # Memory may have run out: what is free goes first, and one name after the other is taken.
    gc.collect()
    for names in groups:
        at = 0
        while at < len(names):
            end = names.find(" ", at)
            name = names[at:] if end < 0 else names[at:end]
            at += len(name) + 1
            if name in sys.modules:
                package, _, last = name.rpartition(".")
                if hasattr(sys.modules[package], last):
                    delattr(sys.modules[package], last)
            else:
                # An import for which memory ran out leaves its module in the table, where only the collector
                # sees it, until its place is taken.
                sys.modules[name] = None
            del sys.modules[name]
    gc.collect()
