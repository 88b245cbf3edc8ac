"""A mosquitto of our own on loopback, and a client that writes down what it hears."""

import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.postgres_server import free_port

_START_SECONDS = 30.0
_SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous {anonymous}
persistence true
persistence_location {folder}/
autosave_interval 0
max_packet_size 3000
"""


def mosquitto_program() -> str | None:
    """Return where mosquitto is, None where it is not."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


class MosquittoServer:
    """A broker with a limit of 3,000 bytes a packet, which keeps retained messages over a restart."""

    def __init__(self, folder: Path, *, anonymous: bool = True) -> None:
        self.port = free_port()
        self._settings = folder / "mosquitto.conf"
        text = _SETTINGS.format(port=self.port, folder=folder, anonymous=str(anonymous).lower())
        self._settings.write_text(text)
        folder.chmod(0o777)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        program = mosquitto_program()
        assert program is not None
        with (self._settings.parent / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._settings)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + _START_SECONDS
        while not Ears.can_connect(self.port):
            assert self._process.poll() is None, (self._settings.parent / "log").read_text()
            assert time.monotonic() < deadline

    def stop(self) -> None:
        """Stop it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_START_SECONDS)
            self._process = None


class Ears:
    """Hears topics from when it is made, what is retained included."""

    def __init__(self, port: int, topics: str) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(topics, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(_START_SECONDS)

    def _hear(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload, message.retain))

    def close(self) -> None:
        """Hear no more."""
        self._client.disconnect()
        self._client.loop_stop()

    @staticmethod
    def can_connect(port: int) -> bool:
        """Say whether a broker takes connections."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        try:
            client.connect("127.0.0.1", port)
        except OSError:
            time.sleep(0.02)
            return False
        client.disconnect()
        return True
