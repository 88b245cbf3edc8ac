"""Hedgerow's portable core: the same files on MicroPython and CPython, no sockets, files or clock reads."""
