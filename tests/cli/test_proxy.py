"""The proxy that stands for the internet: it passes bytes both ways, can be cut, and comes back."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from hedgerow_cli.demo.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(link,), daemon=True).start()

        def answer(link: socket.socket) -> None:
            with link:
                try:
                    while data := link.recv(4096):
                        link.sendall(data)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def exchange(link: socket.socket, data: bytes) -> bytes:
    link.sendall(data)
    got = b""
    while len(got) < len(data) and (piece := link.recv(4096)):
        got += piece
    return got


def is_dead(link: socket.socket) -> bool:
    try:
        return link.recv(1) == b""
    except ConnectionError:
        return True


def test_a_cut_ends_what_runs_and_refuses_what_comes_until_it_is_restored(echo: int) -> None:
    with Proxy(echo) as proxy:
        address = ("127.0.0.1", proxy.port)
        with socket.create_connection(address, 10) as link:
            assert exchange(link, b"x" * 100_000) == b"x" * 100_000
            assert proxy.connected
            proxy.cut()
            assert is_dead(link)
        with socket.create_connection(address, 10) as link:
            assert is_dead(link)
        assert proxy.outages == 1
        proxy.cut()
        assert proxy.outages == 1
        proxy.restore()
        with socket.create_connection(address, 10) as link:
            assert exchange(link, b"again") == b"again"


def test_a_server_that_is_not_there_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = listener.getsockname()[1]
    with Proxy(unused) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 10) as link:
        assert is_dead(link)


def test_before_several_it_is_a_balancer(echo: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as listener:
        gone, second = listener.getsockname()[1], other.getsockname()[1]
        listener.close()
        with Proxy(echo, gone, second) as proxy:
            address = ("127.0.0.1", proxy.port)
            with socket.create_connection(address, 10) as one, socket.create_connection(address, 10):
                assert exchange(one, b"hello") == b"hello"
                link, _ = other.accept()
                # One that does not answer is passed over, and each that does has its turn.
                with link:
                    until = time.monotonic() + 10
                    while proxy.links[second] < 1 and time.monotonic() < until:
                        time.sleep(0.01)
                    assert proxy.links == {echo: 1, second: 1}
