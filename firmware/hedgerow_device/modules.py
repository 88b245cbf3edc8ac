"""Modules that are loaded for a while: what a board needs at times need not lie in its heap at all times."""

import gc
import sys

from hedgerow.limits import const

# Pointers take twice as much on 64 bits, where the firmware runs on a host; what is free is given for 32.
WIDE = 2 if sys.maxsize >> 32 else 1
# With less than this free, sessions, documents and signatures take turns in the heap.
_ROOMY = const(65536)


def free() -> int:
    """Return how many bytes of the heap are free."""
    mend()
    return gc.mem_free()


def is_tight() -> bool:
    """Say whether what is needed at times is given back after each use."""
    return free() < _ROOMY * WIDE


def mend() -> None:
    """Collect garbage, and what got its name in the table of modules and no memory: to import it is a crash.

    See mp_obj_new_module in MicroPython's py/objmodule.c, which enters the name first.
    """
    modules = sys.modules
    if sys.implementation.name != "micropython":
        return
    for name in modules:
        if modules.get(name) is None:
            # Without a value it cannot be deleted.
            modules[name] = None
            del modules[name]
    gc.collect()


def unload(*groups: str) -> None:
    """Forget modules, given by their dotted names with blanks between; the next import loads them again.

    A host has room for them, and others who hold on to them: there they stay.
    """
    if sys.implementation.name != "micropython":
        return
    # Memory may have run out: what is free goes first, and one name after the other is taken.
    mend()
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
