"""A serial session with a board through mpremote's own transport, kept open over many steps."""

import contextlib
from collections.abc import Iterator

from mpremote.transport_serial import SerialTransport


@contextlib.contextmanager
def session(port: str, *, soft_reset: bool = True) -> Iterator[SerialTransport]:
    """An opened port, in the raw REPL."""
    transport = SerialTransport(port, timeout=10)
    try:
        transport.enter_raw_repl(soft_reset=soft_reset)
        yield transport
    finally:
        transport.close()


def interrupt(transport: SerialTransport, program: bytes, until: bytes) -> bytes:
    """Run `program`, wait until it has printed `until`, send Ctrl-C; returns its error output."""
    transport.exec_raw_no_follow(program)
    printed = transport.read_until(1, until, timeout=10)
    assert printed.endswith(until), printed
    transport.serial.write(b"\x03")
    _, error = transport.follow(timeout=10)
    return bytes(error)
