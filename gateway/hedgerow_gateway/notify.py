"""Readiness and liveness for systemd (sd_notify(3)): datagrams to the socket named by NOTIFY_SOCKET."""

import os
import socket


class Notifier:
    """Speaks to the service manager; silent when there is none."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        micros = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(micros) / 1e6 if micros.isdigit() else 0.0

    def send(self, state: str) -> bool:
        """Send one state such as READY=1; return whether somebody was there to hear it."""
        if not self._address:
            return False
        # A leading @ names a socket in Linux's abstract namespace, spelt with a NUL in the address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.connect(address)
                channel.sendall(state.encode())
        except OSError:
            return False
        return True
